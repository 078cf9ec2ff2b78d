#include "session/lmdb_store.hpp"

#include <algorithm>

#include <catch2/catch.hpp>

#include "lmdb_site.hpp"
#include "store_contract.hpp"

using namespace rotagate::session;
using namespace std::chrono_literals;
namespace config = rotagate::config;

namespace {

class LmdbHarness final : public StoreHarness {
public:
    /// @param restarts  whether the store is closed and opened again as time passes; nothing may depend on it
    explicit LmdbHarness(bool restarts) : restarts_(restarts) {}

    SessionStore& open(const config::Session& settings) override {
        face_.site.reset();
        folder_ = std::make_unique<TemporaryFolder>();
        settings_ = settings;
        settings_.store_timeout = 1min;
        reopen();
        return face_;
    }
    void advance(Millis time) override {
        clock_.advance(time);
        if (!restarts_) return face_.site->stores->sweep();
        reopen();
    }
    void run_some() override { face_.site->run_some(); }

private:
    /// Stays where it is while the store behind it is opened anew.
    struct Face final : SessionStore {
        SessionStore& store() const { return *site->store; }
        Millis now() const override { return store().now(); }
        void start(NewSession request, Completion<Started> done) override { store().start(std::move(request), done); }
        void present(const SessionCookie& cookie, Presentation wanted, Completion<Session> done) override {
            store().present(cookie, wanted, done);
        }
        void issue(const SessionId& id, Millis minted, Completion<Millis> done) override {
            store().issue(id, minted, done);
        }
        void touch(const SessionId& id, bool renew, Completion<Millis> done) override {
            store().touch(id, renew, done);
        }
        bool known_ended(const SessionId& id) const override { return store().known_ended(id); }
        void replace_data(const SessionId& id, std::string json, Completion<> done) override {
            store().replace_data(id, std::move(json), done);
        }
        void end(const SessionId& id, Completion<bool> done) override { store().end(id, done); }
        void end_user(const User& user, Completion<std::vector<SessionId>> done) override {
            store().end_user(user, done);
        }
        void end_selected(const Selection& selection, Completion<std::vector<SessionId>> done) override {
            store().end_selected(selection, done);
        }
        void list(const Selection& selection, std::string cursor, std::size_t limit, Completion<Page> done) override {
            store().list(selection, std::move(cursor), limit, done);
        }
        void count_users(const std::optional<std::string>& org, Completion<std::size_t> done) override {
            store().count_users(org, done);
        }
        void ping(Completion<> done) override { store().ping(done); }

        std::unique_ptr<LmdbSite> site;
    };

    void reopen() {
        face_.site.reset();
        face_.site = std::make_unique<LmdbSite>(*folder_ / "sessions", clock_, settings_);
    }

    bool restarts_;
    FakeClock clock_;
    config::Session settings_;
    std::unique_ptr<TemporaryFolder> folder_;
    Face face_;
};

}  // namespace

TEST_CASE("the store on disk keeps the contract of all stores", "[store][lmdb]") {
    LmdbHarness harness{false};
    store_contract(harness);
}

TEST_CASE("the store on disk keeps it over restarts, but for the marks of replaced sessions", "[store][lmdb]") {
    LmdbHarness harness{true};
    SECTION("lifetimes") { lifetime_contract(harness); }
    SECTION("endings") { ending_contract(harness); }
    SECTION("rotation") { rotation_contract(harness); }
    SECTION("operators") { operator_contract(harness); }
}

SCENARIO("a restart keeps all of a session", "[lmdb]") {
    const TemporaryFolder folder;
    FakeClock clock;
    const std::string data = R"({"cart":")" + std::string(60'000, 'x') + "\"}";
    std::vector<Session> before;
    {
        LmdbSite site{folder / "sessions", clock};
        site.start("alice", {.permanent = true, .data = data, .client = "192.0.2.7"});
        const auto other = site.start("J\u00FCrgen", {.client = "2001:db8::1"});
        clock.advance(10min);
        REQUIRE(site.present(other.id).has_value());
        before = site.list();
    }
    LmdbSite site{folder / "sessions", clock};
    const auto after = site.list();
    REQUIRE(after.size() == 2);
    for (const Session& session : after) {
        const auto same = std::ranges::find(before, session.id, &Session::id);
        REQUIRE(same != before.end());
        CHECK(session.created == same->created);
        CHECK(session.expires == same->expires);
        CHECK(session.last_seen == same->last_seen);
        CHECK(session.permanent == same->permanent);
        CHECK(session.client == same->client);
        CHECK((session.data ? *session.data : "") == (same->data ? *same->data : ""));
    }
    CHECK(site.stores->size() == 2);
}

