#include "proxy/pipeline.hpp"

#include "proxy/cors.hpp"
#include "proxy/route.hpp"
#include "proxy/tunnel.hpp"
#include "proxy/websocket.hpp"

namespace rotagate::proxy {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

/// The end of every request: one line in the access log, one count in the metrics.
void record(EventLoop& loop, Exchange& x) {
    RequestRecord& r = x.record;
    r.duration = duration_cast<microseconds>(std::chrono::steady_clock::now() - x.began);
    loop.metrics.record(r);
    if (!loop.access_log.enabled()) return;
    describe(x);
    loop.access_log.write(r);
}

/// What speaks against a WebSocket before the app is asked.
std::optional<Answer> unacceptable_handshake(const Exchange& x) {
    // An app over HTTP/2 would have to be asked by extended CONNECT, which is not spoken to apps.
    if (x.pool->settings().protocol == config::Protocol::h2c)
        return Answer{.status = 501, .reason = "upstream_no_websocket"};
    switch (websocket::refusal(x.request, x.origin, x.route->websocket)) {
        case websocket::Refusal::none:
            return std::nullopt;
        case websocket::Refusal::foreign_origin:
            return Answer{.status = 403, .reason = "foreign_origin"};
        case websocket::Refusal::bad_version:
            return Answer{.status = x.request.websocket == WebSocket::upgrade ? 426U : 400U,
                          .reason = "websocket_version"};
        case websocket::Refusal::bad_key:
            break;
    }
    return Answer{.status = 400, .reason = "websocket_key"};
}

/// Whether the client has asked for too much on a route with a limit.
std::optional<Answer> over_the_rate(EventLoop& loop, const Exchange& x) {
    if (!x.route->rate_limit || x.preflight) return std::nullopt;
    // By what the route is, and not by its place: a reload may move it.
    const config::Match& match = x.route->match;
    std::string who = match.host + match.path;
    for (const std::string& method : match.methods) who.append(" ").append(method);
    who.append("\n").append(client_of(x.client_address));
    const auto wait = loop.shared.rates.take(who, *x.route->rate_limit, std::chrono::steady_clock::now());
    if (wait.count() == 0) return std::nullopt;
    note(loop, x, SecurityEvent::Kind::refused, Reason::too_many_requests, x.session ? &x.session->id : nullptr);
    return Answer{
        .status = 429, .reason = "too_many_requests", .retry_after = std::chrono::ceil<std::chrono::seconds>(wait)};
}

/// What is refused whoever asks for it. It is decided after `admit`, for this answer carries the session's cookie too.
std::optional<Answer> unacceptable(EventLoop& loop, const Exchange& x) {
    if (auto answer = over_the_rate(loop, x)) return answer;
    if (x.target.encoded_slash && !x.route->encoded_slashes)
        return Answer{.status = 400, .reason = "encoded_slash", .location = {}, .close = true};
    if (x.target.no_utf8 && !x.route->any_encoding)
        return Answer{.status = 400, .reason = "path_not_utf8", .location = {}, .close = true};
    const std::uint64_t limit = x.site->config.limits.body_bytes;
    if (limit > 0 && x.request.framing == Framing::length && x.request.content_length > limit)
        return Answer{.status = 413, .reason = "body_too_large", .location = {}, .close = true};
    if (x.request.websocket != WebSocket::none) return unacceptable_handshake(x);
    return std::nullopt;
}

/// Whether an app would serve what belongs to another route: one that decodes what routes have decoded ("/%40a"), or
/// encodes what they have encoded ("/a|b"), or one that does not count path parameters (";a=b") to the path.
bool means_another_route(const Exchange& x) {
    const std::vector<config::Route>& routes = x.site->config.routes;
    const auto is_others = [&](std::string_view path) {
        const config::Route* found = x.preflight ? preflight_route(routes, x.request, x.request.host, path)
                                                 : find_route(routes, x.request.host, path, x.request.method);
        return found != x.route;
    };
    const auto spelt = as_routes_spell(x.target.path);
    if (spelt && is_others(*spelt)) return true;
    const bool meant = x.route && x.route->match.path.find_first_of(";%") != std::string::npos;  // by the operator
    const auto path = without_parameters(spelt ? *spelt : x.target.path);
    return path && !(meant && without_parameters(x.route->match.path)) && is_others(*path);
}

}  // namespace

Task<> handle(EventLoop& loop, Exchange& x) {
    std::optional<Answer> answer = route(x);
    if (!answer) {
        answer = co_await admit(loop, x);
        if (const auto refusal = unacceptable(loop, x)) answer = refusal;
    }
    if (!answer) {
        x.record.upstream = x.pool->settings().name;
        answer = co_await forward(loop, x);
    }
    if (answer) {
        co_await answer_and_record(loop, x, *answer);
    } else if (!x.tunnel) {
        record(loop, x);
    }
}

void describe(Exchange& x) {
    RequestRecord& r = x.record;
    r.request_id = x.request_id;
    r.client = x.client_address;
    r.method = x.request.method.empty() ? "-" : x.request.method;
    r.host = x.request.host;
    r.path = x.target.path.empty() ? "-" : x.target.path;
    r.protocol = x.client.protocol();
    if (x.session) {
        r.user = x.user.id;
        r.org = x.user.org;
        r.session = x.session->id.log_name();
    }
}

Task<> answer_and_record(EventLoop& loop, Exchange& x, Answer answer) {
    if (x.record.reason.empty()) x.record.reason = answer.reason;
    if (x.head_sent) {
        x.client.cut();
    } else {
        co_await respond_with(loop, x, answer);
    }
    record(loop, x);
}

void note(EventLoop& loop, const Exchange& x, SecurityEvent::Kind kind, Reason reason, const session::SessionId* id,
          std::string_view detail) {
    const session::User user = id ? id->user() : session::User{};
    const std::string session = id ? id->log_name() : std::string();
    loop.security_log.write({.kind = kind,
                             .reason = reason,
                             .user = user.id,
                             .org = user.org,
                             .session = session,
                             .client = x.client_address,
                             .request_id = x.request_id,
                             .detail = detail},
                            loop.metrics);
}

// The first step; the rules themselves are in route.cpp.
std::optional<Answer> route(Exchange& x) {
    if (x.request.target == "*") return Answer{.status = 204, .reason = "server_options"};
    const auto target = canonical_target(x.request.target, x.path_storage);
    if (!target) return Answer{.status = 400, .reason = "ambiguous_path", .location = {}, .close = true};
    x.target = *target;
    const config::Config& settings = x.site->config;
    x.route = preflight_route(settings.routes, x.request, x.request.host, x.target.path);
    x.preflight = x.route != nullptr;
    if (!x.route) x.route = find_route(settings.routes, x.request.host, x.target.path, x.request.method);
    if (!has_one_spelling(x.target.path) && means_another_route(x))
        return Answer{.status = 400, .reason = "ambiguous_path", .location = {}, .close = true};
    if (!x.route) return Answer{.status = 404, .reason = "no_route"};
    x.pool = x.site->pools[static_cast<std::size_t>(x.route - settings.routes.data())];
    return std::nullopt;
}

}  // namespace rotagate::proxy
