#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "session/error.hpp"

/// Plain values: users, session ids, sessions.
namespace rotagate::session {

/// A time span, or a point in time as milliseconds since 1970 on the store's clock.
using Millis = std::chrono::milliseconds;

/// A user as the app named her. The pair identifies her: the same id in two organizations is two users.
struct User {
    std::string id;   ///< 1 to 256 bytes of UTF-8 without control characters
    std::string org;  ///< the same, or empty: no organization

    /// The prefix of her sessions' ids (SPEC section 7): "alice" or "acme/alice", percent-encoded outside
    /// A-Za-z0-9._~@+-.
    std::string key() const;
    /// The inverse of key(). Errors: user_invalid.
    static Result<User> from_key(std::string_view key);
    /// Whether id and org have the form that is told above.
    bool valid() const;
    bool operator==(const User&) const = default;
};

/// Names one session: "{" user key "}." and 22 characters of base64url (128 random bits).
/// With the prefix "s:" this is the key in Redis; the braces make all that belongs to one user share a slot.
struct SessionId {
    std::string text;

    /// A new id of 128 random bits for a valid user.
    static SessionId create(const User& user);
    /// Errors: cookie_malformed, where the text is not of the form above.
    static Result<SessionId> parse(std::string_view text);

    std::string_view user_key() const;  ///< what is between the braces
    User user() const;
    /// How logs name the session: the first 8 hex digits of SHA-256(text).
    std::string log_name() const;
    /// How operators name it: log_name() "." base64url(text). It cannot be turned into a cookie.
    std::string admin_name() const;
    /// The inverse of admin_name(). Errors: cookie_malformed.
    static Result<SessionId> from_admin_name(std::string_view name);
    bool operator==(const SessionId&) const = default;
};

/// What the store knows of a session, at the moment of the answer.
struct Session {
    SessionId id{};
    Millis created{};
    Millis expires{};                           ///< when it ends unless it is renewed; also the cookie's expiry
    Millis last_seen{};                         ///< the latest request
    bool permanent = false;                     ///< it has the permanent lifetime
    std::shared_ptr<const std::string> data{};  ///< the app's JSON object; null: none was set, or none was wanted
    std::string client{};                       ///< the address that started it
    bool replay_reported = false;               ///< a replay that on_replay: report lets pass; log it
};

/// Whether this is a JSON object of at most 64 KiB, fit for X-Session-Data in both directions.
bool valid_data(std::string_view json);

}  // namespace rotagate::session
