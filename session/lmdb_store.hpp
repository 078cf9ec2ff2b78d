#pragma once

#include <atomic>
#include <memory>

#include "session/lmdb_waits.hpp"
#include "session/memory_store.hpp"
#include "session/stores.hpp"

namespace rotagate::session {

/// Sessions that survive a restart, for one machine: they live in memory as in MemoryStore, and LMDB has a copy of
/// them.
class LmdbStores final : public SessionStores {
public:
    static constexpr std::string_view scheme = "lmdb:";

    /// Opens the folder that `settings.store` names behind the scheme, and reads the sessions in it.
    /// Throws std::runtime_error with what is wrong and the cure.
    explicit LmdbStores(const config::Session& settings, ExpiryListener on_expiry = {}, MemoryStore::Clock clock = {});

    std::shared_ptr<SessionStore> on(boost::asio::io_context& loop) override;
    void sweep() override { kept_->sessions.sweep(); }
    void adopt(const config::Session& settings) override;
    std::optional<std::size_t> size() const override { return kept_->sessions.size(); }

    /// What all event loops share. Its end writes what is not written yet.
    struct Kept {
        Kept(const config::Session& settings, ExpiryListener on_expiry, MemoryStore::Clock clock);

        LmdbEnvironment environment;
        LmdbEnvironment::Contents contents;  ///< until the sessions have them
        MemoryStore sessions;
        LmdbWriter writer;
        std::atomic<Millis> patience;  ///< for the disk
    };

private:
    std::shared_ptr<Kept> kept_;
};

/// The store as one event loop sees it. What ends sessions is answered when that is on the disk; all else at once.
class LmdbStore final : public SessionStore {
public:
    LmdbStore(std::shared_ptr<LmdbStores::Kept> kept, boost::asio::io_context& loop);

    Millis now() const override { return sessions_.now(); }
    /// Also unavailable, with the session that it replaces ended, where that could not be written.
    void start(NewSession request, Completion<Started> done) override;
    void present(const SessionCookie& cookie, Presentation wanted, Completion<Session> done) override;
    void issue(const SessionId& id, Millis minted, Completion<Millis> done) override;
    void touch(const SessionId& id, bool renew, Completion<Millis> done) override;
    bool known_ended(const SessionId& id) const override { return sessions_.known_ended(id); }
    void replace_data(const SessionId& id, std::string json, Completion<> done) override;
    // These end the sessions in any case. `unavailable` says that after a crash they might be back: try again.
    void end(const SessionId& id, Completion<bool> done) override;
    void end_user(const User& user, Completion<std::vector<SessionId>> done) override;
    void end_selected(const Selection& selection, Completion<std::vector<SessionId>> done) override;
    void list(const Selection& selection, std::string cursor, std::size_t limit, Completion<Page> done) override;
    void count_users(const std::optional<std::string>& org, Completion<std::size_t> done) override;
    /// Errors: unavailable, while the disk takes nothing.
    void ping(Completion<> done) override;

private:
    template <class T>
    Completion<T> once_durable(Completion<T> done);
    void finish_start(Started started, Completion<Started> done);

    std::shared_ptr<LmdbStores::Kept> kept_;
    MemoryStore& sessions_;
    LmdbWriter& writer_;
    LmdbWaits waits_;
};

}  // namespace rotagate::session
