#pragma once

#include <mutex>
#include <vector>

#include "bench/failure.hpp"
#include "bench/histogram.hpp"

namespace rotagate::bench {

/// What happened to one kind of request.
struct StepStatistics {
    std::uint64_t answered = 0;  ///< whole answers, whatever their status
    std::uint64_t failed = 0;    ///< without an answer, or with one that counts as a failure
    Histogram latency;           ///< of those that were answered, and of those that timed out
};

/// What happened to all of them.
struct Statistics {
    std::vector<StepStatistics> steps;
    FailureCounts failures{};
    Histogram latency;
    std::uint64_t came = 0;  ///< answers, whenever they were due: those of the warm-up that come behind it, too

    explicit Statistics(std::size_t step_count = 0) : steps(step_count) {}
    void record(std::size_t step, Histogram::Duration latency, Failure failure);
    /// What was due in the warm-up: it counts for the rate alone.
    void record_late(Failure failure);
    void merge(const Statistics& other);
    std::uint64_t answered() const;
    std::uint64_t failed() const;
};

/// Where an event loop counts, and the reporting thread takes away what was counted.
class Tally {
public:
    explicit Tally(std::size_t step_count) : current_(step_count) {}
    void record(std::size_t step, Histogram::Duration latency, Failure failure);
    void record_late(Failure failure);
    Statistics take();  ///< since the last call

private:
    std::mutex mutex_;
    Statistics current_;
};

}  // namespace rotagate::bench
