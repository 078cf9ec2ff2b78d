#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "bench/histogram.hpp"

namespace rotagate::bench {

/// The percentiles that every report shows.
inline constexpr std::array<std::pair<std::string_view, double>, 5> shown_percentiles{
    {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"p99.99", 99.99}}};

inline double milliseconds(Histogram::Duration value) { return static_cast<double>(value.count()) / 1000; }

}  // namespace rotagate::bench
