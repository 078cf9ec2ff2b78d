#include "session/ended_sessions.hpp"

#include <catch2/catch.hpp>

using namespace rotagate::session;
using namespace std::chrono_literals;

SCENARIO("what has ended is remembered for a while", "[store]") {
    EndedSessions ended;
    const EndedSessions::Time start(1000s);
    CHECK_FALSE(ended.contains("{a}.1", start));
    ended.add("{a}.1", start);
    CHECK(ended.contains("{a}.1", start + 4s));
    CHECK_FALSE(ended.contains("{a}.2", start));
    CHECK_FALSE(ended.contains("{a}.1", start + 5s));
    ended.add("{a}.2", start + 6s);  // forgets the first
    ended.add("{a}.1", start + 7s);
    CHECK(ended.contains("{a}.1", start + 8s));
}

SCENARIO("a flood of ends costs no memory without bound", "[store]") {
    EndedSessions ended;
    const EndedSessions::Time now(1000s);
    for (int i = 0; i < 150'000; ++i) ended.add("{u}." + std::to_string(i), now);
    CHECK(ended.contains("{u}.149999", now));
    CHECK_FALSE(ended.contains("{u}.0", now));
}
