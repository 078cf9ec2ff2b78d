#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace rotagate::bench {

/// Random numbers that are the same for the same seed with every compiler and library, unlike <random>'s distributions.
/// Source: SplitMix64 (Steele, Lea, Flood, 2014).
class Random {
public:
    /// @param seed    of the run
    /// @param stream  keeps the sequences of different users apart
    explicit Random(std::uint64_t seed, std::uint64_t stream = 0) : state_(seed ^ (stream * 0xBF58476D1CE4E5B9U)) {
        next();
    }

    std::uint64_t next() {
        state_ += 0x9E3779B97F4A7C15U;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    }
    /// 0 <= x < 1
    double uniform() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }
    double between(double low, double high) { return low + (high - low) * uniform(); }
    /// 0 <= x < limit; limit > 0
    std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }
    bool chance(double probability) { return uniform() < probability; }
    /// With that mean, as the time between independent events has it.
    double exponential(double mean) { return -mean * std::log1p(-uniform()); }

private:
    std::uint64_t state_;
};

}  // namespace rotagate::bench
