#include "bench/schedule.hpp"

#include <vector>

#include <catch2/catch.hpp>

using namespace rotagate::bench;
using namespace std::chrono_literals;

namespace {

const Clock::time_point opening{1000s};

std::vector<Clock::time_point> due(Schedule schedule, int count) {
    std::vector<Clock::time_point> times;
    for (; count > 0; --count, schedule.advance()) times.push_back(schedule.next());
    return times;
}

}  // namespace

SCENARIO("requests are due at the rate, and event loops take turns", "[schedule]") {
    const auto first = due(Schedule(opening, 100, Arrivals::even, {0, 2}, 1), 3);
    const auto second = due(Schedule(opening, 100, Arrivals::even, {1, 2}, 1), 3);
    CHECK(first == std::vector{opening, opening + 20ms, opening + 40ms});
    CHECK(second == std::vector{opening + 10ms, opening + 30ms, opening + 50ms});
}

SCENARIO("a schedule does not drift", "[schedule]") {
    Schedule schedule(opening, 3, Arrivals::even, {}, 1);
    for (int i = 0; i < 3'000'000; ++i) schedule.advance();
    CHECK(schedule.next() - (opening + 1'000'000s) < 1us);
    CHECK(schedule.next() - (opening + 1'000'000s) > -1us);
}

SCENARIO("Poisson arrivals keep the rate on average, come in bursts, and are the same for the same seed",
         "[schedule]") {
    const auto times = due(Schedule(opening, 1000, Arrivals::poisson, {}, 5), 100'001);
    const double seconds = std::chrono::duration<double>(times.back() - times.front()).count();
    CHECK(seconds == Approx(100).epsilon(0.02));
    int within_a_tenth = 0;
    for (std::size_t i = 1; i < times.size(); ++i) {
        REQUIRE(times[i] >= times[i - 1]);
        within_a_tenth += times[i] - times[i - 1] < 100us ? 1 : 0;
    }
    CHECK(within_a_tenth / 100'000.0 == Approx(0.095).epsilon(0.1));  // 1 - exp(-0.1)
    CHECK(times == due(Schedule(opening, 1000, Arrivals::poisson, {}, 5), 100'001));
    CHECK(times != due(Schedule(opening, 1000, Arrivals::poisson, {}, 6), 100'001));
}

SCENARIO("a mix chooses by weight", "[schedule]") {
    const Mix mix({80, 0, 15, 5, 0});
    Random random(3);
    std::vector<int> chosen(5);
    for (int i = 0; i < 100'000; ++i) ++chosen[mix.choose(random)];
    CHECK(chosen[0] / 100'000.0 == Approx(0.80).epsilon(0.02));
    CHECK(chosen[1] == 0);
    CHECK(chosen[2] / 100'000.0 == Approx(0.15).epsilon(0.05));
    CHECK(chosen[3] / 100'000.0 == Approx(0.05).epsilon(0.1));
    CHECK(chosen[4] == 0);
}
