#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include <sys/types.h>

struct redisContext;

namespace rotagate::test {

/// A real redis-server of the test's own, on a unix socket in a folder of its own; both go with it.
class RedisServer {
public:
    RedisServer();
    ~RedisServer();
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;

    const std::filesystem::path& socket() const { return socket_; }
    /// Runs a command, over a connection of the test's. @return its answer as text; a number in digits
    std::string run(std::initializer_list<std::string_view> command);

private:
    struct Close {
        void operator()(redisContext* context) const;
    };
    std::filesystem::path folder_, socket_;
    pid_t process_ = -1;
    std::unique_ptr<redisContext, Close> connection_;
};

}  // namespace rotagate::test
