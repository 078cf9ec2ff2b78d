#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace rotagate::demo {

/// One request as the account page lists it.
struct Visit {
    std::string request_id;  ///< of X-Request-Id
    std::string request;     ///< "GET /account"
};

/// What the app remembers of its signed-in users between two looks at their account page. Safe for several threads.
class Visitors {
public:
    /// @param user  the pair of organization and id, in any spelling that keeps different pairs apart
    void record(const std::string& user, Visit visit);

    struct Activity {
        std::uint64_t requests = 0;  ///< since the last take()
        std::deque<Visit> latest;    ///< the newest first, ten at most
    };
    /// Gives the requests since the last call, and starts to count anew; the latest visits stay.
    Activity take(const std::string& user);

    void forget(const std::string& user);

private:
    std::mutex mutex_;
    std::map<std::string, Activity> users_;
};

}  // namespace rotagate::demo
