#include "session/rotation.hpp"

#include <catch2/catch.hpp>

using namespace rotagate::session;
using namespace std::chrono_literals;

namespace {

constexpr Millis G = 10s;

/// A session whose login was at 1000 s.
struct Chain {
    static constexpr Millis login = 1000s;
    RotationState state = RotationState::created(login);

    /// Presents a mint time, both in time since the login.
    Verdict at(Millis now, Millis minted) { return present(state, login + minted, login + now, G); }
};

RotationState::Seen pair(Millis minted, Millis at) { return {Chain::login + minted, Chain::login + at}; }

}  // namespace

SCENARIO("a new session has seen its login, and refuses nothing yet", "[rotation]") {
    const auto state = RotationState::created(1000s);
    CHECK(state.seen == RotationState::Seen{1000s, 1000s});
    CHECK(state.mark == state.seen);
    CHECK(state.floor == 0s);
}

SCENARIO("the newest mint time is remembered, older ones are welcome for a while", "[rotation]") {
    Chain chain;
    CHECK(chain.at(3s, 2s) == Verdict::valid);
    CHECK(chain.state.seen == pair(2s, 3s));
    CHECK(chain.at(4s, 0s) == Verdict::valid);
    CHECK(chain.state.seen == pair(2s, 3s));
    CHECK(chain.at(9s, 8s) == Verdict::valid);
    CHECK(chain.at(12s, 0s) == Verdict::valid);
}

SCENARIO("a cookie dies 2 G after one more than G newer was presented", "[rotation]") {
    Chain chain;
    REQUIRE(chain.at(60s, 60s) == Verdict::valid);
    GIVEN("less than G has passed since then") { CHECK(chain.at(69999ms, 0s) == Verdict::valid); }
    GIVEN("G has passed") { CHECK(chain.at(70s, 0s) == Verdict::replay); }
    GIVEN("it is at most G older") {
        CHECK(chain.at(1000s, 50s) == Verdict::valid);
        CHECK(chain.at(1000s, 50s - 1ms) == Verdict::replay);
    }
}

SCENARIO("a session that is never idle for G supersedes its old cookies too", "[rotation]") {
    Chain chain;
    for (Millis now = 1s; now <= 41s; now += 1s) REQUIRE(chain.at(now, now) == Verdict::valid);
    // What is more than 1.1 G older than a mint time that was presented 2 G ago is refused.
    CHECK(chain.at(41s + 1ms, 21s - G - G / 10 - 1ms) == Verdict::replay);
}

SCENARIO("the mark takes the newest pair before it, or the present one where that is no news", "[rotation]") {
    Chain chain;
    chain.at(10s, 9s);
    CHECK(chain.state.mark == pair(9s, 10s));  // seen was the login, just as the mark
    chain.at(15s, 14s);
    CHECK(chain.state.mark == pair(9s, 10s));  // not due yet
    chain.at(20s, 19s);
    CHECK(chain.state.mark == pair(14s, 15s));
    CHECK(chain.state.seen == pair(19s, 20s));
}

SCENARIO("the floor follows both pairs once they are G old, and never falls", "[rotation]") {
    Chain chain;
    chain.at(100s, 100s);
    chain.at(110s, 100s);
    CHECK(chain.state.floor == Chain::login + 90s);
    chain.at(111s, 95s);
    CHECK(chain.state.floor == Chain::login + 90s);
}

SCENARIO("seen is left alone while a mint time is less than G/10 newer", "[rotation]") {
    Chain chain;
    chain.at(5s, 5s);
    const auto before = chain.state;
    CHECK(chain.at(6s, 6s - 1ms) == Verdict::valid);
    CHECK(chain.state == before);
    CHECK(chain.at(6s, 6s) == Verdict::valid);
    CHECK(chain.state.seen == pair(6s, 6s));
}

SCENARIO("a busy session writes its rotation about ten times per G", "[rotation]") {
    Chain chain;
    int writes = 0;
    for (Millis now = 0s; now < 100s; now += 10ms) {
        const auto before = chain.state;
        REQUIRE(chain.at(now, now) == Verdict::valid);
        writes += chain.state != before;
    }
    CHECK(writes <= 120);
}

SCENARIO("an authentic cookie newer than the stored state is adopted", "[rotation]") {
    Chain chain;
    CHECK(chain.at(2s, 500s) == Verdict::valid);
    CHECK(chain.state.seen == pair(500s, 2s));
}

SCENARIO("a clock that steps back a little refuses nobody", "[rotation]") {
    Chain chain;
    REQUIRE(chain.at(30s, 30s) == Verdict::valid);
    CHECK(chain.at(28s, 29s) == Verdict::valid);
    CHECK(chain.at(28s, 31s) == Verdict::valid);
}
