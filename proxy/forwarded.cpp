#include "proxy/forwarded.hpp"

#include <algorithm>

#include "proxy/authority.hpp"
#include "proxy/grammar.hpp"

namespace rotagate::proxy {
namespace {

/// X-Forwarded-* by which authenticating proxies tell who the user is: only the gateway's own session does that here.
constexpr std::string_view identity_fields[] = {
    "user", "email", "group", "groups", "role", "access-token", "preferred-username", "roles"};

std::string_view after_prefix(std::string_view name) { return name.substr(std::string_view("x-forwarded-").size()); }

bool tells_identity(std::string_view suffix) {
    return std::any_of(std::begin(identity_fields), std::end(identity_fields),
                       [&](std::string_view name) { return same_name(name, suffix); });
}

/// The value of the parameter in one element of Forwarded, without quotes; none: it is not there.
std::optional<std::string_view> parameter(std::string_view element, std::string_view name) {
    std::optional<std::string_view> value;
    grammar::each_item(element, ';', [&](std::string_view pair) {
        const auto equals = pair.find('=');
        if (equals == std::string_view::npos || !same_name(pair.substr(0, equals), name)) return true;
        value = pair.substr(equals + 1);
        if (value->size() >= 2 && value->front() == '"' && value->back() == '"')
            value = value->substr(1, value->size() - 2);
        return false;
    });
    return value;
}

/// Appends an item to a list. Thousands of them come in one field: to put each into the arena would be quadratic.
void append(std::string& list, std::string_view item) {
    if (!list.empty()) list += ", ";
    list += item;
}

/// A node or host as a value of Forwarded: quoted where it is no token, and IPv6 in brackets (RFC 7239 section 6).
std::string_view forwarded_value(std::string_view text, bool node, Arena& arena) {
    if (grammar::is_token(text)) return text;
    const bool clean =
        std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
    if (!clean || text.empty()) return "unknown";
    const bool bare_ipv6 = node && text.front() != '[' && std::count(text.begin(), text.end(), ':') > 1;
    return bare_ipv6 ? arena.join({"\"[", text, "]\""}) : arena.join({"\"", text, "\""});
}

/// Whether the proxy that sends this speaks X-Forwarded-*: it may pass on a Forwarded that its client made up.
bool speaks_x_forwarded(const RequestHead& head) {
    return std::ranges::any_of(head.fields, [](const Field& field) {
        if (field.known != Known::x_forwarded) return false;
        const auto suffix = after_prefix(field.name);
        return same_name(suffix, "for") || same_name(suffix, "proto") || same_name(suffix, "host");
    });
}

/// What an element of Forwarded tells besides the node.
std::string_view what_was_asked(std::string_view authority, std::string_view scheme, Arena& arena) {
    if (authority.empty()) return arena.join({";proto=", scheme});
    return arena.join({";host=", forwarded_value(authority, false, arena), ";proto=", scheme});
}

/// What a trusted peer told.
struct Told {
    std::string addresses;  ///< X-Forwarded-For
    std::string forwarded;
};

Told read_told(const RequestHead& head, Fields& out) {
    Told told;
    for (const Field& field : head.fields) {
        if (field.known == Known::forwarded) append(told.forwarded, field.value);
        if (field.known != Known::x_forwarded) continue;
        const auto suffix = after_prefix(field.name);
        if (same_name(suffix, "for")) {
            append(told.addresses, field.value);
        } else if (!same_name(suffix, "proto") && !same_name(suffix, "host") && !tells_identity(suffix)) {
            out.push_back(field);
        }
    }
    if (speaks_x_forwarded(head)) told.forwarded.clear();
    return told;
}

/// What a peer told in one of the two languages, in the other as well, so that the app reads one story. What
/// X-Forwarded-Host and -Proto tell is of the first request, the client's.
void translate(const RequestHead& head, const ClientOrigin& origin, Told& told, Arena& arena) {
    if (told.addresses.empty() == told.forwarded.empty()) return;
    const bool to_forwarded = told.forwarded.empty();
    for (const auto node : forwarded_nodes(head)) {
        if (node.empty()) continue;
        if (!to_forwarded) {
            append(told.addresses, node);
            continue;
        }
        const bool first = told.forwarded.empty();
        append(told.forwarded, "for=");
        told.forwarded += forwarded_value(node, true, arena);
        if (first) told.forwarded += what_was_asked(origin.authority, origin.scheme, arena);
    }
}

void take_scheme(std::string_view told, ClientOrigin& origin) {
    for (const std::string_view scheme : {"http", "https"})
        if (same_name(told, scheme)) origin.scheme = scheme;
}

void take_authority(std::string_view told, ClientOrigin& origin) {
    std::string host;
    if (read_authority(told, host)) origin.authority = told;
}

/// Each proxy adds an element about whom it was asked by: those of trusted ones are the last, up to the first that was
/// asked by somebody else.
void read_forwarded(const RequestHead& head, const std::vector<config::Network>& trusted, ClientOrigin& origin) {
    boost::container::small_vector<std::string_view, 4> elements;
    for (const Field& field : head.fields) {
        if (field.known != Known::forwarded) continue;
        grammar::each_item(field.value, ',', [&](std::string_view element) {
            elements.push_back(element);
            return true;
        });
    }
    for (auto element = elements.rbegin(); element != elements.rend(); ++element) {
        if (const auto proto = parameter(*element, "proto")) take_scheme(*proto, origin);
        if (const auto host = parameter(*element, "host")) take_authority(*host, origin);
        if (!in_networks_as_node(parameter(*element, "for").value_or(""), trusted)) return;
    }
}

}  // namespace

ClientOrigin client_origin(const RequestHead& head, const Peer& peer, const std::vector<config::Network>& trusted) {
    ClientOrigin origin{.scheme = peer.https ? "https" : "http", .authority = head.authority};
    if (!peer.trusted) return origin;
    for (const Field& field : head.fields) {
        if (field.known != Known::x_forwarded) continue;
        const auto suffix = after_prefix(field.name);
        if (same_name(suffix, "proto")) take_scheme(field.value, origin);
        if (same_name(suffix, "host")) take_authority(field.value, origin);
    }
    if (!speaks_x_forwarded(head)) read_forwarded(head, trusted, origin);
    return origin;
}

Nodes forwarded_nodes(const RequestHead& head) {
    Nodes nodes;
    const bool speaks = speaks_x_forwarded(head);
    for (const Field& field : head.fields) {
        const bool addresses = field.known == Known::x_forwarded && same_name(after_prefix(field.name), "for");
        if (!addresses && (speaks || field.known != Known::forwarded)) continue;
        grammar::each_item(field.value, ',', [&](std::string_view item) {
            nodes.push_back(addresses || item.empty() ? item : parameter(item, "for").value_or("unknown"));
            return true;
        });
    }
    return nodes;
}

void add_forwarding_fields(const RequestHead& head, const Peer& peer, const ClientOrigin& origin, Arena& arena,
                           Fields& out) {
    Told told;
    if (peer.trusted) {
        told = read_told(head, out);
        translate(head, origin, told, arena);
    }
    const std::string_view address = peer.address == "unix" ? "unknown" : std::string_view(peer.address);
    const auto behind = [&](const std::string& list, std::string_view item) {
        return list.empty() ? item : arena.join({list, ", ", item});
    };
    out.push_back({"X-Forwarded-For", behind(told.addresses, address), Known::x_forwarded});
    out.push_back({"X-Forwarded-Proto", origin.scheme, Known::x_forwarded});
    if (!origin.authority.empty()) out.push_back({"X-Forwarded-Host", origin.authority, Known::x_forwarded});
    const auto element = arena.join({"for=", forwarded_value(address, true, arena),
                                     what_was_asked(head.authority, peer.https ? "https" : "http", arena)});
    out.push_back({"Forwarded", behind(told.forwarded, element), Known::forwarded});
}

}  // namespace rotagate::proxy
