#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>

#include "proxy/acceptor.hpp"
#include "proxy/access_log.hpp"
#include "proxy/client_connections.hpp"
#include "proxy/deadlines.hpp"
#include "proxy/metrics.hpp"
#include "proxy/rate_limits.hpp"
#include "proxy/site.hpp"
#include "proxy/tls_server.hpp"
#include "session/cookie.hpp"
#include "session/stores.hpp"

namespace rotagate::proxy {

class Connection;
struct Peer;
using RequestId = std::array<char, 32>;  // hex digits

/// What belongs to the process: all event loops share it, from several threads, and it lives through reloads.
struct Shared {
    std::atomic<std::size_t> connections{0};
    ClientConnections clients;
    RateLimits rates;
};

/// One address that a loop listens on. Reloads change what becomes of connections, and leave the socket alone.
struct Listening {
    std::size_t id;                                  ///< LoopSnapshot's
    config::Listener settings;                       ///< for the next request, or connection
    std::shared_ptr<const tls::ServerContexts> tls;  ///< for the next connection; null: plain
    std::unique_ptr<Acceptor> acceptor{};

    /// The address is not ours any more: connections end when they have no request.
    bool closed() const { return !acceptor->is_open(); }
};

/// One thread's event loop and everything that is its own: nothing on the data path is shared with another.
class EventLoop {
public:
    EventLoop(Shared& shared, session::SessionStores& stores, LoopMetrics& metrics, LoopSnapshot snapshot);
    ~EventLoop();

    /// Runs until drain() has come to its end.
    void run();
    /// From any thread: has the loop open cookies by other keys, too, ahead of a reload: no loop may seal by a key that
    /// another does not know yet. @param keys  those in force and the others @param done  is called on the loop
    void learn_keys(std::shared_ptr<const session::KeyRing> keys, std::function<void()> done);
    /// From any thread: has another configuration in force from the loop's next turn on. No connection ends by it, but
    /// those to addresses that it names no more, after their requests. @param done  is called on the loop
    void reload(LoopSnapshot snapshot, std::function<void()> done);
    /// Whether no listener that has a certificate more closely for a host asks more of clients than was asked on a
    /// connection: routes belong to all listeners, and so do the guards of their hosts.
    /// @param ssl  null: plain @param closeness  that of the connection's own listener
    bool others_admit(const SSL* ssl, std::string_view host, int closeness) const;
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
    session::CookieSealer sealer;  ///< by the keys in force, also for requests that began before they were
    LoopMetrics& metrics;
    std::shared_ptr<const Site> site;
    AccessLog access_log;  ///< the logs in force: a file that was moved away gets no more lines after a reload
    SecurityLog security_log;
    std::string scratch;  ///< for a head that is written; empty whenever another coroutine could run

private:
    friend class Connection;
    using Connections = boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>>;

    void take_over(LoopSnapshot snapshot);
    void take_over_upstreams(LoopSnapshot& snapshot);
    void take_over_listeners(std::vector<LoopSnapshot::Listener>& listeners);
    void listen(LoopSnapshot::Listener& wanted);
    void close(Listening& listening);
    void accepted(std::shared_ptr<Listening> listening, Descriptor socket, const asio::ip::address& client);
    std::optional<ClientConnections::Place> place_for(const Peer& peer);
    void serve(std::shared_ptr<Listening> listening, Descriptor socket, const Peer& peer);
    Task<> serve_proxied(std::shared_ptr<Listening> listening, Descriptor socket, Peer peer);
    void tick();
    void look_after_connections();
    void stop_if_drained();

    std::shared_ptr<const session::KeyRing> keys_;
    std::vector<std::shared_ptr<Listening>> listening_;
    std::unique_ptr<Connections> connections_;
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>
        ticker_;
    std::mt19937_64 random_;  // for request ids, which need to be different, not secret
    unsigned ticks_ = 0;
    std::chrono::steady_clock::time_point tell_of_refusal_{};  ///< when the log is next told of a client's
    bool draining_ = false;
    std::string date_;
    std::chrono::system_clock::time_point date_until_;

public:
    Tasks tasks;  ///< the last member: destroyed before all that the tasks use
};

}  // namespace rotagate::proxy
