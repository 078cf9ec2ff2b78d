#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "proxy/forwarded.hpp"
#include "proxy/message.hpp"

/// The handshake of a WebSocket as the one in the middle sees it (RFC 6455 section 4; RFC 8441).
namespace rotagate::proxy::websocket {

/// What is wrong with a handshake that a client asks for.
enum class Refusal {
    none,
    foreign_origin,  ///< 403: the page of another site than the route lets open WebSockets
    bad_version,     ///< 426 over HTTP/1, where another may be tried; else 400
    bad_key,         ///< 400
};
/// @param head    of a request with `websocket` other than none
/// @param origin  where the client is, to whose own pages it is always open
Refusal refusal(const RequestHead& head, const ClientOrigin& origin, const config::WebSocket& rules);

/// The key that the app has to answer: the client's own, or, over HTTP/2, which has none, a new one.
std::string_view key_for_app(const RequestHead& head, Arena& arena);
/// Sec-WebSocket-Accept for a key.
std::string accept_of(std::string_view key);

/// Adds to the fields for the app what makes them an upgrade. The client's key gives way to `key`.
void add_upgrade(std::string_view key, Fields& fields);
/// Whether an app's 101 agrees to the upgrade, and to nothing else.
bool agrees(const ResponseHead& head, std::string_view key);

}  // namespace rotagate::proxy::websocket
