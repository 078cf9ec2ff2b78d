#pragma once

#include <string>
#include <string_view>

#include "config/config.hpp"

namespace rotagate::bench {

/// Where a site is: "https://example.org:8443/path".
struct Target {
    bool secure = true;      ///< https
    config::Address server;  ///< to connect to
    std::string authority;   ///< for Host: the port is left out where it is the scheme's own
    std::string path;        ///< with its query; "/" where there is none

    /// Throws std::runtime_error that names the cure.
    static Target parse(std::string_view url);
};

}  // namespace rotagate::bench
