#include <spdlog/spdlog.h>

#include "proxy/pipeline.hpp"

namespace rotagate::proxy {
namespace {

using session::SessionErrc;
using Kind = SecurityEvent::Kind;

Answer failure(EventLoop& loop, const Exchange& x, const error_code& why) {
    if (why == SessionErrc::unavailable) {
        note(loop, x, Kind::refused, Reason::store_unavailable, x.session ? &x.session->id : nullptr,
             "what the app's X-Session-* headers ask for is not confirmed; it may have happened");
        return {.status = 503, .reason = "store_unavailable"};
    }
    note(loop, x, Kind::refused, Reason::invalid_login, nullptr, why.message());
    return {.status = 502, .reason = "invalid_session_command"};
}

Task<std::optional<Answer>> log_in(EventLoop& loop, Exchange& x, const SessionCommand& command) {
    session::NewSession request{.user = {.id = std::string(*command.user), .org = std::string(command.org)},
                                .permanent = command.permanent,
                                .data = {},
                                .client = x.client_address,
                                .replaces = {}};
    if (command.data) request.data = std::string(*command.data);
    // Late requests with the cookie of a session that has ended must not have the new cookie deleted either.
    request.replaces = x.session ? x.session->id : x.ended;
    const error_code failed = co_await start_session(loop, x, std::move(request), std::string_view());
    if (failed) co_return failure(loop, x, failed);
    co_return std::nullopt;
}

/// This request has ended its session. Where somebody else had ended it already, the browser may hold the cookie of a
/// new login by now, which a deletion would hit.
void delete_cookie(Exchange& x) {
    x.set_cookie = x.site->cookie_writer.remove();
    x.admitted = std::chrono::steady_clock::now();
}

Task<std::optional<Answer>> log_out(EventLoop& loop, Exchange& x) {
    Pending<bool> ending;
    loop.store.end(x.session->id, ending.completion());
    if (!ending.ready()) co_await ending.wait();
    const auto& ended = ending.result();
    if (!ended) co_return failure(loop, x, ended.error());
    if (*ended) {
        note(loop, x, Kind::ended, Reason::logout, &x.session->id);
        delete_cookie(x);
    }
    x.session.reset();
    co_return std::nullopt;
}

Task<std::optional<Answer>> log_out_everywhere(EventLoop& loop, Exchange& x) {
    Pending<std::vector<session::SessionId>> ending;
    loop.store.end_user(x.user, ending.completion());
    if (!ending.ready()) co_await ending.wait();
    const auto& ended = ending.result();
    if (!ended) co_return failure(loop, x, ended.error());
    for (const session::SessionId& one : *ended) {
        note(loop, x, Kind::ended, Reason::logout_user, &one);
        if (one == x.session->id) delete_cookie(x);
    }
    x.session.reset();
    co_return std::nullopt;
}

Task<std::optional<Answer>> keep_data(EventLoop& loop, Exchange& x, std::string_view data) {
    Pending<void> keeping;
    loop.store.replace_data(x.session->id, std::string(data), keeping.completion());
    if (!keeping.ready()) co_await keeping.wait();
    const auto& kept = keeping.result();
    // A session that has ended meanwhile keeps nothing, and that is all right.
    if (!kept && kept.error() != SessionErrc::unknown) co_return failure(loop, x, kept.error());
    co_return std::nullopt;
}

}  // namespace

Task<error_code> start_session(EventLoop& loop, Exchange& x, session::NewSession request, std::string_view detail) {
    Pending<session::Started> starting;
    loop.store.start(request, starting.completion());
    if (!starting.ready()) co_await starting.wait();
    auto& started = starting.result();
    if (!started) co_return started.error();
    if (started->replaced) note(loop, x, Kind::ended, Reason::replaced, &*request.replaces);
    for (const session::SessionId& id : started->displaced)
        note(loop, x, Kind::ended, Reason::displaced, &id, "session.max_sessions_per_user was reached");
    x.session = std::move(started->session);
    x.presented = {};
    x.user = std::move(request.user);
    x.admitted = std::chrono::steady_clock::now();
    note(loop, x, Kind::started, Reason::login, &x.session->id, detail);
    co_return error_code();
}

Task<std::optional<Answer>> obey_session_command(EventLoop& loop, Exchange& x, const ResponseHead& head) {
    const auto command = session_command(head);
    if (!command) {
        spdlog::warn(
            "session.invalid_command upstream={} server={} request_id={} cure=\"X-Session-User is 1 to 256 bytes "
            "of UTF-8, X-Session-Data a JSON object of at most 64 KiB, each sent once\"",
            x.pool->settings().name, x.record.server, x.request_id);
        note(loop, x, Kind::refused, Reason::invalid_login, nullptr, "the app's X-Session-* headers are not valid");
        co_return Answer{.status = 502, .reason = "invalid_session_command"};
    }
    if (command->user) co_return co_await log_in(loop, x, *command);
    if (!x.session) co_return std::nullopt;  // there is nothing to end, and nothing that could keep data
    if (command->end != SessionCommand::End::none) {
        std::optional<Answer> failed;
        if (command->end == SessionCommand::End::user) {
            failed = co_await log_out_everywhere(loop, x);
        } else {
            failed = co_await log_out(loop, x);
        }
        // A tunnel would belong to the session that it ends, and to nobody that could be signed out of it.
        if (!failed && head.status == 101) co_return Answer{.status = 502, .reason = "invalid_session_command"};
        co_return failed;
    }
    if (command->data) co_return co_await keep_data(loop, x, *command->data);
    co_return std::nullopt;
}

}  // namespace rotagate::proxy
