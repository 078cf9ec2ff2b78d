#include <algorithm>

#include <boost/system/errc.hpp>

#include "proxy/http1.hpp"
#include "proxy/http2_app_stream.hpp"
#include "proxy/pipeline.hpp"
#include "proxy/route.hpp"

namespace rotagate::proxy {
namespace {

using namespace std::chrono_literals;
using session::SessionErrc;

// An answer that took longer asks the store again whether its session is still there, and deletes no cookie: a login
// may have come in between (SPEC section 2, R7).
constexpr auto ask_again_after = 1s;

void seal_next(EventLoop& loop, Exchange& x, session::Millis minted) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(x.session->expires - minted);
    if (left.count() <= 0) return;
    const config::Duration limit = x.site->config.session.absolute_timeout;
    const bool absolute = limit.count() > 0 && x.session->expires == x.session->created + limit;
    const session::SessionCookie cookie{
        .id = x.session->id, .minted = minted, .expires = x.session->expires, .absolute = absolute};
    const std::string sealed = loop.sealer.seal(cookie, x.audience);
    x.set_cookie = x.site->cookie_writer.set(sealed, static_cast<long>(left.count()), x.arena);
}

/// The body of an answer that comes over HTTP/2, as one over HTTP/1 is read.
class AppBody {
public:
    explicit AppBody(http2::AppStream& app) : app_(app) {}
    BodyPiece take() { return app_.take(); }
    Task<BodyPiece> next() { return app_.next(); }
    bool ended() const { return app_.ended(); }
    http2::AppStream& app() const { return app_; }

private:
    http2::AppStream& app_;
};

/// Ahead of the last piece: what is behind it. Trailers of HTTP/1 are dropped where they are read.
void pass_trailers(Exchange&, const BodyReader&) {}
void pass_trailers(Exchange& x, const AppBody& body) {
    Fields fields;
    client_trailer_fields(body.app().trailers(), *x.route, fields);
    if (!fields.empty()) x.client.set_trailers(fields);
}

/// Why an app cut its answer, for clients that can be told.
void note_reset(Exchange&, const BodyReader&) {}
void note_reset(Exchange& x, const AppBody& body) { x.reset_code = body.app().reset_code(); }

/// Relays the body of the app's answer; the head was sent with its first piece.
template <class Body>
Task<> relay(EventLoop& loop, Exchange& x, Body& body, BodyPiece piece, Deadline& waiting, error_code gone) {
    while (!piece.end && !gone) {
        loop.deadlines.arm(waiting, x.pool->settings().response_timeout);
        piece = co_await body.next();
        waiting.disarm();
        if (piece.error) {
            namespace errc = boost::system::errc;
            const bool left = piece.error == errc::owner_dead || piece.error == errc::broken_pipe;  // we left the app
            if (x.record.reason.empty())
                x.record.reason = left                                    ? "client_gone"
                                  : piece.error == asio::error::timed_out ? "upstream_timeout"
                                                                          : "upstream_truncated";
            note_reset(x, body);
            co_return x.client.cut();
        }
        if (piece.end) pass_trailers(x, body);
        if (!x.client.send_body(piece.data, piece.end)) gone = co_await x.client.flush();
    }
    if (gone) {
        if (x.record.reason.empty()) x.record.reason = "client_gone";
        x.client.cut();
    }
}

/// Makes x.answer from x.answer_head.
void write_answer_head(Exchange& x) {
    const ResponseHead& head = x.answer_head;
    AnswerHead& answer = x.answer;
    answer.status = head.status;
    answer.reason = head.reason;
    if (head.status == 101) {
        answer.tunnel = true;
        if (x.request.websocket == WebSocket::extended_connect) answer.status = 200, answer.reason = {};
    }
    answer.has_body = x.request.method != "HEAD" && head.status != 204 && head.status != 304;
    const bool tells_length =
        head.status >= 200 && head.status != 204 && find(head.fields, Known::content_length).has_value();
    if (tells_length) answer.content_length = head.content_length;
    const ResponseRules rules{.route = *x.route,
                              .request = x.request,
                              .origin = x.origin,
                              .server_host = x.server_host,
                              .cookie_name = x.site->config.session.cookie.name,
                              .set_cookie = x.set_cookie.empty() ? std::nullopt : std::make_optional(x.set_cookie),
                              .session_route = x.session_route()};
    client_response_fields(head, rules, x.arena, answer.fields);
    if (x.request.websocket != WebSocket::extended_connect) return;
    const auto is_accept = [](const Field& field) { return field.known == Known::websocket_accept; };  // it has no key
    answer.fields.erase(std::remove_if(answer.fields.begin(), answer.fields.end(), is_accept), answer.fields.end());
}

/// respond(), over whatever the answer comes. @param relayed  null: nobody asks, and there are no tunnels
template <class Body>
Task<std::optional<Answer>> pass_on(EventLoop& loop, Exchange& x, Body body, Deadline& waiting, Relayed* relayed) {
    const ResponseHead& head = x.answer_head;
    waiting.disarm();
    if (x.route->session_control && !x.preflight) {
        auto failed = co_await obey_session_command(loop, x, head);
        if (failed) co_return failed;
    }
    if (!mint(loop, x)) {
        auto failed = co_await mint_with_store(loop, x);
        if (failed) co_return failed;
    }

    write_answer_head(x);
    x.record.status = x.answer.status;
    x.relaying_since = loop.deadlines.now();
    x.watch.reset();  // of an upload: the answer may have begun another session
    if (x.session && x.set_cookie.empty()) x.watch.emplace(*x.session, SessionWatch::Time{});  // it has ended, it seems

    if (x.answer.tunnel) {
        if (!x.client.send_head(x.answer, {}, false) && co_await x.client.flush()) {
            x.record.reason = "client_gone";
            x.client.cut();
        } else {
            *relayed = Relayed::agreement;
        }
        co_return std::nullopt;
    }

    BodyPiece piece = body.take();
    if (piece.error) co_return Answer{.status = 502, .reason = "upstream_bad_answer"};
    if (piece.end) pass_trailers(x, body);
    error_code gone;
    if (!x.client.send_head(x.answer, piece.data, piece.end)) gone = co_await x.client.flush();
    if (gone || !piece.end) co_await relay(loop, x, body, piece, waiting, gone);
    if (relayed && body.ended()) *relayed = Relayed::whole;
    co_return std::nullopt;
}

/// Never earlier than that of the cookie that was presented: where the store's clock has gone back (another master, a
/// corrected clock), what it is now would be taken for a superseded one, and its owner for a thief.
session::Millis mint_time(const EventLoop& loop, const Exchange& x) { return std::max(loop.store.now(), x.presented); }

}  // namespace

