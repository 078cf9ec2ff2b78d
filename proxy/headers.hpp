#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/message.hpp"

/// Which header fields pass, in which form, in both directions (SPEC section 3, SECURITY.md section 2).
namespace rotagate::proxy {

/// Who the user is, as the app will read it: percent-encoded outside printable ASCII, and "%".
struct Identity {
    std::string user;
    std::string org;                           ///< empty: none
    std::optional<std::string_view> data;      ///< X-Session-Data; none: the route does not ask for it
};
std::string header_encoded(std::string_view text);

/// The client as the connection sees it, before any X-Forwarded-For is believed.
struct Peer {
    std::string address;   ///< IP address without port; "unix" for a unix socket
    bool trusted = false;  ///< in trusted_proxies: its forwarding headers count
    bool https = false;
};

/// Whether an address is in one of the networks. IPv4-mapped IPv6 addresses count as IPv4.
bool in_networks(std::string_view address, const std::vector<config::Network>& networks);

/// The client's address: the peer's, or, where the peer is trusted, the last in X-Forwarded-For (or Forwarded) that is
/// not a trusted proxy itself.
std::string client_address(const RequestHead& head, const Peer& peer, const std::vector<config::Network>& trusted);

struct RequestRules {
    const config::Route& route;
    const Peer& peer;
    const Identity* identity = nullptr;               ///< null: nobody; then no X-User-* is sent
    std::optional<std::string_view> cookies;          ///< of split_cookies()
    std::string_view host;                            ///< Host for the app, by `host:` of the route
    std::string_view request_id;
};
/// The fields that the app gets, framing fields (Content-Length, Transfer-Encoding) and Expect included. Hop-by-hop fields and those
/// that Connection names go first, then what is ours is added: no client can have it removed.
void app_request_fields(const RequestHead& head, const RequestRules& rules, Arena& arena, Fields& out);

struct ResponseRules {
    const config::Route& route;
    const RequestHead& request;
    bool https = true;                                ///< how the client reached us, for Location
    std::string_view upstream_host;                   ///< the app's server's authority, for Location
    std::string_view cookie_name;                     ///< no app may set a cookie of this name
    std::optional<std::string_view> set_cookie;       ///< the session cookie to set or delete
    bool session_route = true;                        ///< no shared cache may store the answer
};
/// The fields that the client gets, without framing fields and Connection, which its connection adds.
void client_response_fields(const ResponseHead& head, const ResponseRules& rules, Arena& arena, Fields& out);

/// What an app's X-Session-* fields ask for (SPEC section 3).
struct SessionCommand {
    enum class End { none, session, user };
    std::optional<std::string_view> user;  ///< not empty: start a session
    std::string_view org;
    bool permanent = false;
    std::optional<std::string_view> data;
    End end = End::none;

    bool any() const { return user || data || end != End::none; }
};
/// @return none where the fields contradict each other, come twice, or have no valid form: answer 502
std::optional<SessionCommand> session_command(const ResponseHead& head);

}  // namespace rotagate::proxy
