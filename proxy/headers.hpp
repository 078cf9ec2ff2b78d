#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "proxy/forwarded.hpp"
#include "proxy/message.hpp"
#include "proxy/session_control.hpp"

/// Which header fields pass, in which form, in both directions (SPEC section 3, SECURITY.md section 2).
namespace rotagate::proxy {

/// Who the user is, as the app will read it: percent-encoded outside printable ASCII, and "%".
struct Identity {
    std::string user;
    std::string org;                       ///< empty: none
    std::optional<std::string_view> data;  ///< X-Session-Data; none: the route does not ask for it
};
/// Percent-encodes bytes outside printable ASCII, and "%".
std::string header_encoded(std::string_view text);

struct RequestRules {
    const config::Route& route;
    const Peer& peer;
    ClientOrigin origin;
    const Identity* identity = nullptr;       ///< null: nobody; then no X-User-* is sent
    std::optional<std::string_view> cookies;  ///< of split_cookies()
    std::string_view host;                    ///< Host for the app, by `host:` of the route
    std::string_view request_id;
};
/// The fields that the app gets, framing fields (Content-Length, Transfer-Encoding) and Expect included. Hop-by-hop
/// fields and those that Connection names go first, then what is ours is added: no client can have it removed. `out`
/// holds views into all that `rules` refers to.
void app_request_fields(const RequestHead& head, const RequestRules& rules, Arena& arena, Fields& out);

struct ResponseRules {
    const config::Route& route;
    const RequestHead& request;
    ClientOrigin origin;                         ///< for Location
    std::string_view server_host;                ///< the app's server's own Host, for Location
    std::string_view cookie_name;                ///< no app may set a cookie of this name
    std::optional<std::string_view> set_cookie;  ///< the session cookie to set or delete
    bool session_route = true;                   ///< no shared cache may store the answer
    bool ours = false;                           ///< the gateway answers: edits are not of what tells of the content
};
/// The fields that the client gets, without framing fields and Connection, which its connection adds; but the app's
/// Content-Length is kept in answers to HEAD and in 304, where it frames nothing.
void client_response_fields(const ResponseHead& head, const ResponseRules& rules, Arena& arena, Fields& out);

/// The fields behind a body that pass, towards the client and towards the app. What frames a message, routes it, or is
/// known to a rule in a head belongs there, and is dropped here (RFC 9110 section 6.5.1).
void client_trailer_fields(std::span<const Field> trailers, const config::Route& route, Fields& out);
void app_trailer_fields(std::span<const Field> trailers, const config::Route& route, Fields& out);

}  // namespace rotagate::proxy