bool mint(EventLoop& loop, Exchange& x) {
    const bool late = loop.deadlines.now() - x.admitted >= ask_again_after;
    if (late) x.set_cookie = {};  // the next request will have it deleted
    // A session that has ended gets no cookie, for that could overwrite the cookie of a new login; the answer itself is
    // good.
    if (!x.session || loop.store.known_ended(x.session->id)) return true;
    if (x.site->config.session.rotation.strict || late) return false;
    seal_next(loop, x, mint_time(loop, x));
    return true;
}

Task<std::optional<Answer>> mint_with_store(EventLoop& loop, Exchange& x) {
    const session::Millis minted = mint_time(loop, x);
    Pending<session::Millis> asked;
    if (x.site->config.session.rotation.strict) {
        loop.store.issue(x.session->id, minted, asked.completion());
    } else {
        loop.store.touch(x.session->id, false, asked.completion());
    }
    if (!asked.ready()) co_await asked.wait();
    if (asked.result()) {
        x.session->expires = *asked.result();  // the request's upload, or others, may have renewed it meanwhile
        seal_next(loop, x, minted);
    } else if (asked.result().error() == SessionErrc::unavailable) {
        note(loop, x, SecurityEvent::Kind::refused, Reason::store_unavailable, &x.session->id);
        co_return Answer{.status = 503, .reason = "store_unavailable"};
    }
    co_return std::nullopt;
}

Task<std::optional<Answer>> respond(EventLoop& loop, Exchange& x, Stream& app, Deadline& waiting, Relayed& relayed) {
    const BodyReader body(app, x.answer_head.framing, x.answer_head.content_length, http1::ChunkReader::From::app);
    return pass_on(loop, x, body, waiting, &relayed);
}

Task<std::optional<Answer>> respond(EventLoop& loop, Exchange& x, http2::AppStream& app, Deadline& waiting) {
    return pass_on(loop, x, AppBody(app), waiting, nullptr);
}

}  // namespace rotagate::proxy
