#include "bench/theft.hpp"

#include <algorithm>

namespace rotagate::bench {

void Superseded::presented(Clock::time_point minted_after, Clock::time_point answered) {
    // Those that come a moment after one another say nearly the same.
    if (!newest_.empty() && minted_after <= newest_.back().minted_after + grace_ / 20) return;
    newest_.push_back({minted_after, answered});
}

bool Superseded::refuses(Clock::time_point minted_before, Clock::time_point now) const {
    return std::any_of(newest_.begin(), newest_.end(), [&](const Presentation& one) {
        return one.minted_after > minted_before + grace_ * 11 / 10 && one.answered + 2 * grace_ < now;
    });
}

}  // namespace rotagate::bench
