#pragma once

#include <memory>

#include "session/store.hpp"

namespace rotagate::session {

class ChangeTaker;
struct KeptSession;

/// Sessions in this process's memory, for one machine. Thread-safe: all event loops share one, in shards by user, so
/// that whatever concerns one user is one critical section. Completions are called before the call returns.
class MemoryStore final : public SessionStore {
public:
    /// Milliseconds since 1970; never goes back. The default is the wall clock at the start plus the steady clock
    /// since, so that a step of the system's clock ends no session.
    using Clock = std::function<Millis()>;

    static Clock wall_clock();

    explicit MemoryStore(const config::Session& settings, Clock clock = {}, ExpiryListener on_expiry = {});
    ~MemoryStore() override;

    Millis now() const override;
    void start(NewSession request, Completion<Started> done) override;
    void present(const SessionCookie& cookie, Presentation wanted, Completion<Session> done) override;
    void issue(const SessionId& id, Millis minted, Completion<Millis> done) override;
    void touch(const SessionId& id, bool renew, Completion<Millis> done) override;
    bool known_ended(const SessionId& id) const override;
    void replace_data(const SessionId& id, std::string json, Completion<> done) override;
    void end(const SessionId& id, Completion<bool> done) override;
    void end_user(const User& user, Completion<std::vector<SessionId>> done) override;
    void end_selected(const Selection& selection, Completion<std::vector<SessionId>> done) override;
    void list(const Selection& selection, std::string cursor, std::size_t limit, Completion<Page> done) override;
    void count_users(const std::optional<std::string>& org, Completion<std::size_t> done) override;
    void ping(Completion<> done) override;

    /// Has other lifetimes, limits and rotation rules count from here on, for a session with its next request.
    void adopt(const config::Session& settings);
    /// Drops what has expired and gives its memory back; call it about once a second, from any one thread.
    void sweep();
    /// Sessions that are stored, expired but unswept ones included.
    std::size_t size() const;

    // For a store that keeps a copy of it:

    /// Puts back the sessions of the copy, and from here on notes changes; before all other calls.
    void restore(std::vector<KeptSession> sessions);
    /// Hands out all changes that were noted before the call; from one thread at a time.
    /// @param renewals  false: what only presentations have changed stays for later
    void take_changes(bool renewals, ChangeTaker& taker);
    /// Notes all that the copy lacks, for a last take_changes().
    void note_all();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace rotagate::session
