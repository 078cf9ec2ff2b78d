#include "session/ended_sessions.hpp"

namespace rotagate::session {

void EndedSessions::add(const std::string& id, Time now) {
    const std::scoped_lock lock(mutex_);
    forget(now);
    const Time until = now + remembered;
    if (!until_.insert_or_assign(id, until).second) return;  // its place in the order stays, which is a little early
    order_.push_back({id, until});
    size_.store(order_.size(), std::memory_order_relaxed);
}

bool EndedSessions::contains(const std::string& id, Time now) const {
    if (size_.load(std::memory_order_relaxed) == 0) return false;
    const std::scoped_lock lock(mutex_);
    const auto found = until_.find(id);
    return found != until_.end() && now < found->second;
}

void EndedSessions::forget(Time now) {
    while (!order_.empty() && (order_.front().until <= now || order_.size() >= capacity)) {
        until_.erase(order_.front().id);
        order_.pop_front();
    }
    size_.store(order_.size(), std::memory_order_relaxed);
}

}  // namespace rotagate::session
