#include "session/memory_journal.hpp"

namespace rotagate::session {

void MemoryJournal::changed(MemoryRecord& session) {
    if (session.noted == Noted::changed) return;
    session.noted = Noted::changed;
    changed_.push_back(session.id);
}

void MemoryJournal::presented(MemoryRecord& session, bool rotated) {
    if (session.noted != Noted::nothing || (!rotated && session.last_seen - session.copied < lag_)) return;
    session.noted = Noted::renewed;
    renewed_.push_back(session.id);
}

void MemoryJournal::complete(MemoryRecord& session) { presented(session, session.last_seen != session.copied); }

bool MemoryJournal::settle(MemoryRecord& session, Noted noted) {
    if (session.noted != noted) return false;
    session.noted = Noted::nothing;
    session.copied = session.last_seen;
    return true;
}

}  // namespace rotagate::session
