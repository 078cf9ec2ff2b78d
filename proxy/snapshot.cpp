#include "proxy/snapshot.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <thread>

#include <boost/system/system_error.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "proxy/listening_sockets.hpp"
#include "session/stores.hpp"

namespace rotagate::proxy {
namespace {

/// What cannot change while the process runs.
void check_fixed(const config::Config& wanted, const config::Config& in_force) {
    std::vector<Unusable::Setting> changed;
    const auto note = [&](std::string key) {
        changed.push_back({std::move(key), "cannot change while the gateway runs; restart it, or write what it was"});
    };
    if (loop_count(wanted) != loop_count(in_force)) note("threads");
    for (std::string& key : session::fixed_settings(in_force.session, wanted.session)) note(std::move(key));
    if (!changed.empty()) throw Unusable(std::move(changed));
}

bool same_keys(const session::KeyRing& a, const session::KeyRing& b) {
    return std::ranges::equal(a.keys, b.keys, {}, &session::CookieKey::secret, &session::CookieKey::secret);
}

std::shared_ptr<const session::KeyRing> read_keys(const config::Cookie& wanted, const Snapshot* in_force) {
    auto ring = std::make_shared<session::KeyRing>();
    for (std::size_t i = 0; i < wanted.key_files.size(); ++i) {
        const auto& file = wanted.key_files[i];
        auto key = session::CookieKey::read(file);
        if (!key)
            throw Unusable(fmt::format("session.cookie.key_files[{}]", i),
                           fmt::format("{}: cannot use this cookie key: {}; make one with: rotagate keygen --out FILE",
                                       file.string(), key.error().message()));
        ring->keys.push_back(std::move(*key));
    }
    if (ring->keys.empty()) {
        // The process's random key, for as long as it runs: nobody is signed out by a reload.
        if (in_force && in_force->config->session.cookie.key_files.empty()) return in_force->keys;
        spdlog::warn(
            "cookie.random_key cure=\"set session.cookie.key_files: sessions end with this process otherwise\"");
        ring->keys.push_back(session::CookieKey::generate());
    }
    if (in_force && same_keys(*ring, *in_force->keys)) return in_force->keys;
    return ring;
}

// ---- upstreams ------------------------------------------------------------------------------------------------------

std::string contents(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// The health of the upstream's servers, where they are checked as before.
std::vector<std::shared_ptr<ServerHealth>> health_of(const config::Upstream& wanted, const UpstreamState* before) {
    std::vector<std::shared_ptr<ServerHealth>> health;
    const bool same_checks = before && before->settings.health == wanted.health && before->settings.tls == wanted.tls &&
                             before->settings.protocol == wanted.protocol;
    for (const config::Address& server : wanted.servers) {
        health.push_back(std::make_shared<ServerHealth>());
        if (!same_checks) continue;
        const auto& servers = before->settings.servers;
        const auto known = std::ranges::find(servers, server);
        if (known != servers.end()) health.back() = before->health[known - servers.begin()];
    }
    return health;
}

std::shared_ptr<const UpstreamState> state_of(const config::Upstream& wanted, const Snapshot* in_force) {
    const UpstreamState* before = nullptr;
    const std::string authorities = wanted.tls && !wanted.tls->ca.empty() ? contents(wanted.tls->ca) : std::string();
    if (in_force) {
        for (const Snapshot::Upstream& known : in_force->upstreams) {
            if (known.state->settings.name != wanted.name) continue;
            if (known.state->settings == wanted && known.state->authorities == authorities) return known.state;
            before = known.state.get();
        }
    }
    return std::make_shared<const UpstreamState>(UpstreamState{wanted, authorities, health_of(wanted, before)});
}

tls::Context context_of(const config::Upstream& upstream) {
    if (!upstream.tls) return nullptr;
    try {
        return tls::upstream_context(*upstream.tls);
    } catch (const std::runtime_error& error) {
        throw Unusable("upstreams." + upstream.name + ".tls", error.what());
    }
}

void add_upstreams(Snapshot& next, const Snapshot* in_force) {
    for (const config::Upstream& wanted : next.config->upstreams) {
        auto state = state_of(wanted, in_force);
        const bool known = in_force && std::ranges::any_of(in_force->upstreams, [&](const auto& upstream) {
                               return upstream.state == state;
                           });
        for (LoopSnapshot& loop : next.loops) loop.upstreams.push_back({state, known ? nullptr : context_of(wanted)});
        next.upstreams.push_back({state, known ? nullptr : context_of(wanted)});
    }
}

// ---- listeners ------------------------------------------------------------------------------------------------------

/// The sockets that are there already keep their place, port 0 by port 0 in their order.
std::vector<Snapshot::Listener> place_listeners(std::vector<config::Listener>& wanted, const Snapshot* in_force) {
    std::vector<Snapshot::Listener> free;
    if (in_force) free = in_force->listeners;
    std::size_t next_id = 0;
    for (const auto& known : free) next_id = std::max(next_id, known.id + 1);
    std::vector<Snapshot::Listener> placed;
    for (config::Listener& listener : wanted) {
        auto known = std::ranges::find(free, listener.address, &Snapshot::Listener::configured);
        if (known == free.end()) known = std::ranges::find(free, listener.address, &Snapshot::Listener::bound);
        if (known == free.end()) {
            placed.push_back({next_id++, listener.address, listener.address});
            continue;
        }
        placed.push_back({known->id, listener.address, known->bound});
        listener.address = known->bound;
        free.erase(known);
    }
    return placed;
}

/// The keys of session tickets and what else lives through reloads.
std::shared_ptr<tls::ServerState> tls_state(const config::TlsTickets& settings, const Snapshot* in_force) {
    if (in_force) return in_force->tls;
    try {
        return std::make_shared<tls::ServerState>(settings);
    } catch (const std::runtime_error& error) {
        throw Unusable("tls_tickets.key_files", error.what());
    }
}

std::shared_ptr<const tls::ServerContexts> contexts_of(const config::Listener& listener, std::size_t index,
                                                       tls::ServerState& state) {
    if (!listener.tls) return nullptr;
    try {
        return std::make_shared<const tls::ServerContexts>(*listener.tls, listener.http2, state);
    } catch (const std::runtime_error& error) {
        throw Unusable(fmt::format("listen[{}].tls", index), error.what());
    }
}

/// Whether one of the addresses covers the other.
bool overlap(const config::Address& a, const config::Address& b) {
    const auto is_any = [](const config::Address& address) {
        return address.host == "0.0.0.0" || address.host == "::";
    };
    return a.port == b.port && (a.host == b.host || is_any(a) || is_any(b));
}

void open_sockets(config::Address& address, bool shared, std::size_t index, std::vector<LoopSnapshot>& loops) {
    try {
        auto sockets = open_listening_sockets(address, loops.size(), shared);
        for (std::size_t i = 0; i < loops.size(); ++i) loops[i].listeners[index].socket = std::move(sockets[i]);
    } catch (const boost::system::system_error& error) {
        throw Unusable(fmt::format("listen[{}].address", index), cannot_listen(address, error.code()));
    }
}

void add_listeners(Snapshot& next, config::Config& settings, const Snapshot* in_force) {
    next.listeners = place_listeners(settings.listen, in_force);
    for (std::size_t i = 0; i < settings.listen.size(); ++i)
        for (LoopSnapshot& loop : next.loops)
            loop.listeners.push_back({next.listeners[i].id, settings.listen[i],
                                      contexts_of(settings.listen[i], i, *next.tls), Descriptor()});
    // The last that can fail: who connects meanwhile waits for it.
    for (std::size_t i = 0; i < settings.listen.size(); ++i) {
        Snapshot::Listener& placed = next.listeners[i];
        const bool known = in_force && std::ranges::find(in_force->listeners, placed.id, &Snapshot::Listener::id) !=
                                           in_force->listeners.end();
        if (known) continue;
        const auto covers = [&](const Snapshot::Listener& other) { return overlap(other.bound, placed.bound); };
        const bool shared =
            (in_force && std::ranges::any_of(in_force->listeners, covers)) ||
            std::any_of(next.listeners.begin(), next.listeners.begin() + static_cast<std::ptrdiff_t>(i), covers);
        open_sockets(placed.bound, shared, i, next.loops);
        settings.listen[i].address = placed.bound;
        for (LoopSnapshot& loop : next.loops) loop.listeners[i].settings.address = placed.bound;
    }
}

Snapshot with_logs(const config::Log& settings) {
    try {
        return {.access_log = AccessLog(settings), .security_log = SecurityLog(settings)};
    } catch (const std::runtime_error& error) {
        throw Unusable("log", error.what());
    }
}

}  // namespace

std::size_t loop_count(const config::Config& settings) {
    return settings.threads > 0 ? settings.threads : std::max(1U, std::thread::hardware_concurrency());
}

Snapshot make_snapshot(config::Config settings, const Snapshot* in_force) {
    if (in_force) check_fixed(settings, *in_force->config);
    Snapshot next = with_logs(settings.log);
    next.number = in_force ? in_force->number + 1 : 1;
    next.keys = read_keys(settings.session.cookie, in_force);
    next.tls = tls_state(settings.tls_tickets, in_force);
    for (std::size_t i = 0; i < loop_count(settings); ++i)
        next.loops.push_back({.access_log = next.access_log, .security_log = next.security_log});
    const auto shared = std::make_shared<config::Config>(std::move(settings));
    next.config = shared;
    add_upstreams(next, in_force);
    add_listeners(next, *shared, in_force);
    for (LoopSnapshot& loop : next.loops) {
        loop.number = next.number;
        loop.config = next.config;
        loop.keys = next.keys;
    }
    return next;
}

}  // namespace rotagate::proxy
