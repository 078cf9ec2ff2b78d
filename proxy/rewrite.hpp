#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"

/// What `rewrite: { strip_prefix }` does to a request, and puts right on the way back.
namespace rotagate::proxy {

/// The path for the app: without the prefix, where it has it; it still begins with "/".
/// @param path  canonical
std::string_view stripped_path(std::string_view path, std::string_view strip_prefix);

/// Authorities; empty: none.
using Origins = std::array<std::string_view, 3>;

/// How the client and the app name the same place.
struct Places {
    std::string_view strip_prefix;                     ///< what the client's paths have in front; may be empty
    std::string_view client_scheme, client_authority;  ///< how the client names it
    Origins origins;                                   ///< under which the app may name itself
};

/// A Location or Content-Location of the app as the client must see it; none: leave it.
std::optional<std::string> rewritten_location(std::string_view location, const Places& places);

/// The same for Refresh: "5; url=/next".
std::optional<std::string> rewritten_refresh(std::string_view refresh, const Places& places);

/// A Set-Cookie value of such an app with its Path put right; none: leave it. A cookie whose name begins with __Host-
/// is left, since its path must be "/".
std::optional<std::string> rewritten_cookie_path(std::string_view set_cookie, std::string_view strip_prefix);

}  // namespace rotagate::proxy
