#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "bench/random.hpp"

namespace rotagate::bench {

using Clock = std::chrono::steady_clock;

enum class Arrivals {
    even,    ///< the same time between any two requests
    poisson  ///< as independent users come: exponentially distributed times, with bursts and gaps
};

/// When the requests of one event loop are due. It does not ask how the server is doing: a request that has to wait is
/// late from the moment at which it was due, or a slow server would be measured by the requests that it left time for
/// ("coordinated omission").
class Schedule {
public:
    /// @param rate   requests per second of all event loops together
    /// @param share  which of how many event loops this one is: they take turns, instead of firing at once
    struct Share {
        unsigned index = 0;
        unsigned count = 1;
    };
    Schedule(Clock::time_point start, double rate, Arrivals arrivals, Share share, std::uint64_t seed);

    Clock::time_point next() const { return next_; }
    void advance();

private:
    Clock::time_point at(double seconds) const;

    Clock::time_point start_, next_;
    double interval_;  ///< seconds between two requests of this loop
    double offset_;    ///< seconds; Poisson: of the next one
    std::uint64_t number_ = 0;
    Arrivals arrivals_;
    Random random_;
};

/// Chooses among things by weight.
class Mix {
public:
    explicit Mix(const std::vector<unsigned>& weights);
    std::size_t choose(Random& random) const;

private:
    std::vector<std::uint64_t> sums_;
};

}  // namespace rotagate::bench
