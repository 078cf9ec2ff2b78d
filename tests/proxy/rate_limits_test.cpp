#include "proxy/rate_limits.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "proxy/client_connections.hpp"

using namespace rotagate;
using namespace rotagate::proxy;
using namespace std::chrono_literals;

SCENARIO("a client has its requests at once, and then one for each that becomes due", "[rate_limits]") {
    RateLimits limits;
    const config::RateLimit three{.requests = 3, .per = 60s};
    RateLimits::Time now{1h};
    for (int i = 0; i < 3; ++i) CHECK(limits.take("alice", three, now) == 0s);
    CHECK(limits.take("alice", three, now) == 20s);
    CHECK(limits.take("bob", three, now) == 0s);
    CHECK(limits.take("alice", three, now + 19s) == 1s);
    CHECK(limits.take("alice", three, now + 20s) == 0s);
    CHECK(limits.take("alice", three, now + 20s) == 20s);
    now += 10min;
    for (int i = 0; i < 3; ++i) CHECK(limits.take("alice", three, now) == 0s);
    CHECK(limits.take("alice", three, now) > 0s);
}

SCENARIO("clients without number are counted up to a limit, and those of before are forgotten", "[rate_limits]") {
    RateLimits limits;
    const config::RateLimit one{.requests = 1, .per = 60s};
    const RateLimits::Time now{1h};
    for (int i = 0; i < 150'000; ++i) limits.take(std::to_string(i), one, now);
    CHECK(limits.take("0", one, now) > 0s);
    CHECK(limits.take("149999", one, now) > 0s);  // with all others that there was no room for
    CHECK(limits.take("149999", one, now + 61s) == 0s);
    CHECK(limits.take("149999", one, now + 61s) > 0s);
    CHECK(limits.take("149998", one, now + 61s) == 0s);
}

SCENARIO("a limit that is relaxed counts soon", "[rate_limits]") {
    RateLimits limits;
    const RateLimits::Time now{1h};
    CHECK(limits.take("alice", {.requests = 1, .per = 24h}, now) == 0s);
    CHECK(limits.take("alice", {.requests = 1, .per = 24h}, now) == 24h);
    CHECK(limits.take("alice", {.requests = 2, .per = 60s}, now + 30s) == 30s);
    CHECK(limits.take("alice", {.requests = 2, .per = 60s}, now + 60s) == 0s);
}

SCENARIO("a client is an address, or the network of a customer", "[rate_limits]") {
    CHECK(client_of("192.0.2.1") == "192.0.2.1");
    CHECK(client_of("2001:db8::1") == client_of("2001:db8::ffff:2"));
    CHECK(client_of("2001:db8:0:1::1") != client_of("2001:db8::1"));
    CHECK(client_of("unix") == "unix");
}
