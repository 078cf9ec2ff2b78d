#include "bench/people_plan.hpp"

#include <bit>

namespace rotagate::bench {
namespace {

/// People read for some seconds, sometimes for half a minute, and now and then they are gone for minutes.
double plan_pause(Random& random) {
    const double kind = random.uniform();
    if (kind < 0.02) return random.between(4, 12);
    if (kind < 0.07) return random.between(1, 3.5);
    return random.exponential(0.3);
}

RequestPlan plan_request(Random& random, const Habits& habits) {
    RequestPlan plan;
    plan.path = random.next();
    if (random.chance(habits.late_request)) plan.departs_late = random.between(0, habits.network);
    if (random.chance(habits.late_answer)) plan.arrives_late = random.between(0, habits.network);
    plan.is_lost = random.chance(habits.lost_answer);
    plan.is_retried = random.chance(habits.retried);
    return plan;
}

std::uint64_t mixed(std::uint64_t before, std::uint64_t value) { return Random(before ^ value, 1).next(); }

std::uint64_t mixed(std::uint64_t before, const RequestPlan& plan) {
    before = mixed(before, plan.path);
    before = mixed(before, std::bit_cast<std::uint64_t>(plan.departs_late));
    before = mixed(before, std::bit_cast<std::uint64_t>(plan.arrives_late));
    return mixed(before, (plan.is_lost ? 1U : 0U) | (plan.is_retried ? 2U : 0U));
}

}  // namespace

ViewPlan plan_view(Random& random, const Habits& habits) {
    ViewPlan plan;
    plan.pause = plan_pause(random);
    plan.page = plan_request(random, habits);
    const std::size_t parts = random.below(habits.most_parts + 1);
    for (std::size_t i = 0; i < parts; ++i) plan.parts.push_back(plan_request(random, habits));
    plan.logs_out = random.chance(habits.log_out);
    return plan;
}

TheftPlan plan_theft(Random& random) {
    TheftPlan plan;
    plan.begins_after = random.between(0, 8);
    plan.first_use = random.chance(0.5) ? random.between(0, 1) : random.between(1, 6);
    const std::size_t uses = random.below(10);
    for (std::size_t i = 0; i < uses; ++i)
        plan.pauses.push_back(random.chance(0.3) ? random.between(3.2, 6) : random.between(0.05, 1));
    return plan;
}

std::uint64_t digest(const ViewPlan& plan, std::uint64_t before) {
    before = mixed(before, std::bit_cast<std::uint64_t>(plan.pause));
    before = mixed(before, plan.page);
    for (const RequestPlan& part : plan.parts) before = mixed(before, part);
    return mixed(before, plan.logs_out ? 1 : 0);
}

}  // namespace rotagate::bench
