#pragma once

#include <catch2/catch.hpp>

#include "session/store.hpp"

/// What every session store must keep: the promises of session/store.hpp and of SPEC sections 2 and 7, as one test.
namespace rotagate::session {

/// What a store brings along to be tested.
class StoreHarness {
public:
    virtual ~StoreHarness() = default;
    /// A fresh and empty store with these settings, in place of the former one.
    virtual SessionStore& open(const config::Session& settings) = 0;
    /// Lets time pass on the store's clock.
    virtual void advance(Millis time) = 0;
    /// Runs the event loop until something has happened there. Stores that answer at once need none.
    virtual void run_some() {}
    /// All times of the contract are multiples of this. A store whose clock cannot be faked chooses a short one.
    virtual Millis unit() const { return Millis{1000}; }
};

/// Runs the contract, in Catch2 sections: call it from a test case.
void store_contract(StoreHarness& harness);

/// The store as a test wants it: calls that wait for their answers.
class StoreCaller {
public:
    StoreCaller(StoreHarness& harness, const config::Session& settings)
        : harness_(harness), store_(harness.open(settings)) {}

    SessionStore& store() { return store_; }
    Started start(const User& user, NewSession request = {});
    Result<Started> try_start(NewSession request);
    /// A cookie of this session as it would be minted now.
    SessionCookie mint(const Session& session) const { return {session.id, store_.now(), session.expires}; }
    Result<Session> present(const SessionCookie& cookie, bool renew = true);
    Result<Millis> issue(const SessionId& id, Millis minted);
    Result<Millis> check(const SessionId& id) { return touch(id, false); }
    Result<Millis> touch(const SessionId& id, bool renew);
    Result<> replace_data(const SessionId& id, std::string json);
    bool end(const SessionId& id);
    std::vector<SessionId> end_user(const User& user);
    std::vector<SessionId> end_selected(const Selection& selection);
    Result<Page> list_page(const Selection& selection, std::string cursor, std::size_t limit);
    /// The texts of the ids of all pages, sorted; no page is larger than the limit.
    std::vector<std::string> list(const Selection& selection, std::size_t limit = 100);
    std::size_t count_users(const std::optional<std::string>& org = {});
    Result<> ping();

private:
    template <class T, class Call>
    Result<T> wait_for(Call call);

    StoreHarness& harness_;
    SessionStore& store_;
};

std::vector<std::string> texts_of(const std::vector<SessionId>& ids);

// The parts of the contract.
void lifetime_contract(StoreHarness& harness);
void ending_contract(StoreHarness& harness);
void login_contract(StoreHarness& harness);
void rotation_contract(StoreHarness& harness);
void operator_contract(StoreHarness& harness);

}  // namespace rotagate::session
