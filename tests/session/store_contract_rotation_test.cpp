// The contract of all stores: rotation, as SPEC section 2.
#include "store_contract.hpp"

namespace rotagate::session {
namespace {

/// A session whose first cookie is superseded for good.
struct Superseded {
    Session session;
    SessionCookie old_cookie;

    Superseded(StoreHarness& harness, StoreCaller& store, const User& user)
        : session(store.start(user).session), old_cookie(store.mint(session)) {
        harness.advance(60 * harness.unit());
        REQUIRE(store.present(store.mint(session)).has_value());
        harness.advance(21 * harness.unit());
    }
};

}  // namespace

void rotation_contract(StoreHarness& harness) {
    const Millis unit = harness.unit();
    config::Session settings;
    settings.rotation.grace = 10 * unit;
    const User alice{"alice", "acme"};

    SECTION("parallel, lost and repeated requests log nobody out") {
        StoreCaller store{harness, settings};
        const auto session = store.start(alice).session;
        const auto first = store.mint(session);
        harness.advance(60 * unit);
        for (int i = 0; i < 8; ++i) {
            REQUIRE(store.present(first).has_value());
            REQUIRE(store.present(store.mint(session)).has_value());
            harness.advance(unit);
        }
        REQUIRE(store.present(first).has_value());
    }
    SECTION("a superseded cookie ends the session for both who hold it") {
        StoreCaller store{harness, settings};
        const auto other = store.start(alice).session;
        const Superseded stolen{harness, store, alice};
        CHECK(store.present(stolen.old_cookie).error() == SessionErrc::replayed);
        CHECK(store.present(stolen.old_cookie).error() == SessionErrc::unknown);
        CHECK(store.present(store.mint(stolen.session)).error() == SessionErrc::unknown);
        CHECK(store.check(other.id).has_value());
    }
    SECTION("a busy session supersedes its old cookies too") {
        StoreCaller store{harness, settings};
        const auto session = store.start(alice).session;
        const auto old_cookie = store.mint(session);
        for (int i = 0; i < 34; ++i) {
            harness.advance(unit);
            REQUIRE(store.present(store.mint(session)).has_value());
        }
        CHECK(store.present(old_cookie).error() == SessionErrc::replayed);
    }
    SECTION("on_replay: report lets the replay pass, and says so every time") {
        settings.on_replay = config::OnReplay::report;
        StoreCaller store{harness, settings};
        const Superseded stolen{harness, store, alice};
        CHECK(store.present(stolen.old_cookie).value().replay_reported);
        CHECK(store.present(stolen.old_cookie).value().replay_reported);
        CHECK_FALSE(store.present(store.mint(stolen.session)).value().replay_reported);
    }
    SECTION("an authentic cookie newer than the stored state is adopted") {
        StoreCaller store{harness, settings};
        const auto session = store.start(alice).session;
        auto newer = store.mint(session);
        newer.minted += 3 * unit;
        CHECK(store.present(newer).has_value());
        CHECK(store.present(store.mint(session)).has_value());
    }
    SECTION("a route without activity rotates all the same") {
        StoreCaller store{harness, settings};
        const auto session = store.start(alice).session;
        const auto old_cookie = store.mint(session);
        harness.advance(60 * unit);
        REQUIRE(store.present(store.mint(session), false).has_value());
        harness.advance(21 * unit);
        CHECK(store.present(old_cookie, false).error() == SessionErrc::replayed);
    }
    SECTION("strict: a cookie is superseded when its successor is issued") {
        settings.rotation.strict = true;
        StoreCaller store{harness, settings};
        const auto session = store.start(alice).session;
        const auto old_cookie = store.mint(session);
        harness.advance(60 * unit);
        REQUIRE(store.present(old_cookie).has_value());
        const auto successor = store.mint(session);
        REQUIRE(store.issue(session.id, successor.minted).has_value());
        CHECK(store.present(old_cookie).has_value());
        harness.advance(11 * unit);
        CHECK(store.present(successor).has_value());
        CHECK(store.present(old_cookie).error() == SessionErrc::replayed);
    }
}

}  // namespace rotagate::session
