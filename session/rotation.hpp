#pragma once

#include "session/session.hpp"

/// The rules of rotation as a pure function over values and a clock; README.md proves what follows from them.
namespace rotagate::session {

/// What the store keeps of a session to tell old cookies from current ones. Times are the store's clock.
struct RotationState {
    struct Seen {
        Millis minted{};  ///< the mint time that was presented
        Millis at{};      ///< when
        bool operator==(const Seen&) const = default;
    };
    Seen seen;       ///< the newest mint time that was ever presented
    Seen mark;       ///< an earlier such pair
    Millis floor{};  ///< cookies minted before this are superseded

    /// Of a new session.
    static RotationState created(Millis now);
    bool operator==(const RotationState&) const = default;
};

enum class Verdict {
    valid,
    replay,  ///< a superseded cookie: the session must be destroyed
};

/// Presents a cookie's mint time to the session's rotation state (SPEC section 2).
/// `seen` is left alone while the mint time is less than grace/10 newer, to spare writes.
/// @param state   in: as stored; out: what to keep (unchanged: nothing to write)
/// @param minted  from the opened cookie, milliseconds of the store's clock
/// @param now     milliseconds of the store's clock
/// @param grace   G: how long the network may hold up a request or an answer
Verdict present(RotationState& state, Millis minted, Millis now, Millis grace);

}  // namespace rotagate::session
