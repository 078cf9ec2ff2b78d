#pragma once

#include <memory>
#include <vector>

#include "config/config.hpp"
#include "proxy/upstreams.hpp"

namespace rotagate::proxy {

/// A configuration with what was made of it, as one event loop uses it. Immutable: a request keeps the one that it
/// began with, so that another can take its place at any time.
struct Site {
    config::Config config;
    std::vector<UpstreamPool*> pools;  ///< for each route, its upstream's; the event loop owns them
    bool several_hosts = false;        ///< host-only cookies are bound to their host
    std::string audience;              ///< what session cookies are bound to, but for the host where there are several
    std::string delete_cookie;         ///< the Set-Cookie value that deletes the session cookie
};

}  // namespace rotagate::proxy
