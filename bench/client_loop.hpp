#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "bench/schedule.hpp"
#include "bench/target.hpp"
#include "proxy/deadlines.hpp"
#include "proxy/task.hpp"
#include "proxy/upstreams.hpp"

namespace rotagate::bench {

namespace asio = boost::asio;
using proxy::Task;

/// How connections are made.
struct ConnectionSettings {
    std::vector<Target> targets;  ///< several: one site's gateways, all asked for under the first one's name
    std::filesystem::path ca;     ///< PEM; empty: the system's authorities
    bool verify = true;           ///< the server's certificate
    bool http2 = false;           ///< in place of HTTP/1.1
    std::chrono::milliseconds timeout{10'000};  ///< of a connection, and of a request with its answer
};

/// One event loop, and what all of its clients share. Runs in a thread of its own from start() to stop().
class ClientLoop {
public:
    /// Throws std::runtime_error where the authorities cannot be read.
    explicit ClientLoop(const ConnectionSettings& settings);
    ClientLoop(const ClientLoop&) = delete;
    ~ClientLoop();

    void start();
    /// Returns once the thread has ended; tasks that run are given up.
    void stop();
    /// Has the loop's thread call this.
    template <class Call>
    void post(Call call) {
        asio::post(loop_, std::move(call));
    }

    // ---- for the loop's own thread ----------------------------------------------------------------------------------

    /// Runs it up to its first wait, and on as the loop goes. @param task  must not throw
    void run(Task<> task) { tasks_->start(std::move(task)); }
    Task<> sleep_until(Clock::time_point time);
    /// To the next target, in turn.
    proxy::Connector& next_connector();

    const ConnectionSettings& settings() const { return settings_; }
    const Target& site() const { return settings_.targets.front(); }
    asio::io_context& context() { return loop_; }
    proxy::Deadlines& deadlines() { return deadlines_; }
    /// For the lifetimes of cookies; a tick old at most.
    std::chrono::sys_seconds wall_clock() const { return wall_clock_; }
    /// Tells that a connection could not be made since this machine had no port for it.
    void note_no_port() { ++no_port_; }
    std::uint64_t no_port() const { return no_port_; }
    /// Tells that what was due then is handled now.
    void note_lag(Clock::time_point due) { worst_lag_ = std::max(worst_lag_, Clock::now() - due); }
    /// The longest time between when a timer was due and when it was handled: what is measured is wrong by as much.
    Clock::duration worst_lag() const { return worst_lag_; }

private:
    void tick();

    const ConnectionSettings& settings_;
    asio::io_context loop_{1};
    proxy::tls::Context tls_;
    std::vector<proxy::Connector> connectors_;
    std::size_t turn_ = 0;
    proxy::Deadlines deadlines_;
    asio::steady_timer ticks_{loop_};
    std::chrono::sys_seconds wall_clock_{};
    Clock::duration worst_lag_{};
    std::uint64_t no_port_ = 0;
    std::optional<proxy::Tasks> tasks_{std::in_place};
    std::thread thread_;
};

}  // namespace rotagate::bench
