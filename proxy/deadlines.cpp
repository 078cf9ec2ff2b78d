#include "proxy/deadlines.hpp"

namespace rotagate::proxy {

Deadlines::List& Deadlines::list_for(std::chrono::milliseconds duration) {
    for (SameDuration& same : lists_)
        if (same.duration == duration) return same.deadlines;
    lists_.emplace_back();
    lists_.back().duration = duration;
    return lists_.back().deadlines;
}

void Deadlines::arm(Deadline& deadline, std::chrono::milliseconds after) {
    deadline.unlink();
    if (after.count() <= 0) return;
    deadline.at_ = now_ + after + tick_length;  // now_ may be a tick old
    list_for(after).push_back(deadline);
}

void Deadlines::forget_unused() {
    lists_.remove_if([](const SameDuration& same) { return same.deadlines.empty(); });
}

void Deadlines::tick(std::chrono::steady_clock::time_point now) {
    now_ = now;
    for (SameDuration& same : lists_) {
        while (!same.deadlines.empty() && same.deadlines.front().at_ <= now) {
            Deadline& expired = same.deadlines.front();
            expired.unlink();
            const auto call = expired.on_expiry_;  // the call may destroy the deadline
            call();
        }
    }
}

}  // namespace rotagate::proxy
