#include "proxy/server.hpp"

#include <cstdio>
#include <new>
#include <stdexcept>
#include <thread>

#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "proxy/admin.hpp"
#include "proxy/event_loop.hpp"
#include "proxy/health.hpp"
#include "session/stores.hpp"

namespace rotagate::proxy {
namespace {

session::KeyRing read_keys(const config::Cookie& settings) {
    session::KeyRing ring;
    for (const auto& file : settings.key_files) {
        auto key = session::CookieKey::read(file);
        if (!key)
            throw std::runtime_error(
                fmt::format("{}: cannot use this cookie key: {}; make one with: rotagate keygen --out FILE",
                            file.string(), key.error().message()));
        ring.keys.push_back(std::move(*key));
    }
    if (ring.keys.empty()) {
        spdlog::warn(
            "cookie.random_key cure=\"set session.cookie.key_files: sessions end with this process otherwise\"");
        ring.keys.push_back(session::CookieKey::generate());
    }
    return ring;
}

HealthTable make_health(const std::vector<config::Upstream>& upstreams) {
    HealthTable table;
    for (const config::Upstream& upstream : upstreams) {
        table.emplace_back();
        for (std::size_t i = 0; i < upstream.servers.size(); ++i)
            table.back().push_back(std::make_shared<ServerHealth>());
    }
    return table;
}

}  // namespace

struct Server::Impl {
    explicit Impl(config::Config settings);
    void run();

    void listen();
    void housekeeping();
    void await_signal();
    void on_signal(int signal);
    void expired(const session::SessionId& id, session::Expiry why);

    config::Config config;
    AccessLog access_log{config.log};
    SecurityLog security_log{config.log};
    Metrics metrics;
    LoopMetrics& control_metrics = metrics.add_loop();
    tls::ServerState tls{config.tls_tickets};
    Shared shared{config, read_keys(config.session.cookie), make_health(config.upstreams), access_log, security_log,
                  tls};

    // The main thread's own loop: signals, admin address, health checks, housekeeping.
    asio::io_context control{1};
    std::unique_ptr<session::SessionStores> stores = session::open_stores(
        config.session, control, [this](const session::SessionId& id, session::Expiry why) { expired(id, why); });
    std::shared_ptr<session::SessionStore> store = stores->on(control);
    Deadlines deadlines;
    asio::signal_set signals{control, SIGTERM, SIGINT, SIGHUP};
    asio::steady_timer ticker{control};
    std::vector<std::unique_ptr<EventLoop>> loops;
    std::unique_ptr<HealthChecks> health;
    std::unique_ptr<Admin> admin;
    std::size_t running = 0;
    unsigned ticks = 0;
    bool draining = false;
};

Server::Impl::Impl(config::Config settings) : config(std::move(settings)) {
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
    const unsigned threads = config.threads > 0 ? config.threads : std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < threads; ++i)
        loops.push_back(std::make_unique<EventLoop>(shared, *stores, metrics.add_loop()));
    listen();
    health = std::make_unique<HealthChecks>(control, config.upstreams, shared.health, deadlines);
    if (config.admin) {
        admin = std::make_unique<Admin>(control, *config.admin,
                                        AdminParts{.store = *store,
                                                   .metrics = metrics,
                                                   .loop_metrics = control_metrics,
                                                   .security_log = security_log,
                                                   .dead_upstreams = [this] { return health->dead_upstreams(); }});
        spdlog::info("admin.listening address={}", admin->address());
    }
}

void Server::Impl::listen() {
    for (config::Listener& listener : config.listen) {
        try {
            for (const auto& loop : loops) listener.address.port = loop->listen(listener, listener.address.port);
        } catch (const boost::system::system_error& error) {
            throw std::runtime_error(
                fmt::format("cannot listen on {}: {}", listener.address.text(), error.code().message()));
        }
        spdlog::info("listening address={} tls={} redirect_to_https={}", listener.address.text(),
                     listener.tls.has_value(), listener.redirect_to_https);
    }
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
    if (signal == SIGHUP) {
        spdlog::warn("reload.not_available cure=\"this version reads its configuration at the start: restart it\"");
        return;
    }
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
        tls.look_after();
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

Server::Server(config::Config config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Server::~Server() = default;
void Server::run() { impl_->run(); }

}  // namespace rotagate::proxy
