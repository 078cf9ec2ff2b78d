#include "bench/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace rotagate::bench {
namespace {

constexpr unsigned precision = 11;                                ///< bits of a value that are kept
constexpr std::size_t half = std::size_t{1} << (precision - 1U);  ///< the parts of each power of two
constexpr std::uint64_t highest = (std::uint64_t{1} << 36U) - 1;
constexpr std::size_t size = (36 - precision) * half + 2 * half;

}  // namespace

std::size_t Histogram::index_of(std::uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    if (width <= precision) return value;
    const unsigned shift = width - precision;
    return shift * half + (value >> shift);
}

std::uint64_t Histogram::highest_of(std::size_t index) {
    if (index < 2 * half) return index;
    const std::size_t shift = index / half - 1;
    return ((index - shift * half + 1) << shift) - 1;
}

void Histogram::record(Duration duration) {
    const auto value = std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)), highest);
    if (counts_.empty()) counts_.resize(size);
    ++counts_[index_of(value)];
    ++count_;
    sum_ += value;
    max_ = std::max(max_, value);
}

void Histogram::merge(const Histogram& other) {
    if (other.counts_.empty()) return;
    if (counts_.empty()) counts_.resize(size);
    for (std::size_t i = 0; i < size; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
}

double Histogram::mean() const { return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_); }

Histogram::Duration Histogram::at(double percentile) const {
    if (count_ == 0) return Duration(0);
    // Percentages such as 99.9 are no binary fractions: without the small step down, 99.9 % of 1,000 would be 1,000.
    const double exact = percentile / 100 * static_cast<double>(count_);
    const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(exact * (1 - 1e-12))));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < size; ++i) {
        seen += counts_[i];
        if (seen >= wanted) return Duration(std::min(highest_of(i), max_));
    }
    return max();
}

}  // namespace rotagate::bench
