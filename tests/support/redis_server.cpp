#include "redis_server.hpp"

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <thread>
#include <vector>

#include <hiredis/hiredis.h>
#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

namespace rotagate::test {

using namespace std::chrono_literals;

RedisServer::RedisServer() {
    std::string name = (std::filesystem::temp_directory_path() / "rotagate-redis-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    socket_ = folder_ / "redis.sock";
    const std::string socket = socket_.string(), folder = folder_.string(), log = (folder_ / "log").string();
    std::vector<std::string> words{
        "redis-server", "--port",    "0", "--unixsocket", socket, "--dir", folder, "--save", "", "--appendonly",
        "no",           "--logfile", log};
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (posix_spawnp(&process_, "redis-server", nullptr, nullptr, arguments.data(), environ) != 0)
        throw std::runtime_error("redis-server does not start; is it installed?");
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!connection_ || connection_->err != 0) {
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("redis-server does not answer");
        std::this_thread::yield();
        connection_.reset(redisConnectUnix(socket.c_str()));
    }
}

RedisServer::~RedisServer() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    std::filesystem::remove_all(folder_);
}

std::string RedisServer::run(std::initializer_list<std::string_view> command) {
    std::vector<const char*> words;
    std::vector<std::size_t> sizes;
    for (const std::string_view word : command) {
        words.push_back(word.data());
        sizes.push_back(word.size());
    }
    auto* const reply = static_cast<redisReply*>(
        redisCommandArgv(connection_.get(), static_cast<int>(words.size()), words.data(), sizes.data()));
    if (!reply) throw std::runtime_error(connection_->errstr);
    std::string text = reply->type == REDIS_REPLY_INTEGER ? std::to_string(reply->integer)
                       : reply->str                       ? std::string(reply->str, reply->len)
                                                          : std::string();
    const bool failed = reply->type == REDIS_REPLY_ERROR;
    freeReplyObject(reply);
    if (failed) throw std::runtime_error(text);
    return text;
}

void RedisServer::Close::operator()(redisContext* context) const { redisFree(context); }

}  // namespace rotagate::test
