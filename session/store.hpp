#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "session/cookie.hpp"
#include "session/session.hpp"

namespace rotagate::session {

/// Called exactly once, on the event loop that made the call: at once, or later.
template <class T = void>
using Completion = std::function<void(Result<T>)>;

/// What a login asks for.
struct NewSession {
    User user{};
    bool permanent = false;
    std::optional<std::string> data{};    ///< valid_data(), or none
    std::string client{};                 ///< the client's address, for the operator
    std::optional<SessionId> replaces{};  ///< the session that the request carried: ended in the same step
};

/// What a request wants of its session.
struct Presentation {
    bool renew = true;       ///< false: the idle timeout is not renewed (`activity: false`)
    bool with_data = false;  ///< the answer shall have the app's data
};

/// What a login did.
struct Started {
    Session session{};
    bool replaced = false;               ///< the session it replaces was there, and was ended
    std::vector<SessionId> displaced{};  ///< ended, oldest first, for max_sessions_per_user
};

/// Which sessions an operator means. All empty: every session.
struct Selection {
    std::optional<std::string> user{};  ///< this user id: in `org`; without one in all organizations and outside them
    std::optional<std::string> org{};   ///< alone: all users of this organization; "" is outside all
};

/// One page of a listing, in no particular order.
struct Page {
    std::vector<Session> sessions;
    std::string cursor;  ///< give it back for the next page; empty: this was the last
};

/// Keeps the sessions. Every write to a session is conditional on its being there: a request in flight during a logout
/// brings nothing back. Every call may also end with the error `unavailable`.
class SessionStore {
public:
    virtual ~SessionStore() = default;

    /// The store's clock, as well as this process knows it. Needs no I/O.
    virtual Millis now() const = 0;

    /// Starts a session under a new id, ends the one that it replaces, and enforces max_sessions_per_user.
    /// Errors: user_invalid, data_invalid.
    virtual void start(NewSession request, Completion<Started> done) = 0;

    /// Validates, advances the rotation and renews the TTL, in one atomic operation. The answer need not have what only
    /// listings tell: the client's address.
    /// Errors: unknown, replaced, replayed (now destroyed, unless on_replay is report; the caller ends the user's other
    /// sessions under end_user).
    virtual void present(const SessionCookie& cookie, Presentation wanted, Completion<Session> done) = 0;

    /// rotation.strict only: applies the rule for a presentation to a mint time that is about to be issued. Tells when
    /// the session expires unless it is renewed; known_ended() knows what was found. Errors: unknown.
    virtual void issue(const SessionId& id, Millis minted, Completion<Millis> done) = 0;

    /// The same for answers that are late or long: no cookie is presented or issued, so the rotation stays as it is.
    /// @param renew  renews the idle timeout as a request does
    virtual void touch(const SessionId& id, bool renew, Completion<Millis> done) = 0;

    /// Whether this process knows already, without I/O, that the session has ended. False may mean "do not know".
    virtual bool known_ended(const SessionId& id) const = 0;

    /// Replaces the app's data, if the session is there. Errors: unknown, data_invalid.
    virtual void replace_data(const SessionId& id, std::string json, Completion<> done) = 0;

    /// Ends one session. The result tells whether it was there.
    virtual void end(const SessionId& id, Completion<bool> done) = 0;

    /// Ends the sessions of exactly this pair of organization and id. The result names those that were there.
    virtual void end_user(const User& user, Completion<std::vector<SessionId>> done) = 0;

    /// Ends all that an operator selects. The result names those that were there.
    virtual void end_selected(const Selection& selection, Completion<std::vector<SessionId>> done) = 0;

    /// Lists what an operator selects, at most `limit` at a time. @param cursor  empty: from the start
    /// Errors: std::errc::invalid_argument, where the cursor is none of this store's.
    virtual void list(const Selection& selection, std::string cursor, std::size_t limit, Completion<Page> done) = 0;

    /// Counts the distinct users that have a session: of one organization, or of all and none.
    virtual void count_users(const std::optional<std::string>& org, Completion<std::size_t> done) = 0;

    /// Whether the store answers.
    virtual void ping(Completion<> done) = 0;
};

/// Why a session ended by itself; or by a replay whose verdict came after its request was answered.
enum class Expiry { idle, absolute, replay };

/// Hears of sessions that end without a request that could tell, for the security log. Called on the thread that calls
/// sweep().
using ExpiryListener = std::function<void(const SessionId&, Expiry)>;

}  // namespace rotagate::session
