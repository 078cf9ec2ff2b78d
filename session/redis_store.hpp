#pragma once

#include <memory>

#include "session/ended_sessions.hpp"
#include "session/redis/client.hpp"
#include "session/redis/scripts.hpp"
#include "session/redis/store_clock.hpp"
#include "session/store.hpp"

namespace rotagate::session {

/// What the faces of a Redis store share; all of it is safe to use from several threads.
struct RedisShared {
    /// Throws std::runtime_error, where the authorities for TLS cannot be used.
    /// @param clock  as of Scripts
    explicit RedisShared(const config::Session& settings, std::string_view clock = redis::Scripts::server_clock);
    RedisShared(const RedisShared&) = delete;

    const config::Session settings;
    const redis::Scripts scripts;
    const std::unique_ptr<boost::asio::ssl::context> tls;
    const redis::Deployment deployment;
    EndedSessions ended;
    /// Hears of sessions that were found to have ended. Called on the thread of the store that found them.
    ExpiryListener on_expiry;
};

/// Sessions in Redis, for a fleet of gateways, as one event loop sees them. README.md tells the keys; the scripts
/// decide.
class RedisStore final : public SessionStore {
public:
    RedisStore(boost::asio::io_context& loop, RedisShared& shared);
    ~RedisStore() override;

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

    /// Takes what has expired out of the index of some slots, the next ones with every call. About once a second, by
    /// one of the process' stores.
    void sweep();
    /// Listens for sessions that end elsewhere. Once, by one of the process' stores.
    void listen();

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace rotagate::session
