#pragma once

#include <memory>
#include <vector>

#include "config/config.hpp"
#include "proxy/cookies.hpp"
#include "proxy/upstreams.hpp"

namespace rotagate::proxy {

/// A configuration with what was made of it, as one event loop uses it. Immutable: a request keeps the one that it
/// began with, so that another can take its place at any time.
struct Site {
    explicit Site(const config::Config& settings) : config(settings), cookie_writer(config.session.cookie) {}

    config::Config config;
    SetCookieWriter cookie_writer;
    std::vector<UpstreamPool*> pools;  ///< for each route, its upstream's; the event loop owns them
    std::string audience;              ///< what session cookies are bound to; host-only ones to their host besides
};

}  // namespace rotagate::proxy
