#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct redisReply;
struct redisReader;

/// Replies of Redis, parsed by hiredis.
namespace rotagate::session::redis {

/// One reply, or a part of one. It does not own what it shows.
class Reply {
public:
    explicit Reply(const redisReply* reply) : reply_(reply) {}

    bool is_error() const;
    bool is_nil() const;
    /// Of a string, a status or an error; empty for all else.
    std::string_view text() const;
    /// Of an integer, or of a string that is one; 0 for all else.
    std::int64_t integer() const;
    /// Of an array; 0 for all else.
    std::size_t size() const;
    /// A part of an array; beyond its end a nil.
    Reply operator[](std::size_t index) const;

private:
    const redisReply* reply_;  ///< null: nil
};

/// Makes replies out of bytes as they come.
class ReplyReader {
public:
    ReplyReader();
    ~ReplyReader();
    ReplyReader(const ReplyReader&) = delete;
    ReplyReader& operator=(const ReplyReader&) = delete;

    void feed(std::string_view bytes);
    enum class State { reply, incomplete, broken };
    /// @return whether reply() is the next one now; broken: what came is not Redis' protocol, and nothing more will
    /// come
    State next();
    Reply reply() const { return Reply(reply_.get()); }

private:
    struct Free {
        void operator()(redisReader* reader) const;
        void operator()(redisReply* reply) const;
    };
    std::unique_ptr<redisReader, Free> reader_;
    std::unique_ptr<redisReply, Free> reply_;
};

}  // namespace rotagate::session::redis
