#include "oracle.hpp"

#include <algorithm>

namespace rotagate::model {
namespace {

void require(bool holds, const char* promise) {
    if (!holds) throw Violation{promise};
}

}  // namespace

void Oracle::replaced(const SessionId& id, Millis now) {
    ended(id);
    lives_.at(id.text).replaced_at = now;
}

bool Oracle::superseded(const Life& life, Millis minted, Millis newer, Millis now, Millis ago) const {
    return std::ranges::any_of(life.presented,
                               [&](const Presentation& p) { return p.minted > minted + newer && p.at + ago <= now; });
}

void Oracle::judge(const Cookie& cookie, Outcome outcome, Millis now) {
    Life& life = lives_.at(cookie.id.text);
    if (life.ended) return judge_dead(life, outcome, now);
    require(outcome == Outcome::valid || outcome == Outcome::replayed, "a session that nobody ended is there");
    if (outcome == Outcome::valid) {
        require(!superseded(life, cookie.minted, grace_ + grace_ / 10, now, 2 * grace_),
                "R2: a cookie dies 2 G after one more than 1.1 G newer was presented");
        life.presented.push_back({cookie.minted, now});
    } else {
        require(superseded(life, cookie.minted, grace_, now, grace_),
                "R1: who is refused has been superseded by more than G for at least G");
        life.ended = true;
    }
}

void Oracle::judge_dead(const Life& life, Outcome outcome, Millis now) const {
    const bool just_replaced = life.replaced_at && now < *life.replaced_at + 2 * grace_;
    require(outcome != Outcome::valid && outcome != Outcome::replayed, "R7: the dead stay dead");
    require(outcome == (just_replaced ? Outcome::replaced : Outcome::unknown),
            "R7: for 2 G after a login, the cookies that it replaced are not deleted");
}

}  // namespace rotagate::model
