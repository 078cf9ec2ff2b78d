#include <utility>

#include <boost/system/errc.hpp>

#include "proxy/forwarding.hpp"
#include "proxy/http1.hpp"
#include "proxy/tunnel.hpp"
#include "proxy/websocket.hpp"

namespace rotagate::proxy {
namespace {

namespace errc = boost::system::errc;

/// Carries the rest of a request's body to the app while the app may answer already.
struct Upload {
    BodyPiece last;         ///< where it stopped; its error tells why
    bool done = true;       ///< the coroutine has come to its end
    bool answered = false;  ///< the app's answer has begun, and is waited for elsewhere
    Signal finished;
};

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
    begin_upload(loop, x);
    const auto timeout = x.pool->settings().response_timeout;
    const auto pace = x.site->config.limits.idle_timeout;
    // Once it has answered, it is the answer's pace that counts.
    Deadline sending([&] {
        if (state.answered) return;
        app.was_taken(slowest) ? loop.deadlines.arm(sending, timeout) : app.abort(asio::error::timed_out);
    });
    std::size_t brought = 0;
    bool slow = false;
    Deadline too_slow([&] {
        slow = !state.answered && std::exchange(brought, 0) < slowest;
        if (slow) return x.client.stop_body();
        loop.deadlines.arm(too_slow, pace);
    });
    loop.deadlines.arm(too_slow, pace);
    while (!state.last.end && !state.last.error) {
        state.last = co_await x.client.next_body();
        if (slow && !state.last.end) state.last.error = asio::error::timed_out;
        if (state.last.error) break;
        brought += state.last.data.size();
        error_code failed;
        if (!send_piece(app, x.request.framing, state.last, loop.scratch)) {
            too_slow.disarm();  // it is the app that is slow
            app.was_taken(0);
            loop.deadlines.arm(sending, timeout);
            failed = co_await app.flush();
            sending.disarm();
            loop.deadlines.arm(too_slow, pace);
        }
        if (failed) break;  // what the app has answered before it stopped listening is still read
    }
    too_slow.disarm();
    // The app's answer is waited for only when the app has everything.
    if (state.last.end && !state.answered) loop.deadlines.arm(waiting, timeout);
    // The app must not take half a message for a whole one.
    if (state.last.error) app.abort(make_error_code(errc::broken_pipe));
    x.uploading = false;
    state.done = true;
    state.finished.notify();  // whoever waits for it may take the exchange away
}

/// Reads the final head of the app's answer into x.answer_head; passes 1xx on.
Task<error_code> read_answer(Exchange& x, Stream& app) {
    ResponseHead& head = x.answer_head;
    std::size_t length = 0;
    bool trusted = true;
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
        app.consume(length);         // its fields stay where they are until more is read
        trusted &= head.keep_alive;  // of an interim one, too: it may have announced what follows it
        head.keep_alive = trusted;
        if (head.status >= 200) co_return error_code();
        if (head.status == 101) {
            const bool asked = x.request.websocket != WebSocket::none;
            const bool agreed = asked && websocket::agrees(head, x.websocket_key);
            co_return agreed ? error_code() : make_error_code(errc::bad_message);
        }
        error_code gone;
        if (!pass_informational(x, head)) gone = co_await x.client.flush();
        if (gone) co_return make_error_code(errc::owner_dead);
    }
    co_return make_error_code(errc::bad_message);
}

void write_app_head(Exchange& x, std::string& head) {
    Fields fields;
    app_fields(x, fields);
    if (x.request.websocket != WebSocket::none) websocket::add_upgrade(x.websocket_key, fields);
    http1::write_request_head(head, x.request.method, app_target(x), fields);
}

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
    x.uploading = false;
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
        if (!outcome.answer && (left_in_upload(body.last.error) || failed == errc::owner_dead))
            outcome.answer = given_up(x);
        if (!outcome.answer) outcome.answer = upstream_failure(x, failed);
    }
    if (relayed == Relayed::agreement) {
        x.tunnel = std::make_unique<Tunnel>(loop, x, std::move(lease));
    } else if (relayed == Relayed::whole && body_sent && x.answer_head.keep_alive && app.quiet()) {
        lease.give_back();
    }
    co_return outcome;
}

Task<std::optional<Answer>> forward_http1(EventLoop& loop, Exchange& x) {
    if (x.request.websocket != WebSocket::none) x.websocket_key = websocket::key_for_app(x.request, x.arena);
    UpstreamPool::Attempt attempt;
    if (x.session) attempt.user = x.session->id.user_key();
    error_code last;
    for (bool again = false; x.pool->choose(attempt); again = true) {
        if (again) loop.metrics.upstream_retries.add();
        auto lease = x.pool->kept(attempt);
        if (!lease) {
            auto connected = co_await x.pool->connect(attempt);
            if (!connected) {
                last = connected.error();
                note_unreachable(x, attempt.server, last);
                attempt.tried.push_back(attempt.server);
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
    }
    co_return out_of_servers(last);
}

}  // namespace

Task<std::optional<Answer>> forward(EventLoop& loop, Exchange& x) {
    const bool http2 = x.pool->settings().protocol == config::Protocol::h2c;
    return http2 ? forward_http2(loop, x) : forward_http1(loop, x);
}

}  // namespace rotagate::proxy