SCENARIO("a restart keeps what a request changed last, to the millisecond", "[lmdb]") {
    const TemporaryFolder folder;
    FakeClock clock;
    std::optional<Session> session;
    {
        LmdbSite site{folder / "sessions", clock};
        session = site.start("alice");
        clock.advance(700ms);  // less than what the copy may stay behind
        session = site.present(session->id).value();
    }
    clock.advance(1h - 1ms);
    {
        LmdbSite site{folder / "sessions", clock};
        CHECK_FALSE(site.store->known_ended(session->id));
        CHECK(site.list().at(0).expires == session->expires);
    }
    clock.advance(1ms);
    CHECK(LmdbSite{folder / "sessions", clock}.list().empty());
}

SCENARIO("a restart forgets no cookie that was superseded", "[lmdb]") {
    const TemporaryFolder folder;
    FakeClock clock;
    Millis stolen{};
    SessionId id;
    {
        LmdbSite site{folder / "sessions", clock};
        id = site.start("alice").id;
        stolen = clock.now();
        clock.advance(1min);
        REQUIRE(site.present(id).has_value());
    }
    clock.advance(10s);
    LmdbSite site{folder / "sessions", clock};
    CHECK(site.present(id, stolen).error() == SessionErrc::replayed);
    CHECK(site.store->known_ended(id));
}

SCENARIO("the oldest session of a user stays the oldest over restarts", "[lmdb]") {
    const TemporaryFolder folder;
    FakeClock clock;
    auto settings = LmdbSite::patient();
    settings.max_sessions_per_user = 3;
    std::vector<SessionId> ids;
    for (int restart = 0; restart < 4; ++restart) {
        LmdbSite site{folder / "sessions", clock, settings};  // the clock stands still: only the order tells them apart
        for (int i = 0; i < 2; ++i) {
            const auto started = site.try_start({.user = {"alice", ""}}).value();
            ids.push_back(started.session.id);
            const auto expected = ids.size() <= 3 ? "" : ids[ids.size() - 4].text;
            CHECK((started.displaced.empty() ? "" : started.displaced.at(0).text) == expected);
            CHECK(started.displaced.size() == (ids.size() <= 3 ? 0 : 1));
        }
    }
}

SCENARIO("sessions that expire while the gateway is down are told when it is back", "[lmdb]") {
    const TemporaryFolder folder;
    FakeClock clock;
    const auto id = LmdbSite{folder / "sessions", clock}.start("alice").id;
    clock.advance(2h);
    std::vector<std::string> heard;
    const auto listener = [&](const SessionId& expired, Expiry) { heard.push_back(expired.text); };
    {
        LmdbSite site{folder / "sessions", clock, LmdbSite::patient(), listener};
        CHECK(site.store->known_ended(id));
        site.stores->sweep();
    }
    {
        LmdbSite site{folder / "sessions", clock, LmdbSite::patient(), listener};
        site.stores->sweep();
        CHECK(site.stores->size() == 0);
    }
    CHECK(heard == std::vector<std::string>{id.text});
}

SCENARIO("settings that allow less count for sessions that are there already", "[lmdb]") {
    const TemporaryFolder folder;
    FakeClock clock;
    const auto session = LmdbSite{folder / "sessions", clock}.start("alice");
    auto settings = LmdbSite::patient();
    settings.idle_timeout = 10min;
    CHECK(LmdbSite(folder / "sessions", clock, settings).list().at(0).expires == session.created + 10min);
    settings.absolute_timeout = 5min;
    CHECK(LmdbSite(folder / "sessions", clock, settings).list().at(0).expires == session.created + 5min);
}

SCENARIO("the store's clock does not go back with the system's", "[lmdb]") {
    const TemporaryFolder folder;
    FakeClock clock;
    Session session = LmdbSite{folder / "sessions", clock}.start("alice");
    FakeClock set_back;
    set_back.advance(-30min);
    LmdbSite site{folder / "sessions", set_back};
    CHECK(site.store->now() == session.created);
    set_back.advance(59min);
    CHECK(site.present(session.id).has_value());
    CHECK(site.store->now() == session.created + 59min);
}

SCENARIO("a store that goes answers nobody any more", "[lmdb]") {
    const TemporaryFolder folder;
    const FakeClock clock;
    bool called = false;
    LmdbSite site{folder / "sessions", clock};
    const auto session = site.start("alice");
    const auto is_called = [&](const Result<bool>&) { called = true; };
    GIVEN("its loop goes on") {
        site.store->end(session.id, is_called);
        site.store.reset();
        site.store = site.stores->on(site.loop);
        site.flush();
        CHECK_FALSE(called);
    }
    GIVEN("its loop goes, too") {
        for (int i = 0; i < 50; ++i) {
            boost::asio::io_context loop;
            const auto store = site.stores->on(loop);
            store->end(session.id, is_called);
        }
        site.flush();
        CHECK_FALSE(called);
    }
    GIVEN("one of the answers ends it") {
        int answers = 0;
        for (int i = 0; i < 3; ++i)
            site.store->end(session.id, [&](const Result<bool>&) {
                ++answers;
                site.store.reset();
            });
        while (answers == 0) site.run_some();
        site.store = site.stores->on(site.loop);
        site.flush();
        CHECK(answers == 1);
    }
}
