#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>

#include "proxy/access_log.hpp"
#include "proxy/deadlines.hpp"
#include "proxy/metrics.hpp"
#include "proxy/site.hpp"
#include "proxy/tls_server.hpp"
#include "session/cookie.hpp"
#include "session/stores.hpp"

namespace rotagate::proxy {

class Connection;
using RequestId = std::array<char, 32>;  // hex digits
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;

/// What all event loops share; all of it is safe to use from several threads, and outlives the loops.
struct Shared {
    const config::Config& config;
    session::KeyRing keys;
    HealthTable health;
    AccessLog& access_log;
    SecurityLog& security_log;
    tls::ServerState& tls;
    std::atomic<std::size_t> connections{0};
};

/// One address that a loop listens on.
struct Listening {
    const config::Listener* settings;
    std::shared_ptr<const tls::ServerContexts> tls;  ///< null: plain
    Acceptor acceptor;
};

/// One thread's event loop and everything that is its own: nothing on the data path is shared with another.
class EventLoop {
public:
    EventLoop(Shared& shared, session::SessionStores& stores, LoopMetrics& metrics);
    ~EventLoop();

    /// Binds an address; all loops share it by SO_REUSEPORT. @return the port, which the system chose where it was 0
    std::uint16_t listen(const config::Listener& settings, std::uint16_t port);
    /// Runs until drain() has come to its end.
    void run();
    /// From any thread: stops listening, lets requests in flight finish, then ends run().
    void drain();
    bool draining() const { return draining_; }

    RequestId request_id();
    /// The Date field's value, renewed each second.
    std::string_view http_date();

    // One thread does all its input and output; others only post().
    asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
    Deadlines deadlines;
    Shared& shared;
    const std::shared_ptr<session::SessionStore> own_store;
    session::SessionStore& store;
    session::CookieSealer sealer;
    LoopMetrics& metrics;
    std::shared_ptr<const Site> site;
    std::string scratch;  ///< for a head that is written; empty whenever another coroutine could run

private:
    friend class Connection;
    using Connections = boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>>;

    Task<> accept(Listening& listening);
    void tick();
    void look_after_connections();
    void stop_if_drained();

    std::vector<std::unique_ptr<UpstreamPool>> pools_;
    std::vector<std::unique_ptr<Listening>> listening_;
    std::unique_ptr<Connections> connections_;
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>
        ticker_;
    std::mt19937_64 random_;  // for request ids, which need to be different, not secret
    unsigned ticks_ = 0;
    bool draining_ = false;
    std::string date_;
    std::chrono::system_clock::time_point date_until_;

public:
    Tasks tasks;  ///< the last member: destroyed before all that the tasks use
};

}  // namespace rotagate::proxy
