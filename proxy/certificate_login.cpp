#include <algorithm>

#include "proxy/client_certificate.hpp"
#include "proxy/pipeline.hpp"
#include "proxy/route.hpp"

/// `user_from: certificate`: the step `admit` where the client's certificate tells who the user is.
namespace rotagate::proxy {
namespace {

using Kind = SecurityEvent::Kind;

/// Whether another site's page has caused the request. A browser shows its certificate to requests of every site.
bool is_cross_site(const RequestHead& head) {
    if (find(head.fields, Known::sec_fetch_site))
        return std::any_of(head.fields.begin(), head.fields.end(), [](const Field& field) {
            return field.known == Known::sec_fetch_site && field.value == "cross-site";
        });
    const auto origin = find(head.fields, Known::origin);
    constexpr std::string_view scheme = "https://";
    return origin && !(origin->starts_with(scheme) && same_name(origin->substr(scheme.size()), head.authority));
}

/// Whether the address bar leads to what is asked for, and not a frame in another page.
bool is_top_level(const RequestHead& head) {
    return is_page_load(head) && std::none_of(head.fields.begin(), head.fields.end(), [](const Field& field) {
               return same_name(field.name, "sec-fetch-dest") && field.value != "document";
           });
}

/// Whether the certificate counts where there is no session cookie: as that cookie would, by session.cookie.same_site.
bool may_start(const Exchange& x) {
    switch (x.site->config.session.cookie.same_site) {
        case config::SameSite::none:
            return true;
        case config::SameSite::lax:
            return !is_cross_site(x.request) || is_top_level(x.request);
        case config::SameSite::strict:
            return !is_cross_site(x.request);
    }
    return false;
}

/// The cookie is another user's than the certificate. Neither is believed; the session is not harmed.
Answer refuse_session(EventLoop& loop, Exchange& x) {
    note(loop, x, Kind::refused, Reason::certificate_mismatch, &x.session->id,
         "the session is not that of the client certificate's user");
    x.session.reset();
    x.user = {};
    x.set_cookie = {};
    return {.status = 403, .reason = "certificate_mismatch"};
}

/// Takes the session that the connection has started before, for a client that keeps no cookies, or has not got the
/// first yet. To the store this is a cookie that was minted just now. Errors: unavailable; others: it has ended.
Task<error_code> go_on(EventLoop& loop, Exchange& x, const session::SessionId& id) {
    const session::SessionCookie cookie{.id = id, .minted = loop.store.now(), .expires = {}, .absolute = false};
    const session::Presentation wanted{.renew = x.route->activity, .with_data = x.route->session_data};
    Pending<session::Session> presented;
    loop.store.present(cookie, wanted, presented.completion());
    if (!presented.ready()) co_await presented.wait();
    auto& session = presented.result();
    if (!session) co_return session.error();
    admit_session(loop, x, std::move(*session));
    co_return error_code();
}

Answer unavailable(EventLoop& loop, const Exchange& x) {
    note(loop, x, Kind::refused, Reason::store_unavailable, nullptr);
    return {.status = 503, .reason = "store_unavailable"};
}

/// Has the requests go on that have waited for a session to be started.
void tell_waiters(ClientCertificate& certificate, bool failed) {
    certificate.starting = false;
    decltype(certificate.waiters) waiting;  // who waits anew waits for another
    waiting.swap(certificate.waiters);
    while (!waiting.empty()) {
        ClientCertificate::Waiter& waiter = waiting.front();
        waiter.unlink();
        waiter.failed = failed;
        waiter.over.notify();
    }
}

/// Starts a session. Requests that come on the connection meanwhile wait for it: each with one of its own would
/// displace the user's others. Errors: unavailable.
Task<error_code> start_for_all(EventLoop& loop, Exchange& x, ClientCertificate& certificate) {
    session::NewSession request{.user = {.id = certificate.user, .org = {}},
                                .permanent = false,
                                .data = {},
                                .client = x.client_address,
                                .replaces = x.ended};
    constexpr std::string_view how = "by the client certificate";
    certificate.starting = true;
    error_code failed;
    try {
        failed = co_await start_session(loop, x, std::move(request), how);
    } catch (...) {
        tell_waiters(certificate, true);
        throw;
    }
    if (!failed) certificate.session = x.session->id;
    tell_waiters(certificate, static_cast<bool>(failed));
    co_return failed;
}

/// Goes on with the session that the connection has started, or starts one.
Task<std::optional<Answer>> log_in(EventLoop& loop, Exchange& x, ClientCertificate& certificate) {
    bool ended = false;  // the session that the connection has started
    while (!ended) {
        while (certificate.starting) {
            ClientCertificate::Waiter waiter;
            certificate.waiters.push_back(waiter);
            co_await waiter.over.wait();
            if (waiter.failed) co_return unavailable(loop, x);
        }
        const auto before = certificate.session;
        if (!before) break;
        const error_code gone = co_await go_on(loop, x, *before);
        if (gone == session::SessionErrc::unavailable) co_return unavailable(loop, x);
        if (!gone) co_return std::nullopt;
        ended = !certificate.starting && certificate.session->text == before->text;  // else another request knows more
    }
    if (co_await start_for_all(loop, x, certificate)) co_return unavailable(loop, x);
    admit_session(loop, x, std::move(*x.session));
    co_return std::nullopt;
}

}  // namespace

Task<std::optional<Answer>> admit_by_certificate(EventLoop& loop, Exchange& x) {
    if (!x.session_route()) co_return co_await admit_by_cookie(loop, x);  // a preflight, which browsers send without
    const auto certificate = x.peer.certificate;
    // Without it the cookie is not even looked at: a session counts only together with the certificate.
    if (!certificate || certificate->user.empty()) {
        if (certificate)
            note(loop, x, Kind::refused, Reason::invalid_login, nullptr,
                 "the client certificate's common name is not there once, or no user id");
        co_return admit_nobody(x);
    }
    auto answer = co_await admit_by_cookie(loop, x);
    if (x.session && x.user == session::User{certificate->user, {}}) co_return std::nullopt;
    if (x.session) co_return refuse_session(loop, x);
    const bool undecided = x.ambiguous || (answer && answer->status == 503);
    if (undecided || !may_start(x)) co_return answer;
    co_return co_await log_in(loop, x, *certificate);
}

}  // namespace rotagate::proxy
