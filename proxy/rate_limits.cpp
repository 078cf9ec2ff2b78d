#include "proxy/rate_limits.hpp"

#include <algorithm>

namespace rotagate::proxy {
namespace {

// About 15 MB. A flood from more addresses than that is not stopped by counting them.
constexpr std::size_t most_clients = 100'000;
constexpr std::chrono::seconds between_forgetting{1};

}  // namespace

std::chrono::nanoseconds RateLimits::take(std::string_view who, const config::RateLimit& limit, Time now) {
    const std::chrono::nanoseconds all = limit.per, each = all / limit.requests;
    const std::lock_guard lock(mutex_);
    auto known = taken_until_.find(who);
    const Time from = known == taken_until_.end() ? now : std::max(known->second, now);
    const std::chrono::nanoseconds taken = from + each - now;
    if (taken > all) return taken - all;
    if (known == taken_until_.end()) {
        if (taken_until_.size() >= most_clients) forget(now);
        if (taken_until_.size() >= most_clients) return {};
        known = taken_until_.emplace(who, Time()).first;
    }
    known->second = from + each;
    return {};
}

void RateLimits::forget(Time now) {
    if (now < next_forget_) return;
    next_forget_ = now + between_forgetting;
    std::erase_if(taken_until_, [now](const auto& entry) { return entry.second <= now; });
}

}  // namespace rotagate::proxy
