#pragma once

#include <cstdint>
#include <vector>

#include "bench/random.hpp"

/// What people and thieves decide, as functions of a seed: the same seed gives the same decisions, however fast the
/// site is. Times are in units of the gateway's grace (G): a minute at 10 s is 6 G, and at 1 s it takes six seconds.
namespace rotagate::bench {

/// How often things happen, and how long they take.
struct Habits {
    double network = 0.5;       ///< a request or an answer is on its way for at most this long; rotation promises 1
    double late_request = 0.1;  ///< share of requests that take up to `network` to arrive
    double late_answer = 0.25;  ///< share of answers that take up to `network`, so that later ones overtake them
    double lost_answer = 0.05;  ///< share of requests whose connection breaks before the answer comes
    double retried = 0.7;       ///< share of the lost ones that are tried again at once
    double log_out = 0.004;     ///< after a page view
    std::size_t most_tabs = 3, most_parts = 8;
};

struct RequestPlan {
    std::uint64_t path = 0;   ///< chooses among the paths there are
    double departs_late = 0;  ///< between the cookie's leaving the jar and the request's leaving the machine
    double arrives_late = 0;  ///< between the answer's arrival and its cookie's in the jar
    bool is_lost = false;
    bool is_retried = false;
};

/// A page, and what it consists of.
struct ViewPlan {
    double pause = 0;  ///< before it
    RequestPlan page;
    std::vector<RequestPlan> parts;  ///< asked for at the same time, once the page is there
    bool logs_out = false;           ///< afterwards
};
ViewPlan plan_view(Random& random, const Habits& habits);

/// From the moment at which a cookie is copied.
struct TheftPlan {
    double begins_after = 0;     ///< the victim's login
    double first_use = 0;        ///< after the copy was taken
    std::vector<double> pauses;  ///< before each further use, as far as nobody has noticed
};
TheftPlan plan_theft(Random& random);

/// Mixes a plan into a number that tells whether two runs decided the same.
std::uint64_t digest(const ViewPlan& plan, std::uint64_t before);

}  // namespace rotagate::bench
