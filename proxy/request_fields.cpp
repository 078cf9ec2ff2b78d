#include <charconv>

#include "proxy/client_certificate.hpp"
#include "proxy/field_rules.hpp"
#include "proxy/headers.hpp"

namespace rotagate::proxy {
namespace {

/// Whether a field of the client reaches the app as it is, if nothing of the route or of Connection is against it.
bool passes(Known known, const Peer& peer) {
    switch (known) {
        case Known::cookie:
        case Known::never_forwarded:
            return false;
        case Known::x_real_ip:
            return peer.trusted;
        default:
            return !is_ours(known);
    }
}

void add_client_fields(const RequestHead& head, const RequestRules& rules, Fields& out) {
    const ConnectionNames connection(head.fields);
    const config::HeaderEdits& edits = rules.route.request_headers;  // for every name that an app may take for the same
    for (const Field& field : head.fields) {
        if (!passes(field.known, rules.peer) || connection.contains(field.name)) continue;
        if (!is_edited(edits, field.name, same_folded_name)) out.push_back(field);
    }
    if (rules.cookies && !is_edited(edits, "cookie", same_folded_name)) {
        out.push_back({"Cookie", *rules.cookies, Known::cookie});
    }
    for (const auto& [name, value] : edits.set) {
        const Known known = classify(name);
        if (!is_ours(known)) out.push_back({name, value, known});
    }
}

void add_identity(const RequestRules& rules, Fields& out) {
    if (rules.identity == nullptr) return;
    const Identity& identity = *rules.identity;
    out.push_back({"X-User-Id", identity.user, Known::x_user_id});
    if (!identity.org.empty()) out.push_back({"X-User-Org", identity.org, Known::x_user_org});
    if (identity.data) out.push_back({"X-Session-Data", *identity.data, Known::x_session});
}

void add_length(std::uint64_t length, Arena& arena, Fields& out) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, length).ptr;
    const std::string_view text(digits, static_cast<std::size_t>(end - digits));
    out.push_back({"Content-Length", arena.keep(text), Known::content_length});
}

void add_framing(const RequestHead& head, Arena& arena, Fields& out) {
    // Without a body these methods say so, lest an app wait for one (RFC 9110 section 8.6).
    const bool expects_body = head.method == "POST" || head.method == "PUT" || head.method == "PATCH";
    switch (head.framing) {
        case Framing::length:
            add_length(head.content_length, arena, out);
            break;
        case Framing::chunked:
        case Framing::until_close:
            out.push_back({"Transfer-Encoding", "chunked", Known::transfer_encoding});
            break;
        case Framing::none:
            if (expects_body) add_length(0, arena, out);
            break;
    }
    if (head.expect_continue) out.push_back({"Expect", "100-continue", Known::expect});
}

}  // namespace

void app_request_fields(const RequestHead& head, const RequestRules& rules, Arena& arena, Fields& out) {
    out.push_back({"Host", rules.host, Known::host});
    add_client_fields(head, rules, out);
    add_framing(head, arena, out);
    add_forwarding_fields(head, rules.peer, rules.origin, arena, out);
    out.push_back({"X-Request-Id", rules.request_id, Known::x_request_id});
    if (rules.peer.certificate)
        out.push_back({"X-Client-Cert-Subject", rules.peer.certificate->subject, Known::x_client_cert});
    add_identity(rules, out);
}

void app_trailer_fields(std::span<const Field> trailers, const config::Route& route, Fields& out) {
    for (const Field& field : trailers)
        if (field.known == Known::other && !is_edited(route.request_headers, field.name, same_folded_name))
            out.push_back(field);
}

std::string header_encoded(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    encoded.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        const bool at_an_end = at == 0 || at + 1 == text.size();  // where parsers trim blanks off
        if (c >= (at_an_end ? 0x21 : 0x20) && c <= 0x7e && c != '%') {
            encoded += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            encoded += {'%', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return encoded;
}

}  // namespace rotagate::proxy
