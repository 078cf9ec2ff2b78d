// The contract of all stores: how sessions begin, last and end.
#include "store_contract.hpp"

namespace rotagate::session {
namespace {

using Texts = std::vector<std::string>;

config::Session settings_of(const StoreHarness& harness) {
    config::Session settings;
    settings.idle_timeout = 60 * harness.unit();
    settings.permanent_timeout = 600 * harness.unit();
    settings.rotation.grace = 10 * harness.unit();
    return settings;
}

}  // namespace

void lifetime_contract(StoreHarness& harness) {
    const Millis unit = harness.unit();
    auto settings = settings_of(harness);

    SECTION("a login gets a session that is told back as it was asked for") {
        StoreCaller store{harness, settings};
        const auto before = store.store().now();
        const auto [session, replaced, displaced] =
            store.start({"alice", "acme"}, {.data = R"({"cart":3})", .client = "192.0.2.7"});
        CHECK(session.id.user() == User{"alice", "acme"});
        CHECK(session.created >= before);
        CHECK(session.expires == session.created + settings.idle_timeout);
        CHECK_FALSE(session.permanent);
        CHECK(*session.data == R"({"cart":3})");
        CHECK(session.client == "192.0.2.7");
        CHECK_FALSE(replaced);
        CHECK(displaced.empty());
        const auto seen = store.present(store.mint(session)).value();
        CHECK(seen.id == session.id);
        CHECK(seen.created == session.created);
        CHECK(*seen.data == *session.data);
        CHECK(store.list_page({.user = "alice"}, "", 1).value().sessions.at(0).client == "192.0.2.7");
        CHECK_FALSE(seen.replay_reported);
        CHECK(store.ping().has_value());
    }
    SECTION("every request renews the idle timeout, unless the route says otherwise") {
        StoreCaller store{harness, settings};
        const auto session = store.start({"alice", ""}).session;
        for (int i = 0; i < 3; ++i) {
            harness.advance(50 * unit);
            const auto seen = store.present(store.mint(session)).value();
            CHECK(seen.expires >= store.store().now() + 58 * unit);
            CHECK(seen.expires <= store.store().now() + 60 * unit + unit / 10);  // a remote clock is not known exactly
        }
        harness.advance(50 * unit);
        const auto polled = store.present(store.mint(session), false).value();
        CHECK(polled.expires <= store.store().now() + 10 * unit + unit / 10);
        CHECK(polled.last_seen + unit > store.store().now());
        harness.advance(11 * unit);
        CHECK(store.present(store.mint(session)).error() == SessionErrc::unknown);
    }
    SECTION("what is open for long can ask when its session expires, and renew it") {
        StoreCaller store{harness, settings};
        const auto session = store.start({"alice", ""}).session;
        harness.advance(50 * unit);
        CHECK(store.touch(session.id, false).value() == session.expires);
        const auto renewed = store.touch(session.id, true).value();
        CHECK(renewed >= store.store().now() + 58 * unit);
        CHECK(renewed <= store.store().now() + 60 * unit + unit / 10);
        harness.advance(50 * unit);
        CHECK(store.touch(session.id, false).value() == renewed);
        CHECK_FALSE(store.store().known_ended(session.id));
        harness.advance(11 * unit);
        CHECK(store.touch(session.id, true).error() == SessionErrc::unknown);
        CHECK(store.store().known_ended(session.id));
    }
    SECTION("renewing without a cookie leaves the rotation alone") {
        settings.rotation.grace = 5 * unit;
        StoreCaller store{harness, settings};
        const auto session = store.start({"alice", ""}).session;
        const auto cookie = store.mint(session);
        for (int i = 0; i < 4; ++i) {
            harness.advance(20 * unit);
            REQUIRE(store.touch(session.id, true).has_value());
        }
        CHECK(store.present(cookie).has_value());
    }
    SECTION("a session without a request ends by itself") {
        StoreCaller store{harness, settings};
        const auto session = store.start({"alice", ""}).session;
        const auto permanent = store.start({"alice", ""}, {.permanent = true}).session;
        CHECK(permanent.permanent);
        harness.advance(57 * unit);
        CHECK(store.check(session.id).has_value());
        harness.advance(4 * unit);
        CHECK(store.check(session.id).error() == SessionErrc::unknown);
        CHECK(store.present(store.mint(session)).error() == SessionErrc::unknown);
        CHECK_FALSE(store.end(session.id));
        CHECK(store.list({}) == Texts{permanent.id.text});
        CHECK(store.present(store.mint(permanent)).value().expires > store.store().now() + 550 * unit);
        harness.advance(601 * unit);
        CHECK(store.check(permanent.id).error() == SessionErrc::unknown);
        CHECK(store.count_users() == 0);
    }
    SECTION("a short lifetime is kept as exactly as a long one") {
        settings.idle_timeout = 3 * unit;
        StoreCaller store{harness, settings};
        const auto session = store.start({"alice", ""}).session;
        for (int i = 0; i < 5; ++i) {
            harness.advance(2 * unit);
            REQUIRE(store.present(store.mint(session)).has_value());
        }
        harness.advance(3 * unit);
        CHECK(store.present(store.mint(session)).error() == SessionErrc::unknown);
    }
    SECTION("no request renews a session beyond its absolute timeout") {
        settings.absolute_timeout = 100 * unit;
        StoreCaller store{harness, settings};
        const auto session = store.start({"alice", ""}).session;
        harness.advance(50 * unit);
        CHECK(store.present(store.mint(session)).value().expires == session.created + 100 * unit);
        harness.advance(49 * unit);
        CHECK(store.present(store.mint(session)).has_value());
        CHECK(store.touch(session.id, true).value() == session.created + 100 * unit);
        harness.advance(2 * unit);
        CHECK(store.present(store.mint(session)).error() == SessionErrc::unknown);
    }
}

void ending_contract(StoreHarness& harness) {
    StoreCaller store{harness, settings_of(harness)};
    const auto session = store.start({"alice", ""}).session;
    const auto other = store.start({"alice", ""}).session;

    SECTION("a session ends at once, and once only") {
        CHECK_FALSE(store.store().known_ended(session.id));
        CHECK(store.end(session.id));
        CHECK_FALSE(store.end(session.id));
        CHECK(store.present(store.mint(session)).error() == SessionErrc::unknown);
        CHECK(store.check(session.id).error() == SessionErrc::unknown);
        CHECK(store.present(store.mint(other)).has_value());
    }
    SECTION("nothing brings an ended session back") {
        REQUIRE(store.end(session.id));
        CHECK(store.replace_data(session.id, "{}").error() == SessionErrc::unknown);
        CHECK(store.issue(session.id, store.store().now()).error() == SessionErrc::unknown);
        CHECK(store.touch(session.id, true).error() == SessionErrc::unknown);
        CHECK(store.present(store.mint(session)).error() == SessionErrc::unknown);
        CHECK(store.check(session.id).error() == SessionErrc::unknown);
        CHECK(store.store().known_ended(session.id));
        CHECK(store.list({}) == Texts{other.id.text});
    }
    SECTION("the app replaces its data, and nobody else's") {
        CHECK(store.replace_data(session.id, R"({"cart":3})").has_value());
        CHECK(*store.present(store.mint(session)).value().data == R"({"cart":3})");
        CHECK(store.present(store.mint(other)).value().data == nullptr);
        CHECK(store.replace_data(session.id, "{}").has_value());
        CHECK(*store.present(store.mint(session)).value().data == "{}");
        CHECK(store.replace_data(session.id, "[]").error() == SessionErrc::data_invalid);
        CHECK(*store.present(store.mint(session)).value().data == "{}");
    }
    SECTION("an id that no store gave out is unknown") {
        const Session stranger{.id = SessionId::create({"alice", ""})};
        CHECK(store.present(store.mint(stranger)).error() == SessionErrc::unknown);
        CHECK(store.check(stranger.id).error() == SessionErrc::unknown);
        CHECK(store.replace_data(stranger.id, "{}").error() == SessionErrc::unknown);
        CHECK_FALSE(store.end(stranger.id));
        CHECK(store.list({}).size() == 2);
    }
}

void login_contract(StoreHarness& harness) {
    const Millis unit = harness.unit();
    auto settings = settings_of(harness);

    SECTION("what is no user, or no data, starts nothing") {
        StoreCaller store{harness, settings};
        CHECK(store.try_start({.user = {"", "acme"}}).error() == SessionErrc::user_invalid);
        CHECK(store.try_start({.user = {"a\n", ""}}).error() == SessionErrc::user_invalid);
        CHECK(store.try_start({.user = {"alice", ""}, .data = "3"}).error() == SessionErrc::data_invalid);
        CHECK(store.count_users() == 0);
    }
    SECTION("a login ends the session that it replaces, whose late cookies are told apart for 2 G") {
        StoreCaller store{harness, settings};
        const auto old = store.start({"alice", ""}).session;
        for (const User& user : {User{"alice", ""}, User{"bob", "acme"}}) {
            const auto before = store.start({"alice", ""}).session;
            const auto started = store.start(user, {.replaces = before.id});
            CHECK(started.replaced);
            CHECK_FALSE(started.session.id == before.id);
            CHECK(store.check(before.id).error() == SessionErrc::unknown);
            harness.advance(19 * unit);
            CHECK(store.present(store.mint(before)).error() == SessionErrc::replaced);
            harness.advance(2 * unit);
            CHECK(store.present(store.mint(before)).error() == SessionErrc::unknown);
            CHECK(store.present(store.mint(started.session)).has_value());
        }
        CHECK(store.check(old.id).has_value());
    }
    SECTION("the same holds where the session had ended before") {
        StoreCaller store{harness, settings};
        const auto old = store.start({"alice", ""}).session;
        REQUIRE(store.end(old.id));
        CHECK_FALSE(store.start({"alice", ""}, {.replaces = old.id}).replaced);
        CHECK(store.present(store.mint(old)).error() == SessionErrc::replaced);
    }
    SECTION("a login that fails ends nothing") {
        StoreCaller store{harness, settings};
        const auto old = store.start({"alice", ""}).session;
        CHECK(store.try_start({.user = {"", ""}, .replaces = old.id}).error() == SessionErrc::user_invalid);
        CHECK(store.present(store.mint(old)).has_value());
    }
    SECTION("beyond the limit per user the oldest session ends, never the new one") {
        settings.max_sessions_per_user = 2;
        StoreCaller store{harness, settings};
        const auto bystander = store.start({"alice", "acme"}).session;
        std::vector<Session> sessions;
        for (int i = 0; i < 5; ++i) {
            const auto started = store.start({"alice", ""});
            sessions.push_back(started.session);
            Texts oldest;
            if (i >= 2) oldest.push_back(sessions[i - 2].id.text);
            CHECK(texts_of(started.displaced) == oldest);
            harness.advance(unit);
        }
        CHECK(store.list({.user = "alice", .org = ""}).size() == 2);
        CHECK(store.check(sessions[3].id).has_value());
        CHECK(store.check(sessions[4].id).has_value());
        CHECK(store.check(bystander.id).has_value());
        // A session that is replaced makes room itself, and so does one that has expired.
        CHECK(store.start({"alice", ""}, {.replaces = sessions[3].id}).displaced.empty());
        harness.advance(61 * unit);
        CHECK(store.start({"alice", ""}).displaced.empty());
    }
}

}  // namespace rotagate::session
