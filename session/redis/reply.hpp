#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;

/// Replies of Redis, parsed by hiredis into memory that is used again and again: a reply costs no allocation.
namespace rotagate::session::redis {

/// A reply's parts, one after the other; those of an array stand side by side.
struct ReplyParts {
    enum class Type { nil, integer, text, error, array };
    struct Part {
        Type type = Type::nil;
        std::int64_t number = 0;           ///< an integer's value
        std::size_t begin = 0, count = 0;  ///< of a text in `texts`, of an array in `parts`
    };
    std::vector<Part> parts;
    std::string texts;
};

/// One reply, or a part of one. It does not own what it shows.
class Reply {
public:
    Reply(const ReplyParts& all, std::size_t part) : all_(&all), part_(part) {}

    bool is_error() const { return part().type == ReplyParts::Type::error; }
    bool is_nil() const { return part().type == ReplyParts::Type::nil; }
    /// Of a string, a status or an error; empty for all else.
    std::string_view text() const;
    /// Of an integer, or of a string that is one; 0 for all else.
    std::int64_t integer() const;
    /// Of an array; 0 for all else.
    std::size_t size() const { return part().type == ReplyParts::Type::array ? part().count : 0; }
    /// A part of an array; beyond its end a nil.
    Reply operator[](std::size_t index) const;

private:
    const ReplyParts::Part& part() const;

    const ReplyParts* all_;
    std::size_t part_;  ///< beyond the last: a nil
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
    /// There until next() is called again.
    Reply reply() const { return {parts_, 0}; }

private:
    struct Free {
        void operator()(redisReader* reader) const;
    };
    ReplyParts parts_;
    bool between_replies_ = true;
    std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace rotagate::session::redis
