#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "session/session.hpp"

namespace rotagate::session::redis {

/// What a gateway knows of the store's clock without asking. Each answer of the store tells its time, which was a
/// little earlier than when it arrived here: so the largest difference to our steady clock is the closest, and never
/// ahead.
class StoreClock {
public:
    using Time = std::chrono::steady_clock::time_point;

    /// @param told  the store's time in an answer; @param heard  when that came
    void hear(Millis told, Time heard) {
        const Millis difference = told - std::chrono::ceil<Millis>(heard.time_since_epoch());  // never ahead
        if (!latest_ || heard - latest_since_ >= window) {
            earlier_ = latest_;
            latest_ = difference;
            latest_since_ = heard;
        } else {
            latest_ = std::max(*latest_, difference);
        }
    }
    /// Another server may have another time.
    void forget() {
        fallback_ = difference();
        latest_.reset();
        earlier_.reset();
    }
    Millis at(Time now) const { return since_start(now) + difference(); }

private:
    /// How long a difference counts: clocks drift apart by less than 1 ms in it.
    static constexpr std::chrono::seconds window{10};

    static Millis since_start(Time time) { return std::chrono::floor<Millis>(time.time_since_epoch()); }
    Millis difference() const {
        if (!latest_) return fallback_;
        return earlier_ ? std::max(*latest_, *earlier_) : *latest_;
    }

    std::optional<Millis> latest_, earlier_;
    Time latest_since_{};
    /// Before anything was heard: that the store's clock is right, as ours is.
    Millis fallback_ = std::chrono::floor<Millis>(std::chrono::system_clock::now().time_since_epoch()) -
                       since_start(std::chrono::steady_clock::now());
};

}  // namespace rotagate::session::redis
