#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/message.hpp"

namespace rotagate::proxy {

/// The first route that matches; null: none (404).
/// @param host  lower case, without port
/// @param path  canonical
const config::Route* find_route(const std::vector<config::Route>& routes, std::string_view host, std::string_view path,
                                std::string_view method);

/// Whether the request is a page load, which may be redirected to a login page: GET or HEAD with Sec-Fetch-Mode:
/// navigate, or, without Sec-Fetch headers, with an Accept that names text/html.
bool is_page_load(const RequestHead& head);

/// The redirect's Location: "{uri}" becomes the percent-encoded path and query.
std::string login_location(std::string_view redirect, std::string_view path, std::string_view query);

/// Location (and Content-Location, Refresh) of an app whose prefix was stripped, as the client must see it; none: leave it.
/// @param origins  authorities under which the app may name itself: the one it was sent, and its server's
std::optional<std::string> rewritten_location(std::string_view location, std::string_view strip_prefix,
                                              std::string_view client_scheme, std::string_view client_authority,
                                              const std::vector<std::string_view>& origins);

/// A Set-Cookie value of such an app with its Path put right; none: leave it.
std::optional<std::string> rewritten_cookie_path(std::string_view set_cookie, std::string_view strip_prefix);

}  // namespace rotagate::proxy
