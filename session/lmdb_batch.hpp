#pragma once

#include <map>
#include <optional>
#include <string>

#include "session/lmdb_format.hpp"
#include "session/memory_journal.hpp"

namespace rotagate::session {

/// Changes on their way to the disk, by key: of several to one session the last counts. What could not be written stays
/// here, for the next try.
class LmdbBatch final : public ChangeTaker {
public:
    /// Values to write; none: as it was. A session that has ended has neither.
    struct Change {
        std::optional<std::string> session{};
        std::optional<std::string> state{};
        bool ended = false;
    };

    void put(const MemoryRecord& session) override {
        Change& change = changes_[std::string{record_key(session.id)}];
        change.session = encode_session(session);
        change.state = encode_state(session);
    }
    void renew(const MemoryRecord& session) override {
        changes_[std::string{record_key(session.id)}].state = encode_state(session);
    }
    // An id is never used again, so this stays the last.
    void remove(const SessionId& id) override { changes_[std::string{record_key(id)}] = {.ended = true}; }

    /// Sorted by key, which spares pages.
    std::map<std::string, Change>& changes() { return changes_; }

private:
    std::map<std::string, Change> changes_;
};

}  // namespace rotagate::session
