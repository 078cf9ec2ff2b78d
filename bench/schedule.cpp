#include "bench/schedule.hpp"

#include <algorithm>

namespace rotagate::bench {

Schedule::Schedule(Clock::time_point start, double rate, Arrivals arrivals, Share share, std::uint64_t seed)
    : start_(start),
      interval_(share.count / rate),
      offset_(share.index / rate),
      arrivals_(arrivals),
      random_(seed, share.index) {
    if (arrivals_ == Arrivals::poisson) offset_ = random_.exponential(interval_);
    next_ = at(offset_);
}

Clock::time_point Schedule::at(double seconds) const {
    return start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

void Schedule::advance() {
    ++number_;
    if (arrivals_ == Arrivals::poisson) {
        offset_ += random_.exponential(interval_);
        next_ = at(offset_);
    } else {
        next_ = at(offset_ + static_cast<double>(number_) * interval_);  // not summed up, so that no error grows
    }
}

Mix::Mix(const std::vector<unsigned>& weights) {
    std::uint64_t sum = 0;
    for (const unsigned weight : weights) sums_.push_back(sum += weight);
}

std::size_t Mix::choose(Random& random) const {
    if (sums_.size() < 2) return 0;
    const std::uint64_t point = random.below(sums_.back());
    return static_cast<std::size_t>(std::upper_bound(sums_.begin(), sums_.end(), point) - sums_.begin());
}

}  // namespace rotagate::bench
