#include <fmt/format.h>

#include "proxy/cors.hpp"
#include "proxy/pipeline.hpp"
#include "proxy/route.hpp"

/// The answers that the gateway gives itself.
namespace rotagate::proxy {
namespace {

std::string_view title(unsigned status) {
    switch (status) {
        case 302:
        case 308:
            return "You are being redirected";
        case 400:
            return "Bad request";
        case 401:
            return "Please sign in";
        case 403:
            return "Not allowed";
        case 404:
            return "Not found";
        case 405:
            return "Method not allowed";
        case 408:
            return "The request took too long";
        case 413:
            return "The request is too large";
        case 429:
            return "Too many requests";
        case 426:
            return "This version of WebSocket is not spoken here";
        case 421:
            return "Wrong server";
        case 502:
            return "The application does not answer properly";
        case 503:
            return "Please try again in a moment";
        case 504:
            return "The application takes too long";
        default:
            return "The request cannot be served";
    }
}

/// A page where a person will look, JSON where a program will.
std::string body_text(const Exchange& x, const Answer& answer) {
    if (!is_page_load(x.request))
        return fmt::format("{{\"error\":\"{}\",\"status\":{},\"request_id\":\"{}\"}}\n", answer.reason, answer.status,
                           x.request_id);
    return fmt::format(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width\"><title>{0}</title><style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 "
        "system-ui,sans-serif;max-width:34rem;margin:18vh auto 0;padding:0 "
        "1.5rem}}p{{opacity:.7}}code{{font-size:.85em}}"
        "</style><h1>{0}</h1><p>{1} &middot; <code>{2}</code><p>Request <code>{3}</code></html>\n",
        title(answer.status), answer.status, answer.reason, x.request_id);
}

/// The fields that depend on what the answer says.
void add_fields(const Answer& answer, std::string_view type, Fields& fields) {
    fields.push_back({"Content-Type", type});
    fields.push_back({"Cache-Control", "no-store", Known::cache_control});
    fields.push_back({"X-Content-Type-Options", "nosniff"});
    if (answer.status == 401) fields.push_back({"WWW-Authenticate", "Cookie realm=\"rotagate\""});
    if (answer.status == 405) fields.push_back({"Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"});
    if (answer.reason == "websocket_version") fields.push_back({"Sec-WebSocket-Version", "13"});
}

}  // namespace

std::string https_location(const Exchange& x) {
    const std::string_view authority = x.request.authority;
    const auto colon = authority.rfind(':');  // the host itself may have come with a dot behind it
    const bool has_port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
    std::string location = "https://" + x.request.host;
    for (const config::Listener& listener : x.site->config.listen) {
        if (!has_port || !listener.tls) continue;
        if (listener.address.port != 443) location += fmt::format(":{}", listener.address.port);
        break;
    }
    return location.append(x.request.target);
}

Task<> respond_with(EventLoop& loop, Exchange& x, const Answer& answer) {
    if (answer.close) x.client.close_after_answer();
    if (answer.reason == "store_unavailable") {
        x.set_cookie = {};  // whether it is valid cannot be told: it is neither deleted nor rotated
    } else if (!mint(loop, x)) {
        co_await mint_with_store(loop, x);
    }
    const bool page = is_page_load(x.request);
    ResponseHead ours;
    ours.status = answer.status;
    add_fields(answer, page ? "text/html; charset=utf-8" : "application/json", ours.fields);
    const std::chrono::seconds retry_after = answer.status == 503 ? std::chrono::seconds(1) : answer.retry_after;
    if (retry_after.count() > 0)
        ours.fields.push_back({"Retry-After", x.arena.keep(std::to_string(retry_after.count()))});
    if (x.route && x.route->cors) add_cors_fields(*x.route->cors, x.request, ours.fields);
    AnswerHead head{.status = answer.status, .reason = {}, .fields = {}, .has_body = true, .content_length = {}};
    if (x.route) {
        const ResponseRules rules{.route = *x.route,
                                  .request = x.request,
                                  .origin = x.origin,
                                  .server_host = {},
                                  .cookie_name = x.site->config.session.cookie.name,
                                  .set_cookie = x.set_cookie.empty() ? std::nullopt : std::make_optional(x.set_cookie),
                                  .session_route = x.session_route(),
                                  .ours = true};
        client_response_fields(ours, rules, x.arena, head.fields);
    } else {
        head.fields = ours.fields;
    }
    if (answer.status == 426) {
        head.fields.push_back({"Upgrade", "websocket"});
        head.fields.push_back({"Connection", "upgrade"});
    }
    if (!answer.location.empty()) head.fields.push_back({"Location", answer.location});
    std::string body;
    if (answer.status != 204) {
        body = body_text(x, answer);
        head.content_length = body.size();
    }
    head.has_body = answer.status != 204 && x.request.method != "HEAD";
    x.record.status = answer.status;
    if (!x.client.send_head(head, head.has_body ? body : std::string_view(), true)) {
        if (co_await x.client.flush()) x.client.close_after_answer();
    }
}

}  // namespace rotagate::proxy
