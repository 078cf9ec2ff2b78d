#include "proxy/health.hpp"

#include <catch2/catch.hpp>

using namespace rotagate::proxy;

SCENARIO("a server is down after `fall` failures in a row, and up again after `rise` successes", "[health]") {
    HealthState state(3, 2);
    const auto after = [&](std::initializer_list<bool> results) {
        bool up = false;
        for (const bool healthy : results) up = state.observe(healthy);
        return up;
    };
    CHECK(after({true, false, false, true, false, false}));
    CHECK_FALSE(after({false}));
    CHECK_FALSE(after({true, false, true}));
    CHECK(after({true}));
    CHECK(after({false, false}));
    CHECK_FALSE(after({false}));
}

SCENARIO("a server that was down when its checks changed stays so until they find it up", "[health]") {
    HealthState state(3, 2, false);
    CHECK_FALSE(state.observe(true));
    CHECK_FALSE(state.observe(false));
    CHECK_FALSE(state.observe(true));
    CHECK(state.observe(true));
}
