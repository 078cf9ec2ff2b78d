#pragma once

#include <map>
#include <stdexcept>
#include <vector>

#include "backend.hpp"

namespace rotagate::model {

/// A promise of SPEC section 2 that did not hold.
struct Violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Remembers everything that was ever presented, which no store could afford, and judges every answer by it.
class Oracle {
public:
    explicit Oracle(Millis grace) : grace_(grace) {}

    void started(const SessionId& id, Millis now) { lives_[id.text].presented = {{now, now}}; }
    void ended(const SessionId& id) { lives_.at(id.text).ended = true; }
    void replaced(const SessionId& id, Millis now);
    bool has_ended(const SessionId& id) const { return lives_.at(id.text).ended; }
    void judge(const Cookie& cookie, Outcome outcome, Millis now);

private:
    struct Presentation {
        Millis minted, at;
    };
    struct Life {
        std::vector<Presentation> presented;
        bool ended = false;
        std::optional<Millis> replaced_at;
    };
    void judge_dead(const Life& life, Outcome outcome, Millis now) const;
    /// Whether a mint time more than `newer` after this one was presented at least `ago` before now.
    bool superseded(const Life& life, Millis minted, Millis newer, Millis now, Millis ago) const;

    Millis grace_;
    std::map<std::string, Life> lives_;
};

}  // namespace rotagate::model
