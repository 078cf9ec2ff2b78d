#include <sstream>

#include <catch2/catch.hpp>

#include "bench/people_plan.hpp"
#include "bench/people_report.hpp"
#include "bench/theft.hpp"

using namespace rotagate::bench;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

std::uint64_t decisions(std::uint64_t seed, std::uint64_t stream) {
    Random random(seed, stream);
    std::uint64_t sum = 0;
    for (int i = 0; i < 100; ++i) sum = digest(plan_view(random, Habits()), sum);
    return sum;
}

}  // namespace

SCENARIO("people decide the same for the same seed, and differently from one another", "[people]") {
    CHECK(decisions(1, 7) == decisions(1, 7));
    CHECK(decisions(1, 7) != decisions(2, 7));
    CHECK(decisions(1, 7) != decisions(1, 8));
}

SCENARIO("a plan stays within what the rotation promises", "[people]") {
    Random random(11);
    int lost = 0, late = 0, long_pauses = 0, requests = 0;
    for (int i = 0; i < 10'000; ++i) {
        const ViewPlan plan = plan_view(random, Habits());
        long_pauses += plan.pause > 4 ? 1 : 0;
        for (const RequestPlan& part : plan.parts) {
            CHECK(part.departs_late <= 0.5);
            CHECK(part.arrives_late <= 0.5);
            ++requests;
            lost += part.is_lost ? 1 : 0;
            late += part.arrives_late > 0 ? 1 : 0;
        }
    }
    CHECK(lost / static_cast<double>(requests) == Approx(0.05).epsilon(0.1));
    CHECK(late / static_cast<double>(requests) == Approx(0.25).epsilon(0.1));
    CHECK(long_pauses > 100);
}

SCENARIO("a copied cookie must be refused once the owner has gone on for long enough", "[people]") {
    Superseded superseded(10s);
    const Clock::time_point copied{1000s};
    CHECK_FALSE(superseded.refuses(copied, copied + 1h));
    WHEN("the owner presents a cookie that is hardly newer") {
        superseded.presented(copied + 11s, copied + 12s);
        THEN("the copy may live as long as nothing else happens") {
            CHECK_FALSE(superseded.refuses(copied, copied + 1h));
        }
    }
    WHEN("the owner presents one that is more than 1.1 graces newer") {
        superseded.presented(copied + 11500ms, copied + 12s);
        THEN("the copy is worthless two graces later") {
            CHECK_FALSE(superseded.refuses(copied, copied + 32s));
            CHECK(superseded.refuses(copied, copied + 32001ms));
        }
        THEN("but not what the thief got in exchange for it meanwhile") {
            CHECK_FALSE(superseded.refuses(copied + 5s, copied + 1h));
        }
        AND_WHEN("the owner goes on") {
            for (int i = 0; i < 100; ++i) superseded.presented(copied + 12s + i * 1s, copied + 13s + i * 1s);
            THEN("the earliest that is new enough counts") {
                CHECK(superseded.refuses(copied, copied + 32001ms));
                CHECK(superseded.refuses(copied + 20s, copied + 55s));
                CHECK_FALSE(superseded.refuses(copied + 20s, copied + 52s));
            }
        }
    }
}

SCENARIO("a run is good where nobody was logged out and no thief was missed", "[people]") {
    PeopleReport report;
    CHECK_FALSE(report.is_good());  // nothing was looked at
    report.counts.views = 1;
    CHECK_FALSE(report.is_good());  // nobody was let in
    report.counts.let_in = 1;
    CHECK(report.is_good());
    report.counts.undetected = 1;
    CHECK_FALSE(report.is_good());
    report.counts.undetected = 0;
    report.counts.false_logouts = 1;
    CHECK_FALSE(report.is_good());
}

SCENARIO("where nobody was ever let in there is no verdict, and the cause is told", "[people]") {
    PeopleReport report;
    report.counts.views = 9;
    report.counts.logins = 3;
    report.counts.failures[index(Failure::status_4xx)] = 9;
    const auto text = [&] {
        std::ostringstream out;
        write_text(report, out);
        return out.str();
    };
    CHECK_THAT(text(),
               Contains("no verdict: nobody was let in to a single page after 3 logins: 9 status_4xx; look at --page"));
    CHECK_THAT(text(), !Contains("false logouts"));
    GIVEN("nobody could sign in") {
        report.counts.logins = 0;
        CHECK_THAT(text(), Contains("look at --target, --login and --form"));
    }
    GIVEN("one page was") {
        report.counts.let_in = 1;
        CHECK_THAT(text(), Contains("false logouts: 0"));
        CHECK_THAT(text(), !Contains("no verdict"));
    }
}
