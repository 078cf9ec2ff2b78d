#include "proxy/server.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include "proxy/listening_sockets.hpp"
#include "proxy/server_impl.hpp"

namespace rotagate::proxy {
namespace {

/// The first snapshot. What cannot be used ends the start.
Snapshot first_snapshot(config::Config settings) try {
    return make_snapshot(std::move(settings), nullptr);
} catch (const Unusable& unusable) {
    throw std::runtime_error(unusable.what());
}

/// Blocks or unblocks, for the thread that calls and those that it starts from then on, what Impl::signals waits for.
void mask_signals(int how) {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(how, &signals, nullptr);
}

}  // namespace

Server::Impl::Impl(config::Config settings, std::function<config::Loaded()> its_load)
    : load(std::move(its_load)),
      stores(session::open_stores(settings.session, control,
                                  [this](const session::SessionId& id, session::Expiry why) { ended(id, why); })),
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
    mask_signals(SIG_UNBLOCK);
    control.run();
    mask_signals(SIG_BLOCK);
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
    if (draining) return stop_now("the second signal");
    draining = true;
    deadlines.arm(last_call, in_force.config->limits.drain_timeout);
    spdlog::info("draining signal={} connections={}", signal, shared.connections.load());
    for (const auto& loop : loops) loop->drain();
}

/// Ends the loops, and with them whatever is under way.
void Server::Impl::stop_now(std::string_view why) {
    spdlog::warn("stopping connections={} detail=\"{}: requests in flight are cut\"", shared.connections.load(), why);
    for (const auto& loop : loops) loop->context.stop();
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

void Server::Impl::ended(const session::SessionId& id, session::Expiry why) {
    switch (why) {
        case session::Expiry::idle:
            return log_end(id, Reason::idle, {});
        case session::Expiry::absolute:
            return log_end(id, Reason::absolute, {});
        case session::Expiry::replay:
            break;
    }
    log_end(id, Reason::replay, "the store told so after the request was answered with 503");
    if (in_force.config->session.on_replay != config::OnReplay::end_user) return;
    store->end_user(id.user(), [this, id](const session::Result<std::vector<session::SessionId>>& others) {
        if (!others) return log_unconfirmed(id);
        for (const session::SessionId& other : *others)
            log_end(other, Reason::replay, "another session's cookie was replayed");
    });
}

void Server::Impl::log_end(const session::SessionId& id, Reason reason, std::string_view detail) {
    const session::User user = id.user();
    security_log.write({.kind = SecurityEvent::Kind::ended,
                        .reason = reason,
                        .user = user.id,
                        .org = user.org,
                        .session = id.log_name(),
                        .client = "-",
                        .request_id = {},
                        .detail = detail},
                       control_metrics);
}

/// The other sessions of a replayed one's user could not be ended, or nobody knows.
void Server::Impl::log_unconfirmed(const session::SessionId& id) {
    const session::User user = id.user();
    security_log.write(
        {.kind = SecurityEvent::Kind::refused,
         .reason = Reason::store_unavailable,
         .user = user.id,
         .org = user.org,
         .session = {},
         .client = "-",
         .request_id = {},
         .detail = "the end of all sessions of this user, after a replay, is not confirmed; revoke them"},
        control_metrics);
}

Server::Server(config::Config config, std::function<config::Loaded()> load) {
    // Signals come to the thread of run() and to what it starts, and only while it runs. One that comes once more when
    // all is drained would otherwise kill the process amid its clean end, and a supervisor would take it for a crash.
    mask_signals(SIG_BLOCK);
    impl_ = std::make_unique<Impl>(std::move(config), std::move(load));
}
Server::~Server() = default;
void Server::run() { impl_->run(); }

}  // namespace rotagate::proxy
