#include "bench/histogram.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

#include "bench/random.hpp"
#include "bench/statistics.hpp"

using namespace rotagate::bench;
using namespace std::chrono_literals;

SCENARIO("a histogram knows every percentile to within 0.1 %", "[histogram]") {
    Random random(7);
    Histogram histogram;
    std::vector<std::int64_t> values;
    for (int i = 0; i < 20'000; ++i) {
        values.push_back(static_cast<std::int64_t>(std::exp(random.between(0, 24))));  // 1 us to 7 hours
        histogram.record(std::chrono::microseconds(values.back()));
    }
    std::sort(values.begin(), values.end());
    for (const double percentile : {0.01, 1.0, 50.0, 90.0, 99.0, 99.9, 99.99}) {
        CAPTURE(percentile);
        const auto rank = static_cast<std::size_t>(std::ceil(percentile / 100 * 20'000 - 1e-6));
        const auto exact = static_cast<double>(values[rank - 1]);
        const auto told = static_cast<double>(histogram.at(percentile).count());
        CHECK(told >= exact);
        CHECK(told <= exact * 1.001 + 0.5);
    }
    CHECK(histogram.at(100).count() == values.back());
    CHECK(histogram.max().count() == values.back());
    CHECK(histogram.count() == 20'000);
}

SCENARIO("small times are exact, and percentiles count whole requests", "[histogram]") {
    Histogram histogram;
    for (int i = 1; i <= 1000; ++i) histogram.record(std::chrono::microseconds(i));
    CHECK(histogram.at(50) == 500us);
    CHECK(histogram.at(99.9) == 999us);
    CHECK(histogram.at(99.99) == 1000us);
    CHECK(histogram.at(0) == 1us);
    CHECK(histogram.mean() == Approx(500.5));
}

SCENARIO("times beyond any range are kept at its ends", "[histogram]") {
    Histogram histogram;
    histogram.record(-5us);
    CHECK(histogram.max() == 0us);
    histogram.record(std::chrono::hours(24 * 365));
    CHECK(histogram.max() == histogram.at(100));
    CHECK(histogram.max() > 19h);
}

SCENARIO("an empty histogram says nothing, and adds nothing", "[histogram]") {
    Histogram empty, one;
    CHECK(empty.at(99) == 0us);
    CHECK(empty.mean() == 0);
    one.record(3us);
    one.merge(empty);
    CHECK(one.count() == 1);
    empty.merge(one);
    CHECK(empty.at(50) == 3us);
    CHECK(empty.max() == 3us);
}

SCENARIO("a time-out is a failure, and its wait counts", "[statistics]") {
    Statistics statistics(2);
    statistics.record(0, 1ms, Failure::none);
    statistics.record(0, 2ms, Failure::status_5xx);
    statistics.record(1, 10s, Failure::timeout);
    statistics.record(1, 1us, Failure::connect);
    CHECK(statistics.answered() == 2);
    CHECK(statistics.failed() == 3);
    CHECK(statistics.steps[0].failed == 1);
    CHECK(statistics.latency.count() == 3);
    CHECK(statistics.latency.max() == 10s);
    THEN("what is taken away is counted once") {
        Tally tally(2);
        tally.record(1, 5ms, Failure::none);
        Statistics all(2);
        all.merge(tally.take());
        all.merge(tally.take());
        CHECK(all.answered() == 1);
        CHECK(all.steps[1].latency.count() == 1);
    }
}
