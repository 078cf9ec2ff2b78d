#include "proxy/deadlines.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace rotagate::proxy;
using namespace std::chrono_literals;

namespace {

/// Deadlines under a clock that the test moves, and a diary of what expired.
struct Clock {
    void pass(std::chrono::milliseconds time) {
        for (const auto end = now + time; now < end;) deadlines.tick(now += Deadlines::tick_length);
    }
    auto note(char name) {
        return [this, name] { diary += name; };
    }

    Deadlines deadlines;
    std::chrono::steady_clock::time_point now = deadlines.now();
    std::string diary;
};

}  // namespace

SCENARIO("a deadline expires once, never early and at most two ticks late", "[deadlines]") {
    Clock clock;
    Deadline deadline(clock.note('x'));
    clock.deadlines.arm(deadline, 1s);
    clock.pass(1s);
    CHECK(clock.diary.empty());
    clock.pass(2 * Deadlines::tick_length);
    CHECK(clock.diary == "x");
    CHECK_FALSE(deadline.armed());
    clock.pass(1min);
    CHECK(clock.diary == "x");
}

SCENARIO("deadlines of different lengths expire in their order", "[deadlines]") {
    Clock clock;
    Deadline late(clock.note('l')), early(clock.note('e')), same(clock.note('s'));
    clock.deadlines.arm(late, 10s);
    clock.deadlines.arm(early, 1s);
    clock.pass(500ms);
    clock.deadlines.arm(same, 1s);
    clock.pass(20s);
    CHECK(clock.diary == "esl");
}

SCENARIO("a deadline that is armed again, disarmed or destroyed does not expire as it would have", "[deadlines]") {
    Clock clock;
    Deadline moved(clock.note('m')), disarmed(clock.note('d')), unlimited(clock.note('u'));
    clock.deadlines.arm(moved, 1s);
    clock.deadlines.arm(disarmed, 1s);
    clock.deadlines.arm(unlimited, 1s);
    {
        Deadline gone(clock.note('g'));
        clock.deadlines.arm(gone, 1s);
    }
    disarmed.disarm();
    clock.deadlines.arm(unlimited, 0s);
    clock.pass(900ms);
    clock.deadlines.arm(moved, 1s);
    clock.pass(900ms);
    CHECK(clock.diary.empty());
    clock.pass(1s);
    CHECK(clock.diary == "m");
}

SCENARIO("what expires may destroy its own deadline, and arm others", "[deadlines]") {
    Clock clock;
    auto owned = std::make_unique<Deadline>([] {});
    Deadline next(clock.note('n'));
    owned = std::make_unique<Deadline>([&] {
        owned.reset();
        clock.deadlines.arm(next, 1s);
    });
    clock.deadlines.arm(*owned, 1s);
    clock.pass(3s);
    CHECK(clock.diary == "n");
}

SCENARIO("durations that nothing waits for are forgotten, and no others", "[deadlines]") {
    Clock clock;
    Deadline soon(clock.note('s')), late(clock.note('l'));
    clock.deadlines.arm(soon, 1s);
    clock.deadlines.arm(late, 10s);
    soon.disarm();
    clock.deadlines.forget_unused();
    clock.deadlines.arm(soon, 1s);
    clock.pass(11s);
    CHECK(clock.diary == "sl");
}
