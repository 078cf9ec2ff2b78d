#include "bench/statistics.hpp"

#include <numeric>
#include <utility>

namespace rotagate::bench {
namespace {

bool has_answer(Failure failure) {
    return failure == Failure::none || failure == Failure::status_4xx || failure == Failure::status_5xx ||
           failure == Failure::session_lost || failure == Failure::login;
}

}  // namespace

void Statistics::record(std::size_t step, Histogram::Duration value, Failure failure) {
    const bool answered = has_answer(failure);
    steps[step].answered += answered ? 1 : 0;
    came += answered ? 1 : 0;
    steps[step].failed += failure == Failure::none ? 0 : 1;
    ++failures[index(failure)];
    // Who waited in vain has waited all the same: left out, time-outs would flatter the percentiles.
    if (!answered && failure != Failure::timeout) return;
    steps[step].latency.record(value);
    latency.record(value);
}

void Statistics::record_late(Failure failure) { came += has_answer(failure) ? 1 : 0; }

void Statistics::merge(const Statistics& other) {
    if (steps.size() < other.steps.size()) steps.resize(other.steps.size());
    for (std::size_t i = 0; i < other.steps.size(); ++i) {
        steps[i].answered += other.steps[i].answered;
        steps[i].failed += other.steps[i].failed;
        steps[i].latency.merge(other.steps[i].latency);
    }
    for (std::size_t i = 0; i < failures.size(); ++i) failures[i] += other.failures[i];
    latency.merge(other.latency);
    came += other.came;
}

std::uint64_t Statistics::answered() const {
    return std::accumulate(steps.begin(), steps.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const StepStatistics& step) { return sum + step.answered; });
}

std::uint64_t Statistics::failed() const {
    return std::accumulate(failures.begin() + 1, failures.end(), std::uint64_t{0});
}

void Tally::record(std::size_t step, Histogram::Duration latency, Failure failure) {
    const std::lock_guard lock(mutex_);
    current_.record(step, latency, failure);
}

void Tally::record_late(Failure failure) {
    const std::lock_guard lock(mutex_);
    current_.record_late(failure);
}

Statistics Tally::take() {
    Statistics fresh(current_.steps.size());
    const std::lock_guard lock(mutex_);
    return std::exchange(current_, std::move(fresh));
}

}  // namespace rotagate::bench
