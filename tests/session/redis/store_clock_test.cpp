#include "session/redis/store_clock.hpp"

#include <catch2/catch.hpp>

using namespace rotagate::session;
using namespace std::chrono_literals;
using redis::StoreClock;

SCENARIO("a gateway knows the store's clock from its answers", "[redis]") {
    StoreClock clock;
    const auto start = StoreClock::Time(1000s);
    clock.hear(Millis{50'000}, start);
    CHECK(clock.at(start) == Millis{50'000});
    CHECK(clock.at(start + 30ms) == Millis{50'030});

    WHEN("an answer comes late") {
        clock.hear(Millis{50'100}, start + 900ms);
        THEN("the quicker ones count") { CHECK(clock.at(start + 1s) == Millis{51'000}); }
    }
    WHEN("an answer comes more quickly") {
        clock.hear(Millis{50'102}, start + 100ms);
        THEN("it tells more exactly") { CHECK(clock.at(start + 1s) == Millis{51'002}); }
    }
    WHEN("the store's clock runs more slowly than ours") {
        for (int i = 1; i <= 30; ++i) clock.hear(Millis{50'000 + 990 * i}, start + i * 1s);
        THEN("old answers are forgotten") { CHECK(clock.at(start + 30s) <= Millis{50'000 + 990 * 30 + 200}); }
    }
    WHEN("another server has another clock") {
        clock.forget();
        THEN("the old time goes on until it answers") { CHECK(clock.at(start + 1s) == Millis{51'000}); }
        clock.hear(Millis{46'000}, start + 1s);
        THEN("its time counts from then on") { CHECK(clock.at(start + 1s) == Millis{46'000}); }
    }
}
