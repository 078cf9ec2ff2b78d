#include <algorithm>
#include <set>

#include "config/http_forms.hpp"
#include "config/route_order.hpp"
#include "config/sections.hpp"
#include "config/units.hpp"

namespace rotagate::config {
namespace {

struct Names {
    std::vector<std::string> in_order;
    std::set<std::string> known;
};

Match read_match(Reader yaml) {
    Match match;
    yaml.read("host", match.host, host_name);
    yaml.require("path", match.path, canonical_path, "path: / for every path");
    yaml.read_list("methods", match.methods, method);
    if (yaml.has("methods") && yaml.is_empty("methods"))
        yaml.error("methods", "names no method, so that nothing can match; remove it for any method");
    yaml.reject_unknown();
    return match;
}

OnUnauthenticated read_on_unauthenticated(Reader yaml) {
    OnUnauthenticated answer;
    yaml.read("status", answer.status, one_of<unsigned>({{"401", 401}, {"403", 403}, {"404", 404}}));
    yaml.read("redirect", answer.redirect, redirect_target);
    if (yaml.has("status") && yaml.has("redirect"))
        yaml.error("redirect", "stands beside a status; write one of them (what is no page load gets 401 anyway)");
    yaml.reject_unknown();
    return answer;
}

std::string in_lower_case(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
    return name;
}

using HeaderForm = Parsed<std::string> (*)(std::string_view);

void read_set(Reader yaml, HeaderEdits& edits, HeaderForm form) {
    std::set<std::string> names;
    for (const std::string& name : yaml.keys()) {
        const auto parsed = form(name);
        if (const auto* refusal = std::get_if<Refusal>(&parsed))
            yaml.bad_key(name, in_quotes(name) + " " + refusal->why);
        if (!names.insert(in_lower_case(name)).second) yaml.bad_key(name, "is set twice, in another case; keep one");
        if (std::string value; yaml.read(name, value, header_value)) edits.set.emplace_back(name, std::move(value));
    }
}

HeaderEdits read_edits(Reader yaml, HeaderForm form) {
    HeaderEdits edits;
    if (auto set = yaml.map("set")) read_set(*set, edits, form);
    yaml.read_list("remove", edits.remove, form);
    std::set<std::string> removed;
    for (const std::string& name : edits.remove) removed.insert(in_lower_case(name));
    for (const auto& [name, value] : edits.set)
        if (removed.contains(in_lower_case(name)))
            yaml.error("remove", in_quotes(name) + " is set as well; set alone replaces what was there");
    yaml.reject_unknown();
    return edits;
}

void read_headers(Reader yaml, Route& route) {
    if (auto request = yaml.map("request")) route.request_headers = read_edits(*request, request_header);
    if (auto response = yaml.map("response")) route.response_headers = read_edits(*response, response_header);
    yaml.reject_unknown();
}

void read_rewrite(Reader yaml, Route& route) {
    if (yaml.require("strip_prefix", route.strip_prefix, canonical_path, "strip_prefix: /old")) {
        const std::string& prefix = route.strip_prefix;
        const std::string& path = route.match.path;
        if (prefix.ends_with('/'))
            yaml.error("strip_prefix",
                       in_quotes(prefix) + " ends in \"/\", which the app's path begins with; leave it out");
        else if (!path.empty() && path != prefix && !path.starts_with(prefix + "/"))
            yaml.error("strip_prefix",
                       in_quotes(prefix) + " does not begin match.path, " + in_quotes(path) + "; write its first part");
    }
    yaml.reject_unknown();
}

Cors read_cors(Reader yaml) {
    Cors cors;
    yaml.read_list("origins", cors.origins, origin);
    if (!yaml.has("origins") || yaml.is_empty("origins")) yaml.missing("origins", "origins: [https://app.example.org]");
    yaml.read("credentials", cors.credentials);
    yaml.reject_unknown();
    return cors;
}

void read_session_rules(Reader& yaml, Route& route) {
    yaml.read(
        "access", route.access,
        one_of<Access>({{"public", Access::open}, {"optional", Access::optional}, {"required", Access::required}}));
    yaml.read("sessions", route.session_control, one_of<bool>({{"control", true}, {"none", false}}));
    yaml.read("user_from", route.user_from,
              one_of<UserFrom>({{"session", UserFrom::session}, {"certificate", UserFrom::certificate}}));
    yaml.read("session_data", route.session_data);
    yaml.read("activity", route.activity);
    if (auto answer = yaml.map("on_unauthenticated")) route.on_unauthenticated = read_on_unauthenticated(*answer);
    if (route.access == Access::open && route.session_control)
        yaml.error("sessions", "a public route has no session to control; write access: optional");
    if (route.access == Access::open && route.user_from == UserFrom::certificate)
        yaml.error("user_from", "a public route has no user; write access: optional, or remove it");
    if (route.access == Access::open && route.session_data)
        yaml.error("session_data", "a public route has no session to send; write access: optional, or remove it");
    if (route.access == Access::open && yaml.has("activity"))
        yaml.warning("activity", "has no effect on a public route: its requests never renew a session");
    if (route.access != Access::required && yaml.has("on_unauthenticated"))
        yaml.warning("on_unauthenticated", "has no effect without access: required");
}

bool asks_for_certificates(const Config& config) {
    const auto asks = [](const Certificate& certificate) { return certificate.clients.has_value(); };
    return std::any_of(config.listen.begin(), config.listen.end(), [&](const Listener& listener) {
        return listener.tls && std::any_of(listener.tls->certificates.begin(), listener.tls->certificates.end(), asks);
    });
}

WebSocket read_websocket(Reader yaml, Access access) {
    WebSocket websocket;
    yaml.read_list("origins", websocket.origins, origin_or_any);
    yaml.read("idle_timeout", websocket.idle_timeout, zero_or(between(100ms, 7 * 24h)));
    const auto& origins = websocket.origins;
    if (access != Access::open && std::find(origins.begin(), origins.end(), "*") != origins.end())
        yaml.error("origins",
                   "'*' would let any site use a visitor's session; name the sites, or write access: public");
    yaml.reject_unknown();
    return websocket;
}

RateLimit read_rate_limit(Reader yaml) {
    RateLimit limit;
    yaml.require("requests", limit.requests, count(1, 1000000), "requests: 30");
    yaml.require("per", limit.per, between(1s, 24h), "per: 1m");
    yaml.reject_unknown();
    return limit;
}

void read_upstream_name(Reader& yaml, Route& route, const Names& upstreams) {
    if (!yaml.require("upstream", route.upstream, some_text, "upstream: NAME")) return;
    if (upstreams.known.contains(route.upstream)) return;
    const std::string guess = did_you_mean(route.upstream, upstreams.in_order);
    yaml.error("upstream", in_quotes(route.upstream) + " is not one of the upstreams;" +
                               (guess.empty() ? " add it there, or write another one's name" : guess));
}

Route read_route(Reader& yaml, const Names& upstreams) {
    Route route;
    if (auto match = yaml.map("match"))
        route.match = read_match(*match);
    else if (!yaml.has("match"))
        yaml.missing("match", "match: { path: / }");
    read_upstream_name(yaml, route, upstreams);
    read_session_rules(yaml, route);
    if (auto rewrite = yaml.map("rewrite")) read_rewrite(*rewrite, route);
    yaml.read("host", route.host,
              one_of<HostHeader>({{"preserve", HostHeader::preserve}, {"upstream", HostHeader::upstream}}));
    if (auto headers = yaml.map("headers")) read_headers(*headers, route);
    if (auto cors = yaml.map("cors")) route.cors = read_cors(*cors);
    if (auto websocket = yaml.map("websocket")) route.websocket = read_websocket(*websocket, route.access);
    if (auto limit = yaml.map("rate_limit")) route.rate_limit = read_rate_limit(*limit);
    yaml.read("encoded_slashes", route.encoded_slashes, one_of<bool>({{"allow", true}, {"refuse", false}}));
    yaml.read("path_encoding", route.any_encoding, one_of<bool>({{"any", true}, {"utf8", false}}));
    yaml.reject_unknown();
    return route;
}

}  // namespace

std::vector<Route> read_routes(Reader& root, const Config& config) {
    Names names;
    for (const Upstream& upstream : config.upstreams) {
        names.in_order.push_back(upstream.name);
        names.known.insert(upstream.name);
    }
    std::vector<Route> routes;
    std::vector<Reader> readers = root.maps("routes");
    routes.reserve(readers.size());
    for (Reader& yaml : readers) {
        routes.push_back(read_route(yaml, names));
        if (routes.back().user_from == UserFrom::certificate && !asks_for_certificates(config))
            yaml.error("user_from", "no listener asks clients for certificates; write client_ca: FILE in its tls");
    }
    check_order(routes, readers);
    if (!root.has("routes") || root.is_empty("routes"))
        root.warning("routes", "none: every request is answered with 404");
    return routes;
}

}  // namespace rotagate::config
