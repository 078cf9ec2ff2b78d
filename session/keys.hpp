#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "session/error.hpp"

namespace rotagate::session {

/// A 256-bit key that seals cookies. Its memory is wiped when it goes.
struct CookieKey {
    std::array<std::uint8_t, 32> secret{};
    std::string id;  ///< the first 8 hex digits of SHA-256("rotagate key id" | secret): tells the keys of a ring apart

    CookieKey() = default;
    CookieKey(const CookieKey&) = default;
    CookieKey& operator=(const CookieKey&) = default;
    ~CookieKey();

    static CookieKey generate();
    static CookieKey from_secret(const std::array<std::uint8_t, 32>& secret);
    /// The text of a key file: base64url of the secret, without padding, and a line end.
    std::string file_text() const;
    /// Errors: the system's (not found, ...), std::errc::permission_denied where others than the owner may read the
    /// file (its group may, for a service's group), std::errc::invalid_argument where it holds no key.
    static Result<CookieKey> read(const std::filesystem::path& file);
};

/// The keys in use: the first seals, all open. Never empty.
struct KeyRing {
    std::vector<CookieKey> keys;
};

}  // namespace rotagate::session
