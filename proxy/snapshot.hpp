#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "proxy/access_log.hpp"
#include "proxy/descriptor.hpp"
#include "proxy/tls_server.hpp"
#include "proxy/upstreams.hpp"
#include "session/keys.hpp"

/// A configuration in force, with all that was made of it. A reload makes another one, completely, before anything of
/// this one goes: whatever can fail fails there.
namespace rotagate::proxy {

/// An upstream, over reloads: the same object for as long as nothing about it changes, and so the same pools and
/// health.
struct UpstreamState {
    config::Upstream settings;
    std::string authorities;                            ///< what the file of its authorities held
    std::vector<std::shared_ptr<ServerHealth>> health;  ///< of each server
};

/// What one event loop takes over.
struct LoopSnapshot {
    struct Upstream {
        std::shared_ptr<const UpstreamState> state;
        tls::Context tls;  ///< for a new pool; null: plain, or the loop has its pool
    };
    struct Listener {
        std::size_t id;                                  ///< the same over reloads, as long as the address is named
        config::Listener settings;                       ///< with the port that the system chose
        std::shared_ptr<const tls::ServerContexts> tls;  ///< null: plain
        Descriptor socket;                               ///< listening; none: the loop has it
    };
    std::uint64_t number = 0;  ///< of the snapshot; each has another
    std::shared_ptr<const config::Config> config;
    std::vector<Upstream> upstreams;
    std::vector<Listener> listeners;
    std::shared_ptr<const session::KeyRing> keys;
    AccessLog access_log;
    SecurityLog security_log;
};

/// What the main thread keeps of it, to make the next.
struct Snapshot {
    struct Upstream {
        std::shared_ptr<const UpstreamState> state;
        tls::Context tls;  ///< for new health checks
    };
    struct Listener {
        std::size_t id;
        config::Address configured, bound;
    };
    std::uint64_t number = 0;
    std::shared_ptr<const config::Config> config;  ///< its listeners with the ports that the system chose
    std::vector<Upstream> upstreams;
    std::vector<Listener> listeners;
    std::shared_ptr<const session::KeyRing> keys;
    std::shared_ptr<tls::ServerState> tls;  ///< the same over reloads, and as long as any contexts
    AccessLog access_log;
    SecurityLog security_log;
    std::vector<LoopSnapshot> loops;  ///< to be taken over
};

/// Settings that cannot be put into force.
struct Unusable : std::exception {
    struct Setting {
        std::string key;      ///< such as "listen[1].address"
        std::string message;  ///< what is wrong with it, and the cure
    };
    explicit Unusable(std::vector<Setting> which) : settings(std::move(which)) {}
    Unusable(std::string key, std::string message) : settings{{std::move(key), std::move(message)}} {}
    const char* what() const noexcept override { return settings.front().message.c_str(); }

    std::vector<Setting> settings;  ///< at least one
};

/// How many event loops the configuration asks for.
std::size_t loop_count(const config::Config& settings);

/// Makes a snapshot: reads certificates, keys and authorities, opens logs and new addresses. Throws Unusable, or
/// std::exception for a broken machine; nothing has changed then.
/// @param in_force  null: this is the start
Snapshot make_snapshot(config::Config settings, const Snapshot* in_force);

}  // namespace rotagate::proxy
