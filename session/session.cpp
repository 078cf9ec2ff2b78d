#include "session/session.hpp"

#include <array>
#include <cstdint>
#include <stdexcept>

#include <openssl/rand.h>

#include "session/base64url.hpp"
#include "session/fingerprint.hpp"
#include "session/user_key.hpp"

namespace rotagate::session {
namespace {

constexpr std::size_t random_bytes = 16;
constexpr std::size_t random_characters = base64url_size(random_bytes);
/// Of the longest id: two parts of 256 bytes, each byte percent-encoded, "/", "{", "}." and the random characters.
constexpr std::size_t max_text = 2 * 3 * 256 + 1 + 3 + random_characters;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

SessionId SessionId::create(const User& user) {
    std::array<std::uint8_t, random_bytes> random;
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) throw std::runtime_error("no randomness");
    SessionId id;
    const std::string key = user.key();
    id.text.reserve(key.size() + 3 + random_characters);
    id.text.append("{").append(key).append("}.");
    append_base64url(id.text, random);
    return id;
}

Result<SessionId> SessionId::parse(std::string_view text) {
    constexpr std::size_t around_key = 3 + random_characters;
    if (text.size() <= around_key || text.size() > max_text) return SessionErrc::cookie_malformed;
    const std::string_view key = text.substr(1, text.size() - around_key);
    std::array<std::uint8_t, random_bytes> random;
    if (text.front() != '{' || text.substr(1 + key.size(), 2) != "}." || !is_user_key(key) ||
        from_base64url(text.substr(text.size() - random_characters), random) != random_bytes) {
        return SessionErrc::cookie_malformed;
    }
    return SessionId{std::string{text}};
}

std::string_view SessionId::user_key() const {
    const auto end = text.find('}');
    return end == std::string::npos ? std::string_view{} : std::string_view{text}.substr(1, end - 1);
}

User SessionId::user() const { return User::from_key(user_key()).value(); }

std::string SessionId::log_name() const { return fingerprint(text); }

std::string SessionId::admin_name() const {
    std::string name = log_name() + '.';
    append_base64url(name, bytes_of(text));
    return name;
}

Result<SessionId> SessionId::from_admin_name(std::string_view name) {
    constexpr std::size_t before_text = 9;  // the log name and "."
    std::array<std::uint8_t, max_text> text;
    if (name.size() <= before_text || name[before_text - 1] != '.') return SessionErrc::cookie_malformed;
    const auto size = from_base64url(name.substr(before_text), text);
    if (!size) return SessionErrc::cookie_malformed;
    auto id = parse({reinterpret_cast<const char*>(text.data()), *size});
    if (id && id->log_name() != name.substr(0, before_text - 1)) return SessionErrc::cookie_malformed;
    return id;
}

}  // namespace rotagate::session
