#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/message.hpp"

namespace rotagate::proxy {

/// The first route that matches; null: none (404).
/// @param host    lower case, without port
/// @param path    canonical; the letter case of percent-encoded bytes does not matter
/// @param method  a route for GET takes HEAD too
const config::Route* find_route(const std::vector<config::Route>& routes, std::string_view host, std::string_view path,
                                std::string_view method);

/// Whether the request is a page load, which may be redirected to a login page: GET or HEAD with Sec-Fetch-Mode:
/// navigate, or, without Sec-Fetch headers, with an Accept that names text/html.
bool is_page_load(const RequestHead& head);

/// The redirect's Location: "{uri}" becomes the percent-encoded path and query.
std::string login_location(std::string_view redirect, std::string_view path, std::string_view query);

}  // namespace rotagate::proxy
