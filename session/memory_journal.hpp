#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "session/memory_record.hpp"

namespace rotagate::session {

/// Takes the changes of a memory store, for a copy that lasts. Called in a shard's critical section: be quick.
class ChangeTaker {
public:
    virtual ~ChangeTaker() = default;
    virtual void put(const MemoryRecord& session) = 0;    ///< it is new, or has new data
    virtual void renew(const MemoryRecord& session) = 0;  ///< its rotation, expiry or last_seen have moved on
    virtual void remove(const SessionId& id) = 0;         ///< it has ended
};

/// Notes which sessions of a shard have changed, until somebody takes the changes. What is taken is a session as it is
/// then, so that many changes cost one, and one that has ended is never taken as living.
class MemoryJournal {
public:
    /// @param lag  by how much a copy's `last_seen`, and with it `expires`, may stay behind
    explicit MemoryJournal(Millis lag) : lag_(lag) {}

    void changed(MemoryRecord& session);
    /// @param rotated  whether its rotation state has moved on
    void presented(MemoryRecord& session, bool rotated);
    /// Notes it where the copy is behind in anything.
    void complete(MemoryRecord& session);
    void ended(const MemoryRecord& session) { ended_.push_back(session.id); }

    /// Hands out changes, `limit` at most, and returns whether none are left.
    /// @param renewals  false: what only presentations have changed stays for later
    /// @param find      the living session of an id, or null
    template <class Find>
    bool take(bool renewals, std::size_t limit, ChangeTaker& taker, const Find& find) {
        drain(ended_, limit, [&](const SessionId& id) { taker.remove(id); });
        drain(changed_, limit, [&](const SessionId& id) {
            if (MemoryRecord* session = find(id); session && settle(*session, Noted::changed)) taker.put(*session);
        });
        if (renewals)
            drain(renewed_, limit, [&](const SessionId& id) {
                if (MemoryRecord* session = find(id); session && settle(*session, Noted::renewed))
                    taker.renew(*session);
            });
        return ended_.empty() && changed_.empty() && (!renewals || renewed_.empty());
    }

private:
    using Notes = std::vector<SessionId>;

    template <class Take>
    static void drain(Notes& notes, std::size_t& limit, const Take& take) {
        for (; limit > 0 && !notes.empty(); --limit, notes.pop_back()) take(notes.back());
        constexpr std::size_t worth_shrinking = 1024;
        if (notes.empty() && notes.capacity() > worth_shrinking) notes.shrink_to_fit();
    }
    /// Whether the session is noted as this; then it is not noted any more.
    static bool settle(MemoryRecord& session, Noted noted);

    Millis lag_;
    Notes ended_, changed_, renewed_;
};

}  // namespace rotagate::session
