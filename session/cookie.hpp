#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "session/keys.hpp"
#include "session/session.hpp"

namespace rotagate::session {

/// What the browser carries: a session id and when it was minted.
struct SessionCookie {
    SessionId id;
    Millis minted{};        ///< store's clock, milliseconds since 1970
    Millis expires{};       ///< the session's expiry as it was then; tells why a session that is gone may have ended
    bool absolute = false;  ///< that expiry is the absolute one: no request could move it
    bool operator==(const SessionCookie&) const = default;
};

/// Seals cookies so that they can be neither read nor forged, and opens them. One per event loop: not thread-safe,
/// since it keeps keyed cipher contexts and counts nonces.
class CookieSealer {
public:
    /// The largest cookie value that open() looks at. Source: RFC 6265 section 6.1.
    static constexpr std::size_t max_sealed = 4096;

    explicit CookieSealer(const KeyRing& keys);
    CookieSealer(CookieSealer&&) noexcept;
    CookieSealer& operator=(CookieSealer&&) noexcept;
    ~CookieSealer();

    /// Text for Set-Cookie: key id "." base64url(nonce, 24 bytes | ciphertext | tag, 16 bytes), without padding.
    /// @param audience  associated data: where the cookie counts (its name, and its domain or host)
    std::string seal(const SessionCookie& cookie, std::string_view audience);
    /// The inverse of seal(), with any key of the ring.
    /// Errors: cookie_malformed  over max_sealed bytes, no ".", or not canonical base64url
    ///         cookie_forged     unknown key id, or the tag does not match
    Result<SessionCookie> open(std::string_view sealed, std::string_view audience);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace rotagate::session
