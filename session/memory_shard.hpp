#pragma once

#include <boost/unordered/unordered_flat_set.hpp>

#include "session/memory_journal.hpp"
#include "session/replaced_sessions.hpp"
#include "session/store.hpp"

namespace rotagate::session {

/// A Selection in the encoded form of user keys.
struct KeySelection {
    std::optional<std::string> id;
    std::optional<std::string> org;  ///< empty: outside all organizations

    explicit KeySelection(const Selection& selection);
    bool matches(KeyParts user) const { return (!id || user.id == *id) && (!org || user.org == *org); }
};

/// One shard of the memory store: all that concerns its users. It has no lock and no clock of its own; the calls are
/// those of SessionStore.
class MemoryShard {
public:
    using Data = std::shared_ptr<const std::string>;

    explicit MemoryShard(const config::Session& settings) : settings_(settings) {}

    /// Other settings from here on; what was decided stays.
    void adopt(const config::Session& settings) { settings_ = settings; }

    Started start(const NewSession& request, Millis now);
    Result<Session> present(const SessionCookie& cookie, bool renew, Millis now);
    Result<Millis> issue(const SessionId& id, Millis minted, Millis now);
    Result<Millis> touch(const SessionId& id, bool renew, Millis now);
    bool contains(const SessionId& id, Millis now) const { return find(id, now) != nullptr; }
    Result<void> replace_data(const SessionId& id, Data data, Millis now);
    bool end(const SessionId& id, Millis now);
    /// Ends a session for a login, so that present() answers `replaced` for 2 G. Returns whether it was there.
    bool replace(const SessionId& id, Millis now);
    /// Ends whole users until at least `limit` sessions have ended. Returns whether there are none left.
    bool end_selected(const KeySelection& selection, std::size_t limit, Millis now, std::vector<SessionId>& ended);

    struct Listed {
        Session session;
        std::uint64_t serial;
    };
    /// A listing goes on after this session, which may have ended.
    struct Position {
        std::string key;
        std::uint64_t serial = 0;
    };
    /// Appends what is selected after `position` (null: from the start), until `listed` has `limit` entries.
    void list(const KeySelection& selection, const Position* position, std::size_t limit, Millis now,
              std::vector<Listed>& listed);
    /// @param org  encoded; none: all users
    std::size_t count_users(const std::optional<std::string>& org, Millis now);

    struct Expired {
        SessionId id;
        Expiry reason;
    };
    /// Drops what has expired, gives memory back, and returns the sessions that expired since the last call.
    std::vector<Expired> sweep(Millis now);
    std::size_t size() const { return sessions_.size(); }

    /// From here on notes changes, for take_changes().
    void keep_journal();
    /// Puts back a session, after those of the same user that started earlier.
    void restore(KeptSession kept);
    /// See MemoryJournal::take().
    bool take_changes(bool renewals, std::size_t limit, ChangeTaker& taker);
    /// Notes all that a copy lacks, also what it may lack usually.
    void note_all();

private:
    struct ById {
        using is_transparent = void;
        static std::string_view text(std::string_view id) { return id; }
        static std::string_view text(const std::unique_ptr<MemoryRecord>& record) { return record->id.text; }
        std::size_t operator()(const auto& id) const { return hash(text(id)); }
        bool operator()(const auto& a, const auto& b) const { return text(a) == text(b); }
        static std::size_t hash(std::string_view id);
    };

    MemoryRecord* find(const SessionId& id, Millis now) const;
    Millis expiry(const MemoryRecord& record, Millis now) const;
    bool renew(MemoryRecord& record, Millis now);
    Users::iterator user_of(const SessionId& id);
    Users::iterator next_user(const KeySelection& selection, const std::optional<KeyParts>& after);
    bool remove(MemoryRecord& record);
    void insert(std::unique_ptr<MemoryRecord> created);
    std::vector<SessionId> displace(UserSessions& sessions);
    void expire(Millis now);

    config::Session settings_;
    // The set owns the records. The orders below only link them, and are destroyed before it.
    boost::unordered_flat_set<std::unique_ptr<MemoryRecord>, ById, ById> sessions_;
    Users users_;
    std::map<std::string, std::size_t, std::less<>> org_users_;  ///< encoded organization -> users with a session
    DueOrder due_;
    ReplacedSessions replaced_;
    std::vector<Expired> expired_;  ///< since the last sweep
    std::uint64_t serial_ = 0;
    std::unique_ptr<MemoryJournal> journal_;  ///< null: nobody keeps a copy
};

}  // namespace rotagate::session
