#pragma once

#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/message.hpp"

/// Requests of pages from other origins, on routes with `cors`. What the app answers is the app's matter.
/// Source: the Fetch standard, "HTTP extensions".
namespace rotagate::proxy {

/// The route that a preflight asks about: a question of the browser's, without credentials, whether a page of a listed
/// origin may send a request of another method; null: it is none, or about a route without `cors` for that origin.
/// @param host, path  as of find_route()
const config::Route* preflight_route(const std::vector<config::Route>& routes, const RequestHead& head,
                                     std::string_view host, std::string_view path);

/// Adds what lets a page of a listed origin read an answer of the gateway's own; nothing for other requests.
void add_cors_fields(const config::Cors& cors, const RequestHead& head, Fields& out);

}  // namespace rotagate::proxy
