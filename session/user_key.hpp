#pragma once

#include <string>
#include <string_view>
#include <tuple>

/// The text forms of a user's parts. A user key is an encoded id, or an encoded organization, "/" and an encoded id.
namespace rotagate::session {

/// Percent-encodes all bytes but A-Za-z0-9._~@+-, with upper-case hex digits.
void append_key_part(std::string& key, std::string_view part);

/// Whether this is 1 to 256 bytes of UTF-8 without control characters, percent-encoded as append_key_part() does.
bool is_key_part(std::string_view encoded);
/// Whether this is one such part, or two with "/" between them.
bool is_user_key(std::string_view key);

/// A user key, taken apart; both sides stay encoded.
struct KeyParts {
    std::string_view org;  ///< empty: no organization
    std::string_view id;

    static KeyParts of(std::string_view key) {
        const auto slash = key.find('/');
        if (slash == std::string_view::npos) return {{}, key};
        return {key.substr(0, slash), key.substr(slash + 1)};
    }
    bool operator<(const KeyParts& other) const { return std::tie(org, id) < std::tie(other.org, other.id); }
};

}  // namespace rotagate::session
