#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config/config.hpp"
#include "proxy/cookies.hpp"
#include "proxy/snapshot.hpp"
#include "proxy/upstreams.hpp"

namespace rotagate::proxy {

/// A configuration with what was made of it, as one event loop uses it. Immutable: a request keeps the one that it
/// began with, so that another can take its place at any time. The last request that has it frees it.
struct Site {
    /// The pools of one upstream on this event loop. Sites share it for as long as the upstream does not change.
    struct Upstream {
        std::shared_ptr<const UpstreamState> state;
        std::shared_ptr<UpstreamPool> pool;
    };

    /// @param its_upstreams  all that the configuration names
    Site(std::uint64_t its_number, std::shared_ptr<const config::Config> its_settings,
         std::vector<Upstream> its_upstreams);

    const std::uint64_t number;  ///< of the snapshot
    const std::shared_ptr<const config::Config> settings;
    const config::Config& config = *settings;
    const SetCookieWriter cookie_writer;
    const std::vector<Upstream> upstreams;
    std::vector<UpstreamPool*> pools;  ///< for each route, its upstream's
    std::string audience;              ///< what session cookies are bound to; host-only ones to their host besides
};

}  // namespace rotagate::proxy
