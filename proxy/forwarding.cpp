#include "proxy/forwarding.hpp"

#include <boost/system/errc.hpp>
#include <spdlog/spdlog.h>

namespace rotagate::proxy {

namespace errc = boost::system::errc;

bool idempotent(std::string_view method) {
    return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE";
}

std::optional<Answer> body_refusal(const error_code& error) {
    if (error == errc::bad_message) return Answer{.status = 400, .reason = "bad_body", .location = {}, .close = true};
    if (error == errc::message_size)
        return Answer{.status = 413, .reason = "body_too_large", .location = {}, .close = true};
    if (error == asio::error::timed_out)
        return Answer{.status = 408, .reason = "body_timeout", .location = {}, .close = true};
    return std::nullopt;
}

bool left_in_upload(const error_code& body_error) { return body_error && body_error != asio::error::operation_aborted; }

std::string_view app_target(Exchange& x) {
    const std::string_view path = x.target.path.substr(x.route->strip_prefix.size());
    return x.arena.join({path.starts_with('/') ? "" : "/", path, x.target.query});
}

void app_fields(Exchange& x, Fields& fields) {
    const bool own_host = x.route->host == config::HostHeader::upstream;
    const RequestRules rules{.route = *x.route,
                             .peer = x.peer,
                             .origin = x.origin,
                             .identity = x.session ? &x.identity : nullptr,
                             .cookies = x.cookies.others,
                             .host = own_host || x.request.authority.empty() ? x.server_host : x.request.authority,
                             .request_id = x.request_id};
    app_request_fields(x.request, rules, x.arena, fields);
}

bool pass_informational(Exchange& x, const ResponseHead& head) {
    AnswerHead passed{
        .status = head.status, .reason = head.reason, .fields = {}, .has_body = false, .content_length = {}};
    const ResponseRules rules{.route = *x.route,
                              .request = x.request,
                              .origin = x.origin,
                              .server_host = {},
                              .cookie_name = x.site->config.session.cookie.name,
                              .set_cookie = {},
                              .session_route = false};
    client_response_fields(head, rules, x.arena, passed.fields);
    return x.client.send_informational(passed);
}

void begin_upload(const EventLoop& loop, Exchange& x) {
    x.relaying_since = loop.deadlines.now();
    x.uploading = true;
}

Answer given_up(const Exchange& x) {
    if (x.record.reason == "session_ended")
        return {.status = 401, .reason = "session_ended", .location = {}, .close = true};
    return {.status = 400, .reason = "client_gone", .location = {}, .close = true};
}

Answer upstream_failure(const Exchange& x, const error_code& why) {
    const bool late = why == asio::error::timed_out;
    const std::string_view reason = late                       ? "upstream_timeout"
                                    : why == errc::bad_message ? "upstream_bad_answer"
                                                               : "upstream_closed";
    spdlog::warn("upstream.failed upstream={} server={} reason={} error=\"{}\" request_id={}", x.pool->settings().name,
                 x.record.server, reason, why.message(), x.request_id);
    return {.status = late ? 504U : 502U, .reason = reason};
}

Answer out_of_servers(const error_code& last) {
    const bool late = last == asio::error::timed_out;
    return {.status = late ? 504U : 502U,
            .reason = late                                    ? "upstream_connect_timeout"
                      : last == asio::error::connection_reset ? "upstream_closed"
                                                              : "upstream_unreachable"};
}

void note_unreachable(const Exchange& x, std::size_t server, const error_code& why) {
    const config::Upstream& upstream = x.pool->settings();
    spdlog::warn("upstream.connect_failed upstream={} server={} error=\"{}\" request_id={}", upstream.name,
                 upstream.servers[server].text(), why.message(), x.request_id);
}

}  // namespace rotagate::proxy
