#pragma once

#include <deque>
#include <optional>

#include "bench/schedule.hpp"

namespace rotagate::bench {

/// Says when a copied cookie must be refused: SPEC section 2, R2 and R3, as far as it can be seen from outside. Once
/// the owner has presented a cookie more than 1.1 G newer than the thief's newest, it is worthless 2 G later.
class Superseded {
public:
    explicit Superseded(Clock::duration grace) : grace_(grace) {}

    /// The owner was let in. @param minted_after  a time before which the cookie that was presented did not exist
    void presented(Clock::time_point minted_after, Clock::time_point answered);
    /// Whether a cookie that existed at `minted_before` must be refused in a request that is sent at `now`.
    bool refuses(Clock::time_point minted_before, Clock::time_point now) const;

private:
    struct Presentation {
        Clock::time_point minted_after, answered;
    };
    Clock::duration grace_;
    std::deque<Presentation> newest_;  ///< each newer than all that was answered before it
};

}  // namespace rotagate::bench
