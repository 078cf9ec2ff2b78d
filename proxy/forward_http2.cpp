#include <boost/system/errc.hpp>
#include <spdlog/spdlog.h>

#include "proxy/forwarding.hpp"
#include "proxy/grammar.hpp"
#include "proxy/http2_app_stream.hpp"

namespace rotagate::proxy {
namespace {

namespace errc = boost::system::errc;
using http2::AppStream;

/// Carries a request's body to the app, over as many attempts as it takes, while the app may answer already.
struct Http2Upload {
    RequestBody body;
    BodyPiece last;         ///< where it stopped; its error tells why
    bool begun = false;     ///< what had arrived with the head was taken
    bool started = false;   ///< the coroutine was
    bool done = true;       ///< it has come to its end
    bool answered = false;  ///< the app's answer has begun
    bool unwanted = false;  ///< what is still to come is
    Signal finished;
    AppStream* app = nullptr;  ///< that is asked now; null: none is, for the moment
    Deadline waiting{[this] { give_up(asio::error::timed_out); }};

    void give_up(error_code why) {
        if (app) app->abort(why);
    }
};

/// Tells the app's stream what follows the body, once that has ended.
void pass_trailers(Exchange& x, Http2Upload& state) {
    if (!state.body.ended() || x.trailers.empty() || !state.app) return;
    Fields trailers;
    app_trailer_fields(x.trailers, *x.route, trailers);
    state.app->set_trailers(std::move(trailers));
}

/// Puts the last piece that came into the body.
void append(Exchange& x, Http2Upload& state) {
    state.body.append(state.last.data, state.last.end);
    pass_trailers(x, state);
    if (state.app) state.app->resume_body();
}

Task<> upload(EventLoop& loop, Exchange& x, Http2Upload& state) {
    begin_upload(loop, x);
    const auto timeout = x.pool->settings().response_timeout;
    std::uint64_t taken = 0;  // by the app, when it was looked at last
    // Once it has answered, it is the answer's pace that counts.
    Deadline sending([&] {
        if (state.answered) return;
        if (!state.app) return loop.deadlines.arm(sending, timeout);  // another one is looked for
        const bool slow = state.body.taken() - std::exchange(taken, state.body.taken()) >= slowest;
        slow ? loop.deadlines.arm(sending, timeout) : state.give_up(asio::error::timed_out);
    });
    while (!state.last.end && !state.last.error && !state.unwanted) {
        state.last = co_await x.client.next_body();
        // In a call both sides may be silent once it is answered; response_timeout tells for how long.
        if (state.last.error == asio::error::timed_out && state.answered) {
            state.last.error = {};
            continue;
        }
        if (state.last.error) break;
        append(x, state);
        if (state.waiting.armed()) loop.deadlines.arm(state.waiting, timeout);
        if (state.body.has_room()) continue;
        taken = state.body.taken();
        loop.deadlines.arm(sending, timeout);
        while (!state.body.has_room() && !state.unwanted) co_await state.body.changed();
        sending.disarm();
    }
    // The app's answer is waited for only when the app has everything.
    if (state.last.end && !state.answered) loop.deadlines.arm(state.waiting, timeout);
    // The app must not take half a message for a whole one.
    if (state.last.error) state.give_up(make_error_code(errc::broken_pipe));
    x.uploading = false;
    state.done = true;
    state.finished.notify();  // whoever waits for it may take the exchange away
}

/// Ends the upload, wherever it is.
Task<> stop(Exchange& x, Http2Upload& state) {
    state.waiting.disarm();
    state.unwanted = true;
    if (state.done) co_return;
    x.client.stop_body();
    state.body.wake();
    if (!state.done) co_await state.finished.wait();
}

/// Lets the upload know whom it is for.
class Receiving {
public:
    Receiving(Http2Upload& state, AppStream& app) : state_(state) { state.app = &app; }
    ~Receiving() { state_.app = nullptr; }
    Receiving(const Receiving&) = delete;
    Receiving& operator=(const Receiving&) = delete;

private:
    Http2Upload& state_;
};

/// Whether the client asked for trailers, and would get them.
bool wants_trailers(const Exchange& x) {
    if (!x.client.takes_trailers()) return false;
    for (const Field& field : x.request.fields) {
        bool named = false;
        if (field.known != Known::te) continue;
        grammar::each_item(field.value, ',', [&](std::string_view item) {
            named |= same_name(item, "trailers");
            return true;
        });
        if (named) return true;
    }
    return false;
}

void send_head(Exchange& x, AppStream& app, bool has_body) {
    Fields fields;
    app_fields(x, fields);
    app.send({.method = x.request.method,
              .target = app_target(x),
              .fields = fields,
              .te_trailers = wants_trailers(x),
              .has_body = has_body});
}

/// Reads the final head of the app's answer into x.answer_head; passes 1xx on.
Task<error_code> read_answer(Exchange& x, AppStream& app) {
    while (true) {
        const error_code failed = co_await app.next_head();
        if (failed) co_return failed;
        while (const auto interim = app.take_interim()) {
            error_code gone;
            if (!pass_informational(x, *interim)) gone = co_await x.client.flush();
            if (gone) co_return make_error_code(errc::owner_dead);
        }
        if (app.has_answer()) co_return error_code();
    }
}

/// The answer for a client that has not brought its request to an end; none: it has, or still may.
std::optional<Answer> client_failure(const Exchange& x, const Http2Upload& state) {
    std::optional<Answer> answer = body_refusal(state.last.error);
    if (!answer && left_in_upload(state.last.error)) answer = given_up(x);
    return answer;
}

/// The answer to a head or trailers that are larger than the app takes.
Answer too_large_for(const Exchange& x) {
    spdlog::warn(
        "upstream.header_too_large upstream={} server={} request_id={} cure=\"let the app take larger heads "
        "(SETTINGS_MAX_HEADER_LIST_SIZE), or lower limits.header_bytes\"",
        x.pool->settings().name, x.record.server, x.request_id);
    return {.status = 431, .reason = "upstream_header_limit"};
}

/// What to do about a request that came to nothing.
Outcome failure(Exchange& x, const AppStream& app, Http2Upload& state, bool has_body, const error_code& why) {
    const bool cut = why == asio::error::connection_reset && !state.last.error;
    const bool again = app.lost() && !has_body && idempotent(x.request.method);
    if (cut && (again || (app.unprocessed() && state.body.rewind()))) return {.answer = {}, .retry = true};
    if (why == errc::message_size) return {.answer = too_large_for(x)};
    if (auto answer = client_failure(x, state)) return {.answer = std::move(answer)};
    if (why == errc::owner_dead) return {.answer = given_up(x)};
    return {.answer = upstream_failure(x, why)};
}

/// One attempt, on one stream.
Task<Outcome> ask(EventLoop& loop, Exchange& x, std::shared_ptr<http2::AppConnection> connection, Http2Upload& state) {
    const AppStream::Answer answer{x.answer_head, x.arena, x.request.method == "HEAD"};
    AppStream app(std::move(connection), answer, state.body);
    const Asked asked(x, app);
    const Receiving receiving(state, app);
    if (!std::exchange(state.begun, true)) {
        state.last = x.client.take_body();
        append(x, state);
    }
    Outcome outcome{.answer = client_failure(x, state)};
    if (outcome.answer) co_return outcome;
    pass_trailers(x, state);
    const bool has_body =
        x.request.framing != Framing::none && !(state.body.ended() && state.body.empty() && x.trailers.empty());
    send_head(x, app, has_body);
    if (state.last.end) {
        loop.deadlines.arm(state.waiting, x.pool->settings().response_timeout);
    } else if (!std::exchange(state.started, true)) {
        state.done = false;
        loop.tasks.start(upload(loop, x, state));
    }

    const error_code failed = co_await read_answer(x, app);
    if (failed) {
        state.waiting.disarm();
        co_return failure(x, app, state, has_body, failed);
    }
    state.answered = true;
    x.uploading = false;
    state.body.settle();
    outcome.answer = co_await respond(loop, x, app, state.waiting);
    co_return outcome;
}

Task<std::optional<Answer>> ask_around(EventLoop& loop, Exchange& x, Http2Upload& state) {
    UpstreamPool::Attempt attempt;
    if (x.session) attempt.user = x.session->id.user_key();
    error_code last;
    bool was_closed = false;
    for (bool again = false; x.pool->choose(attempt); again = true) {
        if (again) loop.metrics.upstream_retries.add();
        auto place = co_await x.pool->place(attempt);
        if (!place) {
            last = place.error();
            note_unreachable(x, attempt.server, last);
            attempt.tried.push_back(attempt.server);
            continue;
        }
        x.record.server = place->server_name();
        x.server_host = place->host();
        Outcome outcome = co_await ask(loop, x, place->connection(), state);
        if (!outcome.retry) co_return std::move(outcome.answer);
        // A connection that is closed while it is used says nothing about its server, unless that comes twice.
        if (std::exchange(was_closed, true)) attempt.tried.push_back(attempt.server);
        last = asio::error::connection_reset;
    }
    co_return out_of_servers(last);
}

}  // namespace

Task<std::optional<Answer>> forward_http2(EventLoop& loop, Exchange& x) {
    Http2Upload state;
    auto answer = co_await ask_around(loop, x, state);
    co_await stop(x, state);
    co_return answer;
}

}  // namespace rotagate::proxy
