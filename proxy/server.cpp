#include "proxy/server.hpp"

#include <algorithm>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <spdlog/spdlog.h>

#include "proxy/admin.hpp"
#include "proxy/event_loop.hpp"
#include "proxy/health.hpp"
#include "proxy/listening_sockets.hpp"
#include "proxy/log_line.hpp"
#include "session/stores.hpp"

namespace rotagate::proxy {
namespace {

double seconds_since_1970() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string in_quotes(std::string_view text) {
    fmt::memory_buffer out;
    append_quoted(out, text);
    return fmt::to_string(out);
}

/// The first snapshot. What cannot be used ends the start.
Snapshot first_snapshot(config::Config settings) try {
    return make_snapshot(std::move(settings), nullptr);
} catch (const Unusable& unusable) {
    throw std::runtime_error(unusable.what());
}

/// The keys in force, and behind them those that are new.
std::shared_ptr<const session::KeyRing> all_keys(const session::KeyRing& in_force, const session::KeyRing& coming) {
    auto all = std::make_shared<session::KeyRing>(in_force);
    for (const session::CookieKey& key : coming.keys)
        if (std::ranges::find(in_force.keys, key.id, &session::CookieKey::id) == in_force.keys.end())
            all->keys.push_back(key);
    return all;
}

}  // namespace

struct Server::Impl {
    Impl(config::Config settings, std::function<config::Loaded()> its_load);
    void run();

