#include "proxy/rate_limits.hpp"

#include <algorithm>

namespace rotagate::proxy {
namespace {

// About 15 MB. All others, in a flood from more addresses than that, count as one client, as who it is "".
constexpr std::size_t most_clients = 100'000;
constexpr std::chrono::seconds between_forgetting{1};

}  // namespace

std::chrono::nanoseconds RateLimits::take(std::string_view who, const config::RateLimit& limit, Time now) {
    const std::chrono::nanoseconds all = limit.per, each = all / limit.requests;
    const std::lock_guard lock(mutex_);
    auto known = taken_until_.find(who);
    if (known == taken_until_.end()) {
        if (taken_until_.size() >= most_clients) forget(now);
        if (taken_until_.size() >= most_clients) who = {};
        known = taken_until_.try_emplace(std::string(who)).first;
    }
    // What was taken by a stricter limit, before a reload, is no more than all of this one.
    const Time from = known->second = std::clamp(known->second, now, now + all);
    const std::chrono::nanoseconds taken = from + each - now;
    if (taken > all) return taken - all;
    known->second = from + each;
    return {};
}

void RateLimits::forget(Time now) {
    if (now < next_forget_) return;
    next_forget_ = now + between_forgetting;
    std::erase_if(taken_until_, [now](const auto& entry) { return entry.second <= now; });
}

}  // namespace rotagate::proxy
