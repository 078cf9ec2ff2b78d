#include "bench/journeys.hpp"

#include <algorithm>

namespace rotagate::bench {

void Pace::over(Clock::time_point asked_at, Clock::time_point now) {
    waiting_.erase(waiting_.find(asked_at));
    if (now - asked_at > slow_) slow_until_ = now;
}

bool Pace::was_slow_since(Clock::time_point time, Clock::time_point now) const {
    return slow_until_ > time || (!waiting_.empty() && now - *waiting_.begin() > slow_);
}

void Journeys::give_up(Place place, Clock::time_point now) {
    place->given_up_at = now;
    journeys_.remove_if([&](const Journey& one) { return one.given_up_at && now - *one.given_up_at > patience_; });
}

bool Journeys::excuse(Clock::time_point now, const Pace& pace) const {
    return std::any_of(journeys_.begin(), journeys_.end(),
                       [&](const Journey& journey) { return excuses(journey, now, pace); });
}

bool Journeys::excuses(const Journey& journey, Clock::time_point now, const Pace& pace) const {
    if (journey.given_up_at && now - *journey.given_up_at > patience_) return false;
    if (journey.brought_within > grace_) return true;
    // Of one whose answer nobody saw, only those of others tell how late it may have been.
    if (journey.given_up_at)
        return *journey.given_up_at - journey.left > grace_ || pace.was_slow_since(journey.left, now);
    return journey.taken_within.value_or(now - journey.left) > grace_;
}

}  // namespace rotagate::bench
