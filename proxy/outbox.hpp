#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/task.hpp"

namespace rotagate::proxy {

/// What the streams of one event loop have to send by the end of the turn, one behind the other in one block. To work
/// on all requests of a turn first and send for all of them then costs 5 % less than to send for each in between: the
/// system's code and ours do not push each other out of the processor's caches. Source: bench/README.md.
class Outbox {
public:
    /// Has sent something through an outbox.
    class Sender {
    public:
        /// Takes on what commit() was called for: sends it, and keeps what cannot be sent now.
        virtual void send_now(std::string_view bytes) = 0;

    protected:
        ~Sender() = default;
    };

    explicit Outbox(asio::io_context& loop) : loop_(loop) {}

    /// What is to be sent next is appended here; it is nobody's until commit().
    std::string& draft() { return bytes_; }
    std::string_view drafted() const { return std::string_view(bytes_).substr(committed_); }
    void discard() { bytes_.resize(committed_); }
    /// The draft is to be sent by the end of the turn. The sender must call flush() before it goes.
    void commit(Sender& sender);
    /// Sends all that is committed.
    void flush();

    /// A turn ends with a flush(); outside of turns, one is made soon.
    void begin_turn() { in_turn_ = true; }
    void end_turn();

private:
    struct Entry {
        Sender* sender;
        std::size_t begin, size;
    };
    asio::io_context& loop_;
    std::string bytes_;
    std::size_t committed_ = 0;
    std::vector<Entry> entries_;
    bool in_turn_ = false, posted_ = false;
};

}  // namespace rotagate::proxy
