#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <sys/epoll.h>

#include "proxy/buffer.hpp"
#include "proxy/outbox.hpp"
#include "proxy/task.hpp"

namespace rotagate::proxy {

/// Has a descriptor that a Poller looks after.
class Pollable {
public:
    /// Reads what has arrived, and calls nobody. All that have events do so before the first is told of them: many
    /// reads one after the other cost less than the same with the work on requests in between.
    /// @param events  EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR: each is told once when it begins to hold;
    /// to those that listen, for as long as it holds
    virtual void receive(std::uint32_t events) = 0;
    /// Acts on the same events.
    virtual void on_events(std::uint32_t events) = 0;

protected:
    ~Pollable() = default;
};

/// Tells the streams of one event loop what their descriptors are ready for; asio::use_service<Poller>(loop) is the
/// loop's. Asio's own readiness asks the descriptor before each wait, which costs a system call that finds nothing for
/// nearly every read. Here an edge-triggered epoll, which Asio waits for as a whole, has them all.
class Poller final : public asio::execution_context::service {
public:
    static asio::execution_context::id id;

    explicit Poller(asio::io_context& loop);
    ~Poller() override;

    /// Looks after a descriptor for reading until remove(). Errors: the system's.
    error_code add(int descriptor, Pollable& pollable);
    /// Looks after one that was added for writing too.
    void add_writing(int descriptor, Pollable& pollable);
    /// Looks after a listening socket, and tells of it in every round while a connection waits there.
    error_code add_listening(int descriptor, Pollable& pollable);
    /// The pollable hears of nothing more.
    void remove(int descriptor, const Pollable& pollable);
    /// The same for one whose descriptor is closed right after: the system forgets it by itself then.
    void forget(const Pollable& pollable);
    /// How often it has asked the system: what was ready in one round is told before the next begins.
    std::uint64_t round() const { return round_; }
    /// What is sent at the end of each round.
    Outbox& outbox() { return outbox_; }
    /// Memory for what receive() reads, until the end of the round.
    std::span<char> room() const { return {room_.data() + room_taken_, room_.size() - room_taken_}; }
    void take_room(std::size_t size);

private:
    void shutdown() override;
    error_code add(int descriptor, epoll_event event);
    void wait();
    void dispatch();

    int epoll_;
    asio::posix::basic_stream_descriptor<Executor> descriptor_;
    std::array<epoll_event, 256> events_;
    int count_ = 0, told_ = 0;  // of events_, while they are told
    std::uint64_t round_ = 0;
    Outbox outbox_;
    Buffer room_;
    std::size_t room_taken_ = 0;
};

}  // namespace rotagate::proxy
