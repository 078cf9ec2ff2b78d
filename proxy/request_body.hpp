#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "config/config.hpp"
#include "proxy/task.hpp"

namespace rotagate::proxy {

/// The body of a request between a client that brings it and an app that takes it, at most some of it at a time. While
/// nothing has come back, the beginning is kept, so that it can be sent to another app.
class RequestBody {
public:
    static constexpr std::size_t most_waiting = 64 * config::KiB;

    bool has_room() const { return waiting() < most_waiting; }
    bool empty() const { return waiting() == 0; }
    bool ended() const { return ended_; }
    /// Bytes that were read, over all attempts.
    std::uint64_t taken() const { return taken_; }

    /// @param end  nothing follows
    void append(std::string_view bytes, bool end) {
        bytes_ += bytes;
        ended_ = end;
    }
    /// The next bytes. @param end  out: they are the last
    /// @return how many were copied; 0 without `end`: there are none yet
    std::size_t read(std::span<char> into, bool& end) {
        const std::size_t n = bytes_.copy(into.data(), into.size(), from_);
        from_ += n;
        taken_ += n;
        if (from_ >= most_waiting || (settled_ && empty())) forget();
        end = ended_ && empty();
        return n;
    }
    /// Goes back to the start. @return false: that is gone
    bool rewind() {
        if (!settled_) from_ = 0;
        return !settled_;
    }
    /// It will not be sent again.
    void settle() { settled_ = true; }

    /// co_await it to hear that something was taken, or that nothing will be.
    auto changed() { return changed_.wait(); }
    void wake() { changed_.notify(); }

private:
    std::size_t waiting() const { return bytes_.size() - from_; }
    void forget() {
        bytes_.erase(0, std::exchange(from_, 0));
        settled_ = true;
    }

    std::string bytes_;
    std::size_t from_ = 0;  ///< what is before has been sent
    std::uint64_t taken_ = 0;
    bool ended_ = false, settled_ = false;
    Signal changed_;
};

}  // namespace rotagate::proxy
