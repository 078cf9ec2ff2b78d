#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "proxy/admin.hpp"
#include "proxy/event_loop.hpp"
#include "proxy/health.hpp"
#include "proxy/server.hpp"
#include "session/stores.hpp"

namespace rotagate::proxy {

inline double seconds_since_1970() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// What the main thread has: server.cpp starts, runs and ends it, server_reload.cpp has it take another configuration.
struct Server::Impl {
    Impl(config::Config settings, std::function<config::Loaded()> its_load);
    void run();

    void housekeeping();
    void await_signal();
    void on_signal(int signal);
    void drain(int signal);
    void stop_now(std::string_view why);
    void ended(const session::SessionId& id, session::Expiry why);
    void log_unconfirmed(const session::SessionId& id);
    void log_end(const session::SessionId& id, Reason reason, std::string_view detail);
    AdminParts admin_parts();
    /// Throws Unusable, or std::runtime_error for the token.
    std::unique_ptr<Admin> open_admin(const config::Admin& settings);
    void log_listeners(const std::vector<Snapshot::Listener>& before) const;

    // How a reload goes on: read, prepared, all loops know the new keys, all loops have it in force.
    void reload();
    void prepare(config::Config settings);
    void bring_into_force();
    void reload_done();
    void reload_failed(const std::vector<config::Issue>& errors);
    std::function<void()> when_all_loops(std::function<void()> then);

    const std::function<config::Loaded()> load;
    Metrics metrics;
    LoopMetrics& control_metrics = metrics.add_loop();
    Shared shared;

    // The main thread's own loop: signals, admin address, health checks, housekeeping.
    asio::io_context control{1};
    std::unique_ptr<session::SessionStores> stores;
    std::shared_ptr<session::SessionStore> store;
    Snapshot in_force;
    AccessLog access_log;
    SecurityLog security_log;
    Deadlines deadlines;
    Deadline last_call{[this] { stop_now("limits.drain_timeout is over"); }};
    asio::signal_set signals{control, SIGTERM, SIGINT, SIGHUP};
    asio::steady_timer ticker{control};
    std::vector<std::unique_ptr<EventLoop>> loops;
    HealthChecks health{control, deadlines};
    std::unique_ptr<Admin> admin;
    std::size_t running = 0;
    unsigned ticks = 0;
    bool draining = false;

    /// What a reload has prepared, until all loops know its keys.
    struct Coming {
        Snapshot snapshot;
        std::unique_ptr<Admin> admin{};   ///< another one; null: none, or the one that is there
        std::optional<AdminGate> gate{};  ///< of the one that is there
    };
    std::optional<Coming> coming;
    bool reloading = false, reload_again = false;  ///< another SIGHUP has come meanwhile
    std::chrono::steady_clock::time_point reload_began;
    double loaded_at = seconds_since_1970();
};

}  // namespace rotagate::proxy
