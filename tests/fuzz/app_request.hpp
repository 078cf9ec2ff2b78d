#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/cookies.hpp"
#include "proxy/headers.hpp"
#include "proxy/http1.hpp"

/// What must hold of each request that an app gets, by whatever protocol it came.
namespace rotagate::fuzz {

inline void require(bool holds) {
    if (!holds) std::abort();
}

/// It leaves as one request with the same framing that names no user but the gateway's.
inline void check_app_request(const proxy::RequestHead& head, bool trusted) {
    using namespace proxy;
    const config::Route route;
    const Peer peer{"192.0.2.1", trusted, true};
    const Identity identity{"the-user", "", std::nullopt};
    Arena arena;
    const auto cookies = split_cookies(head.fields, "sid", arena);
    const std::string_view host = head.authority.empty() ? "app" : head.authority;
    const RequestRules rules{.route = route,
                             .peer = peer,
                             .origin = client_origin(head, peer, {}),
                             .identity = &identity,
                             .cookies = cookies.others,
                             .host = host,
                             .request_id = "request"};
    Fields fields;
    app_request_fields(head, rules, arena, fields);
    if (fields.size() > 200) return;
    std::string text;
    http1::write_request_head(text, head.method, head.target, fields);
    RequestHead forwarded;
    std::size_t scanned = 0;
    require(http1::scan_head(text, scanned).length == text.size());
    require(!http1::parse_request_head(text, forwarded));
    require(forwarded.content_length == head.content_length);
    require((forwarded.framing == Framing::chunked) == (head.framing == Framing::chunked));
    require(forwarded.expect_continue == head.expect_continue && forwarded.keep_alive);
    int users = 0;
    for (const Field& field : forwarded.fields) {
        require(field.known != Known::misspelt && field.known != Known::never_forwarded);
        require(field.known != Known::x_user_org && field.known != Known::x_session);
        if (field.known != Known::x_user_id) continue;
        require(field.value == "the-user");
        ++users;
    }
    require(users == 1);
    require(split_cookies(forwarded.fields, "sid", arena).sessions.empty());
}

}  // namespace rotagate::fuzz
