// How a running server takes another configuration over, as a whole or not at all.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include "proxy/log_line.hpp"
#include "proxy/server_impl.hpp"

namespace rotagate::proxy {
namespace {

std::string in_quotes(std::string_view text) {
    fmt::memory_buffer out;
    append_quoted(out, text);
    return fmt::to_string(out);
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

}  // namespace rotagate::proxy
