#include <boost/system/errc.hpp>
#include <spdlog/spdlog.h>

#include "proxy/http1.hpp"
#include "proxy/pipeline.hpp"
#include "proxy/tunnel.hpp"
#include "proxy/websocket.hpp"

namespace rotagate::proxy {
namespace {

namespace errc = boost::system::errc;

constexpr std::size_t max_informational = 32;  // 1xx answers to one request: more is an app gone wrong

// X-Session-Data may have 64 KiB by itself.
constexpr std::size_t max_answer_head = 128 * config::KiB;

/// What came of one attempt to have an app answer.
struct Outcome {
    std::optional<Answer> answer;  ///< none: the app's answer was relayed
    bool retry = false;            ///< nothing came back, and asking again does no harm
};

/// Carries the rest of a request's body to the app while the app may answer already.
struct Upload {
    BodyPiece last;         ///< where it stopped; its error tells why
    bool done = true;       ///< the coroutine has come to its end
    bool answered = false;  ///< the app's answer has begun, and is waited for elsewhere
    Signal finished;
};

bool idempotent(std::string_view method) {
    return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE";
}

/// The answer for a body that the client does not bring to its end; none: it was not the client's fault.
std::optional<Answer> body_refusal(const error_code& error) {
    if (error == errc::bad_message) return Answer{.status = 400, .reason = "bad_body", .location = {}, .close = true};
    if (error == errc::message_size)
        return Answer{.status = 413, .reason = "body_too_large", .location = {}, .close = true};
    if (error == asio::error::timed_out)
        return Answer{.status = 408, .reason = "body_timeout", .location = {}, .close = true};
    return std::nullopt;
}

/// Sends one piece of the body, framed as the app was told; what is behind the last piece is waited for anyway.
/// @param lead  goes ahead of it in the same call, and is used up
/// @return false: await the app's flush()
bool send_piece(Stream& app, Framing framing, const BodyPiece& piece, std::string& lead) {
    std::string_view tail;
    if (framing == Framing::chunked) {
        ChunkSizeLine line;
        if (!piece.data.empty()) {
            lead += chunk_size_line(piece.data.size(), line);
            tail = "\r\n";
        }
        if (piece.end) tail = piece.data.empty() ? "0\r\n\r\n" : "\r\n0\r\n\r\n";
    }
    const bool sent = piece.end ? app.send_soon({lead, piece.data, tail}) : app.send({lead, piece.data, tail});
    lead.clear();
    return sent;
}

Task<> upload(EventLoop& loop, Exchange& x, Stream& app, Deadline& waiting, Upload& state) {
    const auto timeout = x.pool->settings().response_timeout;
    Deadline sending([&app] { app.abort(asio::error::timed_out); });
    while (!state.last.end && !state.last.error) {
        state.last = co_await x.client.next_body();
        if (state.last.error) break;
        error_code failed;
        if (!send_piece(app, x.request.framing, state.last, loop.scratch)) {
            loop.deadlines.arm(sending, timeout);
            failed = co_await app.flush();
            sending.disarm();
        }
        if (failed) break;  // what the app has answered before it stopped listening is still read
    }
    // The app's answer is waited for only when the app has everything.
    if (state.last.end && !state.answered) loop.deadlines.arm(waiting, timeout);
    // The app must not take half a message for a whole one.
    if (state.last.error) app.abort(make_error_code(errc::broken_pipe));
    state.done = true;
    state.finished.notify();
}

/// Passes a 1xx answer on. @return false: await the client's flush()
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

/// Reads the final head of the app's answer into x.answer_head; passes 1xx on.
Task<error_code> read_answer(Exchange& x, Stream& app) {
    ResponseHead& head = x.answer_head;
    std::size_t length = 0;
    for (std::size_t informational = 0; informational <= max_informational; ++informational) {
        std::size_t scanned = 0;
        while (true) {
            const std::string_view input = app.input();
            const http1::Scan scan = http1::scan_head(input, scanned);
            if (scan.error) co_return make_error_code(errc::bad_message);
            length = scan.length;
            if (length > 0) break;
            error_code ec = co_await app.more(input.size());
            if (ec == asio::error::no_buffer_space && input.size() < max_answer_head) {
                app.detach_input(max_answer_head);
                ec = error_code();
            }
            if (ec == asio::error::no_buffer_space) co_return make_error_code(errc::bad_message);
            if (ec) co_return ec;
        }
        if (http1::parse_response_head(app.input().substr(0, length), x.request.method == "HEAD", head))
            co_return make_error_code(errc::bad_message);
        app.consume(length);  // its fields stay where they are until more is read
        if (head.status >= 200) co_return error_code();
        if (head.status == 101) {
            const bool asked = x.request.websocket != WebSocket::none;
            const bool agreed = asked && websocket::agrees(head, x.websocket_key);
            co_return agreed ? error_code() : make_error_code(errc::bad_message);
        }
        error_code gone;
        if (!pass_informational(x, head)) gone = co_await x.client.flush();
        if (gone) co_return gone;
    }
    co_return make_error_code(errc::bad_message);
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

void note_unreachable(const Exchange& x, std::size_t server, const error_code& why) {
    const config::Upstream& upstream = x.pool->settings();
    spdlog::warn("upstream.connect_failed upstream={} server={} error=\"{}\" request_id={}", upstream.name,
                 upstream.servers[server].text(), why.message(), x.request_id);
}

std::string_view app_target(Exchange& x) {
    const std::string_view path = x.target.path.substr(x.route->strip_prefix.size());
    return x.arena.join({path.starts_with('/') ? "" : "/", path, x.target.query});
}

void write_app_head(Exchange& x, std::string& head) {
    const bool own_host = x.route->host == config::HostHeader::upstream;
    const RequestRules rules{.route = *x.route,
                             .peer = x.peer,
                             .origin = x.origin,
                             .identity = x.session ? &x.identity : nullptr,
                             .cookies = x.cookies.others,
                             .host = own_host ? x.server_host : x.request.authority,
                             .request_id = x.request_id};
    Fields fields;
    app_request_fields(x.request, rules, x.arena, fields);
    if (x.request.websocket != WebSocket::none) websocket::add_upgrade(x.websocket_key, fields);
    http1::write_request_head(head, x.request.method, app_target(x), fields);
}

/// Lets others see the app's connection for as long as it is lent.
class Asked {
public:
    Asked(Exchange& x, Stream& app) : x_(x) { x.app = &app; }
    ~Asked() { x_.app = nullptr; }
    Asked(const Asked&) = delete;
    Asked& operator=(const Asked&) = delete;

private:
    Exchange& x_;
};

/// Whether the client went away before it had brought its body: no fault of the app's.
bool left_in_upload(const Upload& body) { return body.last.error && body.last.error != asio::error::operation_aborted; }

/// One attempt on one connection.
Task<Outcome> ask(EventLoop& loop, Exchange& x, UpstreamPool::Lease& lease) {
    Stream& app = lease.stream();
    Deadline waiting([&app] { app.abort(asio::error::timed_out); });
    loop.deadlines.arm(waiting, x.pool->settings().response_timeout);

    Upload body;
    if (x.request.websocket == WebSocket::none) {
        body.last = x.client.take_body();
    } else {
        body.last.end = true;  // what comes is for the tunnel, if there will be one
    }
    if (const auto refusal = body_refusal(body.last.error)) co_return Outcome{.answer = refusal};
    const Asked asked(x, app);
    const bool has_body = x.request.framing != Framing::none && !(body.last.end && body.last.data.empty());
    error_code failed;
    write_app_head(x, loop.scratch);
    if (!send_piece(app, x.request.framing, body.last, loop.scratch)) failed = co_await app.flush();
    if (!body.last.end && !failed) {
        body.done = false;
        waiting.disarm();
        loop.tasks.start(upload(loop, x, app, waiting, body));
    }

    // Where sending failed, the app may have answered and closed before it read all.
    failed = co_await read_answer(x, app);
    body.answered = true;
    Outcome outcome;
    Relayed relayed = Relayed::in_part;
    // Whoever asks by CONNECT takes any success for a tunnel (RFC 8441 section 5).
    const bool misleading = x.request.websocket == WebSocket::extended_connect && x.answer_head.status / 100 == 2;
    if (!failed && misleading) {
        outcome.answer = Answer{.status = 502, .reason = "upstream_no_websocket"};
    } else if (!failed) {
        outcome.answer = co_await respond(loop, x, app, waiting, relayed);
    } else {
        const bool silent = app.input().empty() && failed != asio::error::timed_out && failed != errc::bad_message;
        outcome.retry = silent && !has_body && idempotent(x.request.method);
    }
    const bool body_sent = body.done && body.last.end && !body.last.error;
    if (!body.done) {
        x.client.stop_body();
        app.abort(make_error_code(errc::broken_pipe));
        co_await body.finished.wait();
    }
    if (failed == errc::owner_dead) outcome.retry = false;  // the client has left
    if (failed && !outcome.retry) {
        outcome.answer = body_refusal(body.last.error);
        if (!outcome.answer && left_in_upload(body))
            outcome.answer = Answer{.status = 400, .reason = "client_gone", .close = true};
        if (!outcome.answer) outcome.answer = upstream_failure(x, failed);
    }
    if (relayed == Relayed::agreement) x.tunnel = std::make_unique<Tunnel>(loop, x, std::move(lease));
    if (relayed == Relayed::whole && body_sent && x.answer_head.keep_alive && app.quiet()) lease.give_back();
    co_return outcome;
}

}  // namespace

Task<std::optional<Answer>> forward(EventLoop& loop, Exchange& x) {
    if (x.request.websocket != WebSocket::none) x.websocket_key = websocket::key_for_app(x.request, x.arena);
    UpstreamPool::Attempt attempt;
    if (x.session) attempt.user = x.session->id.user_key();
    error_code last;
    while (x.pool->choose(attempt)) {
        auto lease = x.pool->kept(attempt);
        if (!lease) {
            auto connected = co_await x.pool->connect(attempt);
            if (!connected) {
                last = connected.error();
                note_unreachable(x, attempt.server, last);
                attempt.tried.push_back(attempt.server);
                loop.metrics.upstream_retries.add();
                continue;
            }
            lease.emplace(std::move(*connected));
        }
        x.record.server = lease->server_name();
        x.server_host = lease->host();
        const bool reused = lease->reused();
        Outcome outcome = co_await ask(loop, x, *lease);
        if (!outcome.retry) co_return std::move(outcome.answer);
        // A kept-alive connection that the server closed says nothing about the server; a new one does.
        attempt.fresh = true;
        if (!reused) attempt.tried.push_back(attempt.server);
        last = asio::error::connection_reset;
        loop.metrics.upstream_retries.add();
    }
    const bool late = last == asio::error::timed_out;
    co_return Answer{.status = late ? 504U : 502U,
                     .reason = late                                    ? "upstream_connect_timeout"
                               : last == asio::error::connection_reset ? "upstream_closed"
                                                                       : "upstream_unreachable"};
}

}  // namespace rotagate::proxy
