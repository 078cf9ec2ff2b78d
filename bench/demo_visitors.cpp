#include "bench/demo_visitors.hpp"

namespace rotagate::demo {

namespace {
constexpr std::size_t max_users = 10'000;
constexpr std::size_t max_visits = 10;
}  // namespace

void Visitors::record(const std::string& user, Visit visit) {
    const std::lock_guard lock(mutex_);
    if (users_.size() >= max_users && !users_.contains(user)) users_.clear();
    Activity& activity = users_[user];
    ++activity.requests;
    activity.latest.push_front(std::move(visit));
    if (activity.latest.size() > max_visits) activity.latest.pop_back();
}

Visitors::Activity Visitors::take(const std::string& user) {
    const std::lock_guard lock(mutex_);
    const auto found = users_.find(user);
    if (found == users_.end()) return {};
    Activity taken = found->second;
    found->second.requests = 0;
    return taken;
}

void Visitors::forget(const std::string& user) {
    const std::lock_guard lock(mutex_);
    users_.erase(user);
}

}  // namespace rotagate::demo
