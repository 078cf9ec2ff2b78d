#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace rotagate::bench {

/// Counts times so that every percentile is known to within 0.1 %, from a microsecond to 19 hours: each power of two is
/// divided into 1,024 equal parts. Source: the layout of HdrHistogram (Gil Tene), which Debian has for Java only.
class Histogram {
public:
    using Duration = std::chrono::microseconds;

    void record(Duration value);
    void merge(const Histogram& other);

    std::uint64_t count() const { return count_; }
    Duration max() const { return Duration(max_); }
    double mean() const;  ///< microseconds
    /// The time within which that share of what was recorded lies; 0 where nothing was. @param percentile  0 to 100
    Duration at(double percentile) const;

private:
    static std::size_t index_of(std::uint64_t value);
    static std::uint64_t highest_of(std::size_t index);

    std::vector<std::uint64_t> counts_;  ///< empty until something is recorded
    std::uint64_t count_ = 0, sum_ = 0, max_ = 0;
};

}  // namespace rotagate::bench
