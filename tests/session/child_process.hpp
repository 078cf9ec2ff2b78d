#pragma once

#include <csignal>
#include <string>

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

namespace rotagate::session {

/// A process beside this one: `work` writes what it wants to tell to the descriptor, and ends by kill -9 at the latest.
class Child {
public:
    template <class Work>
    explicit Child(Work work) {
        REQUIRE(::pipe(pipe_) == 0);
        process_ = ::fork();
        REQUIRE(process_ >= 0);
        if (process_ != 0) {
            ::close(pipe_[1]);
            return;
        }
        try {
            work(pipe_[1]);
        } catch (...) {
        }
        ::raise(SIGKILL);
    }
    ~Child() {
        end();
        ::close(pipe_[0]);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// Blocks until it has told something; empty: it has ended.
    std::string told() {
        char text[4096];
        const ssize_t size = ::read(pipe_[0], text, sizeof text);
        return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
    }
    std::string told_to_its_end() {
        std::string all;
        for (std::string some; !(some = told()).empty();) all += some;
        return all;
    }
    void end() {
        if (process_ <= 0) return;
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
        process_ = -1;
    }

private:
    int pipe_[2] = {-1, -1};
    pid_t process_ = -1;
};

inline void tell(int pipe, const std::string& line) {
    if (::write(pipe, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::raise(SIGKILL);
}

}  // namespace rotagate::session