    void housekeeping();
    void await_signal();
    void on_signal(int signal);
    void drain(int signal);
    void expired(const session::SessionId& id, session::Expiry why);
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

Server::Impl::Impl(config::Config settings, std::function<config::Loaded()> its_load)
    : load(std::move(its_load)),
      stores(session::open_stores(settings.session, control,
                                  [this](const session::SessionId& id, session::Expiry why) { expired(id, why); })),
      store(stores->on(control)),
      in_force(first_snapshot(std::move(settings))),
      access_log(in_force.access_log),
      security_log(in_force.security_log) {
    std::signal(SIGPIPE, SIG_IGN);  // a peer that closed is an error code, not the end of the process
    // An exception out of the middle of a request could leave half an answer for the next one; a supervisor starts
    // anew.
    std::set_new_handler([] {
        std::fputs("rotagate: out of memory\n", stderr);
        std::abort();
    });
    if (stores->size())
        metrics.add_gauge("rotagate_sessions", "Sessions in the store",
                          [this] { return static_cast<double>(*stores->size()); });
    metrics.add_gauge("rotagate_config_loaded_timestamp_seconds",
                      "When the configuration in force was read, in seconds since 1970.", [this] { return loaded_at; });
    for (LoopSnapshot& snapshot : std::exchange(in_force.loops, {}))
        loops.push_back(std::make_unique<EventLoop>(shared, *stores, metrics.add_loop(), std::move(snapshot)));
    try {
        if (in_force.config->admin) admin = open_admin(*in_force.config->admin);
    } catch (const Unusable& unusable) {
        throw std::runtime_error(fmt::format("admin: {}", unusable.what()));
    }
    log_listeners({});
    health.follow(in_force.upstreams);
    if (admin) spdlog::info("admin.listening address={}", admin->address());
}

std::unique_ptr<Admin> Server::Impl::open_admin(const config::Admin& settings) try {
    return std::make_unique<Admin>(control, settings, admin_parts());
} catch (const boost::system::system_error& error) {
    throw Unusable("admin.address", cannot_listen(settings.address, error.code()));
}

AdminParts Server::Impl::admin_parts() {
    return {.store = *store,
            .metrics = metrics,
            .loop_metrics = control_metrics,
            .security_log = security_log,
            .dead_upstreams = [this] { return health.dead_upstreams(); }};
}

/// Tells which addresses have come and gone.
void Server::Impl::log_listeners(const std::vector<Snapshot::Listener>& before) const {
    const auto among = [](const std::vector<Snapshot::Listener>& listeners, std::size_t id) {
        return std::ranges::find(listeners, id, &Snapshot::Listener::id) != listeners.end();
    };
    for (std::size_t i = 0; i < in_force.listeners.size(); ++i) {
        const config::Listener& listener = in_force.config->listen[i];
        if (among(before, in_force.listeners[i].id)) continue;
        spdlog::info("listening address={} tls={} redirect_to_https={}", listener.address.text(),
                     listener.tls.has_value(), listener.redirect_to_https);
    }
    for (const Snapshot::Listener& listener : before)
        if (!among(in_force.listeners, listener.id)) spdlog::info("listening.ended address={}", listener.bound.text());
}

void Server::Impl::run() {
    await_signal();
    housekeeping();
    running = loops.size();
    std::vector<std::jthread> threads;
    for (const auto& loop : loops) {
        threads.emplace_back([this, &loop] {
            loop->run();
            asio::post(control, [this] {
                if (--running == 0) control.stop();
            });
        });
    }
    control.run();
    threads.clear();  // joins
    access_log.flush();
    spdlog::info("stopped");
}

void Server::Impl::await_signal() {
    signals.async_wait([this](error_code ec, int signal) {
        if (ec) return;
        on_signal(signal);
        await_signal();
    });
}

void Server::Impl::on_signal(int signal) {
    if (signal != SIGHUP) return drain(signal);
    if (draining) {
        spdlog::warn("reload.ignored detail=\"the gateway is going down\"");
    } else if (reloading) {
        reload_again = true;
    } else {
        reload();
    }
}

void Server::Impl::drain(int signal) {
    if (draining) {
        spdlog::warn("stopping signal={} detail=\"the second signal: requests in flight are cut\"", signal);
        for (const auto& loop : loops) loop->context.stop();
        return;
    }
    draining = true;
    spdlog::info("draining signal={} connections={}", signal, shared.connections.load());
    for (const auto& loop : loops) loop->drain();
}

void Server::Impl::housekeeping() {
    deadlines.tick(std::chrono::steady_clock::now());
    if (++ticks % (std::chrono::seconds(1) / Deadlines::tick_length) == 0) {
        stores->sweep();
        in_force.tls->look_after();
        access_log.flush();
    }
    ticker.expires_after(Deadlines::tick_length);
    ticker.async_wait([this](error_code ec) {
        if (!ec) housekeeping();
    });
}

void Server::Impl::expired(const session::SessionId& id, session::Expiry why) {
    const session::User user = id.user();
    security_log.write({.kind = SecurityEvent::Kind::ended,
                        .reason = why == session::Expiry::idle ? Reason::idle : Reason::absolute,
                        .user = user.id,
                        .org = user.org,
                        .session = id.log_name(),
                        .client = "-",
                        .request_id = {},
                        .detail = {}},
                       control_metrics);
}

// ---- reload ---------------------------------------------------------------------------------------------------------

void Server::Impl::reload() {
    reloading = true;
    reload_began = std::chrono::steady_clock::now();
    config::Loaded loaded;
    try {
        loaded = load();
        for (const config::Issue& warning : loaded.warnings)
            spdlog::warn("reload.warning message={}", in_quotes(warning.text()));
        if (!loaded.ok()) return reload_failed(loaded.errors);
        prepare(std::move(loaded.config));
    } catch (const Unusable& unusable) {
        std::vector<config::Issue> errors;
        for (const auto& [key, message] : unusable.settings) errors.push_back(loaded.places.issue(key, message));
        reload_failed(errors);
    } catch (const std::exception& error) {
        reload_failed({loaded.places.issue("", error.what())});
    }
}

void Server::Impl::reload_failed(const std::vector<config::Issue>& errors) {
    coming.reset();
    control_metrics.reloads_failed.add();
    for (const config::Issue& error : errors) spdlog::error("reload.error message={}", in_quotes(error.text()));
    spdlog::error("reload.failed errors={} detail=\"the configuration that was in force stays so\"", errors.size());
    reloading = false;
}

/// A callback for each loop to call. @param then  is called on the main thread when all have
std::function<void()> Server::Impl::when_all_loops(std::function<void()> then) {
    auto left = std::make_shared<std::size_t>(loops.size());
    return [this, left, then = std::move(then)] {
        asio::post(control, [left, then] {
            if (--*left == 0) then();
        });
    };
}

/// Makes all that can fail, and has the loops learn the keys, the last thing before it comes into force.
void Server::Impl::prepare(config::Config settings) {
    coming.emplace(Coming{make_snapshot(std::move(settings), &in_force)});
    const auto& wanted = coming->snapshot.config->admin;
    try {
        const bool same = admin && wanted && in_force.config->admin->address == wanted->address;
        if (same) coming->gate.emplace(*wanted);
        if (wanted && !same) coming->admin = open_admin(*wanted);
    } catch (const std::runtime_error& error) {
        throw Unusable("admin.token_file", error.what());
    }
    try {
        in_force.tls->tickets.use(coming->snapshot.config->tls_tickets);  // the last that can fail
    } catch (const std::runtime_error& error) {
        throw Unusable("tls_tickets.key_files", error.what());
    }
    if (coming->snapshot.keys == in_force.keys) return bring_into_force();
    const auto keys = all_keys(*in_force.keys, *coming->snapshot.keys);
    const auto learnt = when_all_loops([this] { bring_into_force(); });
    for (const auto& loop : loops) loop->learn_keys(keys, learnt);
}

/// Nothing here can fail.
void Server::Impl::bring_into_force() {
    Coming next = std::move(*coming);
    coming.reset();
    const auto listeners = std::exchange(in_force, std::move(next.snapshot)).listeners;
    stores->adopt(in_force.config->session);
    const auto taken_over = when_all_loops([this] { reload_done(); });
    std::vector<LoopSnapshot> snapshots = std::exchange(in_force.loops, {});
    for (std::size_t i = 0; i < loops.size(); ++i) loops[i]->reload(std::move(snapshots[i]), taken_over);
    access_log.flush();
    access_log = in_force.access_log;
    security_log = in_force.security_log;
    set_process_log_level(in_force.config->log.level);
    log_listeners(listeners);
    health.follow(in_force.upstreams);
    if (next.gate) {
        admin->set_gate(std::move(*next.gate));
    } else {
        admin = std::move(next.admin);
        if (admin) spdlog::info("admin.listening address={}", admin->address());
    }
    loaded_at = seconds_since_1970();
    control_metrics.reloads_done.add();
}

void Server::Impl::reload_done() {
    const config::Config& settings = *in_force.config;
    const auto took = std::chrono::steady_clock::now() - reload_began;
    spdlog::info("reload.done number={} listeners={} upstreams={} routes={} took_ms={}", in_force.number - 1,
                 settings.listen.size(), settings.upstreams.size(), settings.routes.size(),
                 std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    reloading = false;
    if (std::exchange(reload_again, false)) reload();
}

Server::Server(config::Config config, std::function<config::Loaded()> load)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(load))) {}
Server::~Server() = default;
void Server::run() { impl_->run(); }

}  // namespace rotagate::proxy
