#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "proxy/descriptor.hpp"
#include "proxy/poller.hpp"

namespace rotagate::proxy {

/// Accepts the connections of one listening socket as the loop's poller tells of them. Asio's own acceptor takes seven
/// system calls more for each connection: it registers what it accepts with its own reactor, only to give it away.
class Acceptor final : private Pollable {
public:
    /// Gets a connection: its socket, which does not block and does not gather small pieces (TCP_NODELAY), and its
    /// client. It may close the acceptor, but not destroy it.
    using Handler = std::function<void(Descriptor socket, const asio::ip::address& client)>;

    /// @param socket  listening
    /// @param name    of the address, for the log
    Acceptor(asio::io_context& loop, Descriptor socket, std::string name, Handler handler);
    Acceptor(const Acceptor&) = delete;
    Acceptor& operator=(const Acceptor&) = delete;
    ~Acceptor() { close(); }

    /// Begins to accept. Errors: the system's.
    error_code start();
    void close();
    bool is_open() const { return socket_.get() >= 0; }

private:
    void receive(std::uint32_t) override {}
    void on_events(std::uint32_t events) override;
    void pause(const error_code& why);

    Poller& poller_;
    Descriptor socket_;
    const std::string name_;
    const Handler handler_;
    asio::steady_timer pause_;
    const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< for a pause that ends as this goes
};

}  // namespace rotagate::proxy
