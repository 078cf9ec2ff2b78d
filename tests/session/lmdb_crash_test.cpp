// What a crash may do to the store on disk, and what not.
#include <algorithm>
#include <array>
#include <csignal>
#include <sstream>

#include <catch2/catch.hpp>

#include "child_process.hpp"
#include "lmdb_site.hpp"

using namespace rotagate::session;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

SCENARIO("what was acknowledged to have ended stays so when the gateway is killed", "[lmdb][crash]") {
    const TemporaryFolder folder;
    const FakeClock clock;
    const auto ids = [&] {
        LmdbSite site{folder / "sessions", clock};
        return std::array{site.start("alice").id, site.start("alice").id, site.start("bob").id};
    }();
    const auto crash = [&](auto act) {
        Child{[&](int) {
            LmdbSite site{folder / "sessions", clock};
            act(site);
            ::raise(SIGKILL);
        }}.told_to_its_end();
    };
    const auto left = [&] { return LmdbSite{folder / "sessions", clock}.stores->size(); };
    REQUIRE(left() == 3);

    GIVEN("a logout") {
        crash([&](LmdbSite& site) { site.store->end(ids[0], [](auto) { ::raise(SIGKILL); }), site.flush(); });
        LmdbSite site{folder / "sessions", clock};
        CHECK(site.present(ids[0]).error() == SessionErrc::unknown);
        CHECK(site.present(ids[1]).has_value());
        CHECK(site.present(ids[2]).has_value());
    }
    GIVEN("a user's end") {
        crash([&](LmdbSite& site) {
            site.store->end_user({"alice", ""}, [](auto) { ::raise(SIGKILL); });
            site.flush();
        });
        LmdbSite site{folder / "sessions", clock};
        CHECK(site.list().size() == 1);
        CHECK(site.present(ids[2]).has_value());
    }
    GIVEN("the end of all") {
        crash([&](LmdbSite& site) { site.store->end_selected({}, [](auto) { ::raise(SIGKILL); }), site.flush(); });
        CHECK(left() == 0);
    }
    GIVEN("a login that replaced it") {
        crash([&](LmdbSite& site) {
            site.store->start({.user = {"carol", ""}, .replaces = ids[0]}, [](auto) { ::raise(SIGKILL); });
            site.flush();
        });
        LmdbSite site{folder / "sessions", clock};
        CHECK(site.present(ids[0]).error() == SessionErrc::unknown);
        CHECK(site.list({.user = "carol"}).size() == 1);
    }
    GIVEN("an end right after a request that changed the session") {
        crash([&](LmdbSite& site) {
            site.store->present({ids[0], clock.now() + 2s, {}}, {}, [](auto) {});
            site.store->replace_data(ids[0], "{}", [](auto) {});
            site.store->end(ids[0], [](auto) { ::raise(SIGKILL); });
            site.flush();
        });
        CHECK(left() == 2);
    }
}

SCENARIO("a replay is told when the session's end is on the disk", "[lmdb][crash]") {
    const TemporaryFolder folder;
    FakeClock clock;
    const auto id = LmdbSite{folder / "sessions", clock}.start("alice").id;
    const Millis stolen = clock.now();
    Child{[&](int) {
        LmdbSite site{folder / "sessions", clock};
        clock.advance(1min);
        site.store->present({id, clock.now(), {}}, {}, [](auto) {});
        clock.advance(20s);
        site.store->present({id, stolen, {}}, {}, [](const Result<Session>& presented) {
            if (presented.error() == SessionErrc::replayed) ::raise(SIGKILL);
        });
        site.flush();
    }}.told_to_its_end();
    CHECK(LmdbSite{folder / "sessions", clock}.stores->size() == 0);
}

SCENARIO("a killed gateway has lost the logins of a tenth of a second at most", "[lmdb][crash]") {
    const TemporaryFolder folder;
    const FakeClock clock;
    // Each line: id, nanoseconds before and after the call.
    const auto nanoseconds = [] { return std::to_string(Clock::now().time_since_epoch().count()); };
    Child child{[&](int pipe) {
        LmdbSite site{folder / "sessions", clock};
        for (bool first = true;; first = false) {
            const auto before = nanoseconds();
            const auto id = site.start("alice").id;
            if (first) site.flush();
            tell(pipe, id.text + " " + before + " " + nanoseconds() + "\n");
        }
    }};
    std::string told;
    for (const auto begin = Clock::now(); Clock::now() < begin + 300ms;) told += child.told();
    child.end();
    told += child.told_to_its_end();

    LmdbSite site{folder / "sessions", clock};
    std::istringstream lines{told};
    std::string id;
    std::int64_t before = 0, after = 0, first_lost = 0, last_lost = 0;
    int kept = 0;
    while (lines >> id >> before >> after && !lines.eof()) {
        if (!site.store->known_ended({id})) {
            ++kept;
            continue;
        }
        if (first_lost == 0) first_lost = after;
        last_lost = before;
    }
    CHECK(kept > 0);
    CHECK(last_lost - first_lost < std::chrono::nanoseconds{100ms}.count());
}
