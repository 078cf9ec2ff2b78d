#include "proxy/acceptor.hpp"

#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

namespace rotagate::proxy {
namespace {

// For others to finish, and give back what there is too little of.
constexpr std::chrono::milliseconds pause_time{100};

/// Whether the next connection may be accepted all the same: there was none, or its client has left already.
bool concerns_one_connection(int error) {
    return error == EAGAIN || error == EINTR || error == ECONNABORTED || error == EPROTO;
}

}  // namespace

Acceptor::Acceptor(asio::io_context& loop, Descriptor socket, std::string name, Handler handler)
    : poller_(asio::use_service<Poller>(loop)),
      socket_(std::move(socket)),
      name_(std::move(name)),
      handler_(std::move(handler)),
      pause_(loop) {}

error_code Acceptor::start() {
    constexpr int on = 1;
    // What is accepted inherits it.
    if (::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        return {errno, boost::system::system_category()};
    return poller_.add_listening(socket_.get(), *this);
}

void Acceptor::close() {
    if (!is_open()) return;
    pause_.cancel();
    poller_.forget(*this);
    const Descriptor closed = std::move(socket_);
}

/// Accepts one connection: as long as there are more, the poller tells so again.
void Acceptor::on_events(std::uint32_t) {
    asio::ip::tcp::endpoint client;
    auto size = static_cast<socklen_t>(client.capacity());
    Descriptor socket(::accept4(socket_.get(), client.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.get() >= 0) {
        client.resize(size);
        return handler_(std::move(socket), client.address());
    }
    if (!concerns_one_connection(errno)) pause({errno, boost::system::system_category()});
}

/// Out of descriptors, or of memory.
void Acceptor::pause(const error_code& why) {
    spdlog::error("accept.failed address={} error=\"{}\"", name_, why.message());
    poller_.remove(socket_.get(), *this);
    pause_.expires_after(pause_time);
    pause_.async_wait([this, alive = std::weak_ptr(alive_)](error_code ec) {
        if (ec || alive.expired() || !is_open()) return;
        if (const error_code failed = poller_.add_listening(socket_.get(), *this)) pause(failed);
    });
}

}  // namespace rotagate::proxy
