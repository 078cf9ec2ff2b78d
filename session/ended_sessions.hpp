#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <string>

#include <boost/unordered/unordered_flat_map.hpp>

#include "session/session.hpp"

namespace rotagate::session {

/// The sessions that this process knows to have ended a moment ago, by itself or by hearsay: what is on its way to
/// their browsers gets no cookie, and long answers are cut. Thread-safe; while nothing ends, asking costs one atomic
/// load.
class EndedSessions {
public:
    using Time = std::chrono::steady_clock::time_point;

    void add(const std::string& id, Time now);
    bool contains(const std::string& id, Time now) const;

private:
    /// An answer that takes longer than a second asks the store anyway, and long ones are looked at every 250 ms.
    static constexpr std::chrono::seconds remembered{5};
    /// Beyond it the earliest are forgotten before their time; then it is the store that tells.
    static constexpr std::size_t capacity = 100'000;

    void forget(Time now);

    mutable std::mutex mutex_;
    std::atomic<std::size_t> size_{0};
    struct Entry {
        std::string id;
        Time until;
    };
    std::deque<Entry> order_;
    boost::unordered_flat_map<std::string, Time> until_;
};

}  // namespace rotagate::session
