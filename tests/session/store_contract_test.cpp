#include "store_contract.hpp"

#include <algorithm>

namespace rotagate::session {

void store_contract(StoreHarness& harness) {
    SECTION("lifetimes") { lifetime_contract(harness); }
    SECTION("endings") { ending_contract(harness); }
    SECTION("logins") { login_contract(harness); }
    SECTION("rotation") { rotation_contract(harness); }
    SECTION("operators") { operator_contract(harness); }
}

template <class T, class Call>
Result<T> StoreCaller::wait_for(Call call) {
    std::optional<Result<T>> answer;
    call([&answer](Result<T> result) {
        REQUIRE_FALSE(answer.has_value());  // a completion is called once
        answer.emplace(std::move(result));
    });
    while (!answer) harness_.run_some();
    return std::move(*answer);
}

Started StoreCaller::start(const User& user, NewSession request) {
    request.user = user;
    return try_start(std::move(request)).value();
}

Result<Started> StoreCaller::try_start(NewSession request) {
    return wait_for<Started>([&](auto done) { store_.start(std::move(request), done); });
}

Result<Session> StoreCaller::present(const SessionCookie& cookie, bool renew) {
    const Presentation wanted{.renew = renew, .with_data = true};
    return wait_for<Session>([&](auto done) { store_.present(cookie, wanted, done); });
}

Result<Millis> StoreCaller::issue(const SessionId& id, Millis minted) {
    return wait_for<Millis>([&](auto done) { store_.issue(id, minted, done); });
}

Result<Millis> StoreCaller::touch(const SessionId& id, bool renew) {
    return wait_for<Millis>([&](auto done) { store_.touch(id, renew, done); });
}

Result<> StoreCaller::replace_data(const SessionId& id, std::string json) {
    return wait_for<void>([&](auto done) { store_.replace_data(id, std::move(json), done); });
}

bool StoreCaller::end(const SessionId& id) {
    return wait_for<bool>([&](auto done) { store_.end(id, done); }).value();
}

std::vector<SessionId> StoreCaller::end_user(const User& user) {
    return wait_for<std::vector<SessionId>>([&](auto done) { store_.end_user(user, done); }).value();
}

std::vector<SessionId> StoreCaller::end_selected(const Selection& selection) {
    return wait_for<std::vector<SessionId>>([&](auto done) { store_.end_selected(selection, done); }).value();
}

Result<Page> StoreCaller::list_page(const Selection& selection, std::string cursor, std::size_t limit) {
    return wait_for<Page>([&](auto done) { store_.list(selection, std::move(cursor), limit, done); });
}

std::vector<std::string> StoreCaller::list(const Selection& selection, std::size_t limit) {
    std::vector<std::string> all;
    std::string cursor;
    do {
        Page page = list_page(selection, cursor, limit).value();
        REQUIRE(page.sessions.size() <= limit);
        for (const auto& session : page.sessions) all.push_back(session.id.text);
        cursor = page.cursor;
    } while (!cursor.empty());
    std::ranges::sort(all);
    return all;
}

std::size_t StoreCaller::count_users(const std::optional<std::string>& org) {
    return wait_for<std::size_t>([&](auto done) { store_.count_users(org, done); }).value();
}

Result<> StoreCaller::ping() {
    return wait_for<void>([&](auto done) { store_.ping(done); });
}

std::vector<std::string> texts_of(const std::vector<SessionId>& ids) {
    std::vector<std::string> texts;
    texts.reserve(ids.size());
    for (const auto& id : ids) texts.push_back(id.text);
    std::ranges::sort(texts);
    return texts;
}

}  // namespace rotagate::session
