#include "proxy/poller.hpp"

#include <algorithm>
#include <cerrno>

#include <boost/system/system_error.hpp>

namespace rotagate::proxy {
namespace {

// For what some dozens of clients send in one round; it has to fit into the processor's second cache.
constexpr std::size_t room_size = std::size_t{256} * 1024;

int make_epoll() {
    const int descriptor = ::epoll_create1(EPOLL_CLOEXEC);
    if (descriptor < 0) throw boost::system::system_error(errno, boost::system::system_category(), "epoll_create1");
    return descriptor;
}

epoll_event interest(std::uint32_t events, Pollable& pollable) {
    epoll_event event{};
    event.events = events | EPOLLRDHUP | EPOLLET;
    event.data.ptr = &pollable;
    return event;
}

}  // namespace

asio::execution_context::id Poller::id;

Poller::Poller(asio::io_context& loop)
    : service(loop), epoll_(make_epoll()), descriptor_(loop, epoll_), outbox_(loop), room_(room_size) {
    wait();
}

Poller::~Poller() = default;

void Poller::shutdown() {
    error_code ignored;
    descriptor_.close(ignored);
}

error_code Poller::add(int descriptor, Pollable& pollable) { return add(descriptor, interest(EPOLLIN, pollable)); }

error_code Poller::add_listening(int descriptor, Pollable& pollable) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &pollable;
    return add(descriptor, event);
}

error_code Poller::add(int descriptor, epoll_event event) {
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0) return {};
    return {errno, boost::system::system_category()};
}

void Poller::add_writing(int descriptor, Pollable& pollable) {
    epoll_event event = interest(EPOLLIN | EPOLLOUT, pollable);
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event);  // of one that was added, this cannot fail
}

void Poller::remove(int descriptor, const Pollable& pollable) {
    if (descriptor_.is_open()) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
    forget(pollable);
}

void Poller::forget(const Pollable& pollable) {
    for (int i = told_; i < count_; ++i)
        if (events_[i].data.ptr == &pollable) events_[i].data.ptr = nullptr;
}

void Poller::wait() {
    descriptor_.async_wait(descriptor_.wait_read, [this](error_code ec) {
        if (ec) return;
        dispatch();
        wait();
    });
}

void Poller::take_room(std::size_t size) {
    constexpr std::size_t line = 64;  // of the caches
    room_taken_ = std::min(room_.size(), room_taken_ + (size + line - 1) / line * line);
}

void Poller::dispatch() {
    // While it is busy, more has arrived meanwhile, and to ask at once costs less than a turn of Asio's. What is left
    // is told in the next turn, since wait() looks again whether there is more.
    constexpr int busy = 2, most_rounds = 8;
    int round = 0;
    do {
        count_ = std::max(0, ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), 0));
        told_ = 0;
        ++round_;
        for (int i = 0; i < count_; ++i) static_cast<Pollable*>(events_[i].data.ptr)->receive(events_[i].events);
        outbox_.begin_turn();
        while (told_ < count_) {
            const epoll_event& event = events_[told_++];
            if (event.data.ptr) static_cast<Pollable*>(event.data.ptr)->on_events(event.events);
        }
        outbox_.end_turn();
        room_taken_ = 0;
    } while (count_ >= busy && ++round < most_rounds);
    count_ = 0;
}

}  // namespace rotagate::proxy
