#include "bench/journeys.hpp"

#include <catch2/catch.hpp>

using namespace rotagate::bench;
using namespace std::chrono_literals;

namespace {

constexpr Clock::duration grace = 1s, patience = 10s;
constexpr Clock::time_point start{1000s};

/// A request that leaves then, with a cookie that came quickly.
Journey leaving(Clock::time_point at) { return {.minted_after = at - 100ms, .brought_within = 50ms, .left = at}; }

}  // namespace

SCENARIO("a session that ends is the site's mistake where all of its requests were quick", "[people]") {
    Pace pace(grace / 2);
    Journeys journeys(grace, patience);
    const auto refused = journeys.begin(leaving(start));
    refused->taken_within = 900ms;
    CHECK_FALSE(journeys.excuse(start + 5s, pace));
    GIVEN("a slow one that was let in") {
        const auto slow = journeys.begin(leaving(start));
        slow->taken_within = 3s;
        journeys.valid(slow);
        THEN("it has ended nothing") { CHECK_FALSE(journeys.excuse(start + 3s, pace)); }
    }
}

SCENARIO("a request that took longer than the grace excuses the session's end", "[people]") {
    Pace pace(grace / 2);
    Journeys journeys(grace, patience);
    const auto refused = journeys.begin(leaving(start));
    WHEN("it is the one that is refused") {
        refused->taken_within = 1001ms;
        CHECK(journeys.excuse(start + 1001ms, pace));
    }
    WHEN("the answer that brought its cookie took so long") {
        refused->taken_within = 10ms;
        refused->brought_within = 1001ms;
        CHECK(journeys.excuse(start + 10ms, pace));
    }
    WHEN("it is another one, which still waits for its answer") {
        refused->taken_within = 10ms;
        journeys.begin(leaving(start - 1500ms));
        CHECK(journeys.excuse(start + 10ms, pace));
    }
    WHEN("it is another one, which timed out") {
        refused->taken_within = 10ms;
        journeys.give_up(journeys.begin(leaving(start - 3s)), start - 1s);
        CHECK(journeys.excuse(start + 10ms, pace));
        THEN("it is thought to have reached the site within some time, or never") {
            CHECK_FALSE(journeys.excuse(start + 9001ms, pace));
            journeys.give_up(journeys.begin(leaving(start + 20s)), start + 20s);
            CHECK_FALSE(journeys.excuse(start + 20s, pace));
        }
    }
}

SCENARIO("a request whose answer was lost may have been as slow as those of others", "[people]") {
    Pace pace(grace / 2);
    Journeys journeys(grace, patience);
    journeys.give_up(journeys.begin(leaving(start)), start + 1ms);
    CHECK_FALSE(journeys.excuse(start + 2s, pace));
    WHEN("another one was slow before it left") {
        pace.asked(start - 1s);
        pace.over(start - 1s, start - 100ms);
        THEN("that tells nothing") { CHECK_FALSE(journeys.excuse(start + 2s, pace)); }
    }
    WHEN("another one was slow after it left") {
        pace.asked(start - 1s);
        pace.over(start - 1s, start + 100ms);
        CHECK(journeys.excuse(start + 2s, pace));
    }
    WHEN("another one waits") {
        pace.asked(start + 1s);
        pace.asked(start + 1s);
        pace.over(start + 1s, start + 1s);
        CHECK_FALSE(journeys.excuse(start + 1500ms, pace));
        CHECK(journeys.excuse(start + 1501ms, pace));
    }
}
