#include "session/rotation.hpp"

#include <algorithm>

namespace rotagate::session {

RotationState RotationState::created(Millis now) {
    const Seen login{.minted = now, .at = now};
    return {.seen = login, .mark = login, .floor = Millis{0}};
}

Verdict present(RotationState& state, Millis minted, Millis now, Millis grace) {
    auto& [seen, mark, floor] = state;
    const bool mark_is_due = now - mark.at >= grace;
    if (now - seen.at >= grace) floor = std::max(floor, seen.minted - grace);
    if (mark_is_due) floor = std::max(floor, mark.minted - grace);
    if (minted < floor) return Verdict::replay;

    // Sparing a step skips the pair altogether: what is kept stays a mint time together with the moment at which that
    // very mint time was presented, which is all that the proof of R1 needs.
    const bool advances = minted > seen.minted && minted - seen.minted >= grace / 10;
    if (advances) {
        const RotationState::Seen presented{.minted = minted, .at = now};
        // The mark lags behind, so that a session that is never idle for the grace supersedes its old cookies too.
        if (mark_is_due) mark = seen.minted > mark.minted ? seen : presented;
        seen = presented;
    }
    return Verdict::valid;
}

}  // namespace rotagate::session
