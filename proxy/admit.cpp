#include "proxy/pipeline.hpp"
#include "proxy/route.hpp"

namespace rotagate::proxy {
namespace {

using session::SessionCookie;
using session::SessionErrc;
using Kind = SecurityEvent::Kind;

/// What the session cookies of a request come to.
struct Opened {
    std::optional<SessionCookie> cookie;  ///< the newest of one session's
    bool ambiguous = false;               ///< they open for different sessions
    bool forged = false;                  ///< one has the right shape, but no key opens it
};

Opened open_cookies(EventLoop& loop, const Exchange& x) {
    Opened opened;
    for (const std::string_view value : x.cookies.sessions) {
        auto cookie = loop.sealer.open(value, x.audience);
        if (!cookie) {
            opened.forged |= cookie.error() == SessionErrc::cookie_forged;
        } else if (opened.cookie && opened.cookie->id != cookie->id) {
            opened.ambiguous = true;
        } else if (!opened.cookie || cookie->minted > opened.cookie->minted) {
            opened.cookie = std::move(*cookie);
        }
    }
    return opened;
}

/// The cookie to present to the store; none: there is none that counts, and the answer deletes what is worthless.
std::optional<SessionCookie> genuine_cookie(EventLoop& loop, Exchange& x) {
    if (x.cookies.sessions.empty()) return std::nullopt;
    Opened opened = open_cookies(loop, x);
    if (opened.ambiguous) {
        x.ambiguous = true;
        note(loop, x, Kind::refused, Reason::ambiguous_cookie, nullptr);
        return std::nullopt;
    }
    if (!opened.cookie) {
        note(loop, x, Kind::refused, opened.forged ? Reason::forged : Reason::malformed, nullptr);
        x.set_cookie = x.site->cookie_writer.remove();
    }
    return std::move(opened.cookie);
}

/// What the client's cookies are bound to: their name, and where they may be sent.
std::string_view audience(Exchange& x) {
    if (!x.site->config.session.cookie.domain.empty()) return x.site->audience;
    return x.arena.join({x.site->audience, x.request.host});
}

Answer unauthenticated(const Exchange& x) {
    const config::OnUnauthenticated& rule = x.route->on_unauthenticated;
    if (!rule.redirect.empty() && is_page_load(x.request))
        return {.status = 302,
                .reason = "unauthenticated",
                .location = login_location(rule.redirect, x.target.path, x.target.query)};
    return {.status = rule.redirect.empty() ? rule.status : 401, .reason = "unauthenticated"};
}

/// The request goes on as nobody's, where the route lets it.
std::optional<Answer> as_nobody(const Exchange& x) {
    if (x.route->access == config::Access::required) return unauthenticated(x);
    return std::nullopt;
}

Reason why_gone(const EventLoop& loop, const SessionCookie& cookie) {
    if (cookie.expires > loop.store.now()) return Reason::unknown_session;
    return cookie.absolute ? Reason::absolute : Reason::idle;
}

std::optional<Answer> refused(EventLoop& loop, Exchange& x, const SessionCookie& cookie,
                              const boost::system::error_code& why) {
    if (why == SessionErrc::unavailable) {
        note(loop, x, Kind::refused, Reason::store_unavailable, &cookie.id);
        return Answer{.status = 503, .reason = "store_unavailable"};
    }
    x.ended = cookie.id;
    if (why == SessionErrc::replaced) {
        // The browser may hold the new login's cookie by now: do not delete that.
        note(loop, x, Kind::refused, Reason::replaced, &cookie.id);
        return as_nobody(x);
    }
    x.set_cookie = x.site->cookie_writer.remove();
    if (why != SessionErrc::replayed) note(loop, x, Kind::refused, why_gone(loop, cookie), &cookie.id);
    return as_nobody(x);
}

/// The store has ended the session of a replayed cookie; session.on_replay may ask for more.
Task<> after_replay(EventLoop& loop, const Exchange& x, const session::SessionId& replayed) {
    note(loop, x, Kind::ended, Reason::replay, &replayed);
    if (x.site->config.session.on_replay != config::OnReplay::end_user) co_return;
    const session::User user = replayed.user();
    Pending<std::vector<session::SessionId>> ending;
    loop.store.end_user(user, ending.completion());
    if (!ending.ready()) co_await ending.wait();
    const auto& ended = ending.result();
    if (!ended) {
        note(loop, x, Kind::refused, Reason::store_unavailable, &replayed,
             "the user's other sessions could not be ended; run: rotagate sessions revoke --user");
        co_return;
    }
    for (const session::SessionId& id : *ended)
        note(loop, x, Kind::ended, Reason::replay, &id, "another session's cookie was replayed");
}

}  // namespace

void admit_session(EventLoop& loop, Exchange& x, session::Session session) {
    x.user = session.id.user();
    x.identity.user = header_encoded(x.user.id);
    x.identity.org = header_encoded(x.user.org);
    if (session.replay_reported)
        note(loop, x, Kind::refused, Reason::replay, &session.id, "reported only: session.on_replay is report");
    x.session = std::move(session);
    if (x.route->session_data) x.identity.data = x.session->data ? std::string_view(*x.session->data) : "{}";
}

std::optional<Answer> admit_nobody(Exchange& x) {
    x.cookies = split_cookies(x.request.fields, x.site->config.session.cookie.name, x.arena);
    return as_nobody(x);
}

Task<std::optional<Answer>> admit(EventLoop& loop, Exchange& x) {
    if (x.route->user_from == config::UserFrom::certificate) return admit_by_certificate(loop, x);
    return admit_by_cookie(loop, x);
}

Task<std::optional<Answer>> admit_by_cookie(EventLoop& loop, Exchange& x) {
    x.cookies = split_cookies(x.request.fields, x.site->config.session.cookie.name, x.arena);
    if (!x.session_route()) co_return std::nullopt;
    x.audience = audience(x);
    const auto cookie = genuine_cookie(loop, x);
    if (!cookie) co_return as_nobody(x);
    loop.metrics.store_calls.add();
    const auto asked = std::chrono::steady_clock::now();
    Pending<session::Session> presented;
    const session::Presentation wanted{.renew = x.route->activity, .with_data = x.route->session_data};
    loop.store.present(*cookie, wanted, presented.completion());
    if (!presented.ready()) co_await presented.wait();
    x.admitted = std::chrono::steady_clock::now();
    x.record.store_duration = std::chrono::duration_cast<std::chrono::microseconds>(x.admitted - asked);
    loop.metrics.store_duration.observe(x.record.store_duration);
    auto& session = presented.result();
    if (!session) {
        if (session.error() == SessionErrc::replayed) co_await after_replay(loop, x, cookie->id);
        co_return refused(loop, x, *cookie, session.error());
    }
    x.presented = cookie->minted;
    admit_session(loop, x, std::move(*session));
    co_return std::nullopt;
}

}  // namespace rotagate::proxy
