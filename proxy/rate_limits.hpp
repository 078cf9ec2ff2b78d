#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "config/config.hpp"

namespace rotagate::proxy {

/// How many requests each client may make on routes that limit them, on all event loops together. Only such requests
/// come here.
class RateLimits {
public:
    using Time = std::chrono::steady_clock::time_point;

    /// Takes a request of somebody's, from any thread, by the generic cell rate algorithm (ITU-T I.371): as many at
    /// once as the limit says, and then one for each that has become due.
    /// @param who  a client on a route
    /// @return when there will be room for it again; 0: there is
    std::chrono::nanoseconds take(std::string_view who, const config::RateLimit& limit, Time now);

private:
    void forget(Time now);

    std::mutex mutex_;
    /// Until when what somebody has taken lasts. Forgotten once that has passed.
    std::map<std::string, Time, std::less<>> taken_until_;
    Time next_forget_{};
};

}  // namespace rotagate::proxy
