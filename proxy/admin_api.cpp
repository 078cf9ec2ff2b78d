#include "proxy/admin_api.hpp"

#include <memory>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/json/array.hpp>

#include "proxy/headers.hpp"
#include "proxy/log_line.hpp"

namespace rotagate::proxy {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace json = boost::json;

namespace {

/// Waits for the answer of a store, which may come before the call returns.
/// @param call  starts the operation with the completion that it is given
template <class T>
asio::awaitable<session::Result<T>> ask(std::function<void(session::Completion<T>)> call) {
    auto initiate = [&call](auto handler) {
        auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
        call([waiting](session::Result<T> result) {
            const auto executor = asio::get_associated_executor(*waiting);
            asio::post(executor,
                       [waiting, result = std::move(result)]() mutable { std::move (*waiting)(std::move(result)); });
        });
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(session::Result<T>)>(
        initiate, asio::use_awaitable);
}

AdminResponse store_error(boost::system::error_code error) {
    if (error != session::SessionErrc::unavailable) return admin_error(http::status::bad_request, error.message());
    AdminResponse answer = admin_error(http::status::service_unavailable, "the session store does not answer");
    answer.set(http::field::retry_after, "1");
    return answer;
}

AdminResponse not_allowed(std::string_view allowed) {
    AdminResponse answer = admin_error(http::status::method_not_allowed, "use " + std::string{allowed});
    answer.set(http::field::allow, allowed);
    return answer;
}

AdminResponse revoked(std::size_t count) { return admin_answer(http::status::ok, {{"revoked", count}}); }

json::object describe(const session::Session& session) {
    const session::User user = session.id.user();
    return {{"id", session.id.admin_name()},
            {"user", user.id},
            {"org", user.org},
            {"created", rfc3339(session.created)},
            {"expires", rfc3339(session.expires)},
            {"permanent", session.permanent},
            {"last_seen", rfc3339(session.last_seen)},
            {"client", session.client}};
}

}  // namespace

AdminApi::Answer AdminApi::answer(const AdminRequest& request) {
    try {
        co_return co_await route(request);
    } catch (const AdminUsage& wrong) {
        co_return admin_error(http::status::bad_request, wrong.what());
    }
}

AdminApi::Answer AdminApi::route(const AdminRequest& request) {
    constexpr std::string_view sessions = "/v1/sessions", one_session = "/v1/sessions/";
    const AdminTarget target = AdminTarget::parse(request.target());
    const bool get = request.method() == http::verb::get || request.method() == http::verb::head;
    const bool del = request.method() == http::verb::delete_;
    if (target.path == sessions) {
        if (get) co_return co_await list(target);
        if (del) co_return co_await revoke_selected(target);
        co_return not_allowed("GET, HEAD, DELETE");
    }
    if (target.path.starts_with(one_session) && target.path.size() > one_session.size()) {
        if (!del) co_return not_allowed("DELETE");
        target.allow_only({});
        co_return co_await revoke_one(std::string_view{target.path}.substr(one_session.size()));
    }
    const bool known = target.path == "/v1/users/count" || target.path == "/healthz" || target.path == "/readyz" ||
                       target.path == "/metrics";
    if (!known) co_return admin_error(http::status::not_found, "there is no " + header_encoded(target.path));
    if (!get) co_return not_allowed("GET, HEAD");
    if (target.path == "/v1/users/count") co_return co_await count_users(target);
    if (target.path == "/readyz") co_return co_await ready();
    if (target.path == "/metrics") co_return metrics();
    co_return admin_answer(http::status::ok, {{"status", "ok"}});
}

AdminApi::Answer AdminApi::list(const AdminTarget& target) {
    target.allow_only({"user", "org", "cursor", "limit"});
    const session::Selection selection = target.selection();
    if (!selection.user && !selection.org) throw AdminUsage{"say whose sessions: ?user=U, ?org=O, or both"};
    const std::size_t limit = target.limit();
    const std::function<void(session::Completion<session::Page>)> call = [&](auto done) {
        parts_.store.list(selection, target.find("cursor").value_or(""), limit, std::move(done));
    };
    const auto page = co_await ask<session::Page>(call);
    if (!page) co_return store_error(page.error());
    json::array listed;
    for (const session::Session& session : page->sessions) listed.push_back(describe(session));
    co_return admin_answer(http::status::ok, {{"sessions", std::move(listed)}, {"cursor", page->cursor}});
}

AdminApi::Answer AdminApi::revoke_selected(const AdminTarget& target) {
    target.allow_only({"user", "org", "all"});
    const session::Selection selection = target.selection();
    const auto all = target.find("all");
    const bool some = selection.user || selection.org;
    if (some == all.has_value() || all.value_or("true") != "true") {
        throw AdminUsage{"say which sessions to end: ?user=U, ?org=O, both of them, or ?all=true alone"};
    }
    const std::function<void(session::Completion<std::vector<session::SessionId>>)> call = [&](auto done) {
        parts_.store.end_selected(selection, std::move(done));
    };
    const auto ended = co_await ask<std::vector<session::SessionId>>(call);
    if (!ended) {
        log_unconfirmed({selection.user.value_or(""), selection.org.value_or("")}, {});
        co_return store_error(ended.error());
    }
    const Reason reason = selection.user  ? Reason::revoked_user
                          : selection.org ? Reason::revoked_org
                                          : Reason::revoked_all;
    for (const session::SessionId& id : *ended) log_end(id, reason);
    co_return revoked(ended->size());
}

AdminApi::Answer AdminApi::revoke_one(std::string_view admin_name) {
    const auto id = session::SessionId::from_admin_name(admin_name);
    if (!id) co_return revoked(0);
    const std::function<void(session::Completion<bool>)> call = [&](auto done) {
        parts_.store.end(*id, std::move(done));
    };
    const auto ended = co_await ask<bool>(call);
    if (!ended) {
        log_unconfirmed(id->user(), id->log_name());
        co_return store_error(ended.error());
    }
    if (*ended) log_end(*id, Reason::revoked_session);
    co_return revoked(*ended ? 1 : 0);
}

AdminApi::Answer AdminApi::count_users(const AdminTarget& target) {
    target.allow_only({"org"});
    const auto org = target.selection().org;
    const std::function<void(session::Completion<std::size_t>)> call = [&](auto done) {
        parts_.store.count_users(org, std::move(done));
    };
    const auto users = co_await ask<std::size_t>(call);
    if (!users) co_return store_error(users.error());
    co_return admin_answer(http::status::ok, {{"users", *users}});
}

AdminApi::Answer AdminApi::ready() {
    const std::function<void(session::Completion<>)> call = [&](auto done) { parts_.store.ping(std::move(done)); };
    const auto store = co_await ask<void>(call);
    json::array reasons;
    if (!store) reasons.emplace_back("the session store does not answer");
    for (const std::string& name : parts_.dead_upstreams()) {
        reasons.emplace_back("upstream " + name + " has no live server");
    }
    if (reasons.empty()) co_return admin_answer(http::status::ok, {{"ready", true}});
    co_return admin_answer(http::status::service_unavailable, {{"ready", false}, {"reasons", std::move(reasons)}});
}

AdminResponse AdminApi::metrics() const {
    AdminResponse answer{http::status::ok, 11, parts_.metrics.text()};
    answer.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    return answer;
}

void AdminApi::log_end(const session::SessionId& id, Reason reason) {
    const session::User user = id.user();
    const std::string name = id.log_name();
    parts_.security_log.write({.kind = SecurityEvent::Kind::ended,
                               .reason = reason,
                               .user = user.id,
                               .org = user.org,
                               .session = name,
                               .client = "admin"},
                              parts_.loop_metrics);
}

void AdminApi::log_unconfirmed(const session::User& user, const std::string& session) {
    parts_.security_log.write({.kind = SecurityEvent::Kind::refused,
                               .reason = Reason::store_unavailable,
                               .user = user.id,
                               .org = user.org,
                               .session = session,
                               .client = "admin",
                               .request_id = {},
                               .detail = "the ending is not confirmed; it may have happened: ask again"},
                              parts_.loop_metrics);
}

}  // namespace rotagate::proxy
