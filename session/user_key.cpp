#include "session/user_key.hpp"

#include <array>
#include <cstdint>
#include <optional>

#include "session/session.hpp"

namespace rotagate::session {
namespace {

constexpr std::size_t max_part = 256;

constexpr auto plain = [] {
    std::array<bool, 256> table{};
    for (const unsigned char c :
         std::string_view{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~@+-"}) {
        table[c] = true;
    }
    return table;
}();

bool is_plain(char c) { return plain[static_cast<unsigned char>(c)]; }

std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return std::nullopt;
}

/// The length of the UTF-8 sequence at the start of the text, 0 where there is none that is valid and no control
/// character. Source: Unicode 15, table 3-7 (neither overlong forms nor surrogates).
std::size_t printable_at(std::string_view text) {
    const auto byte = [&](std::size_t i) -> unsigned {
        return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0U;
    };
    const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80; };
    const unsigned a = byte(0), b = byte(1);
    if (a < 0x80) return a >= 0x20 && a != 0x7F ? 1 : 0;
    if (a >= 0xC2 && a <= 0xDF) return continues(1) && !(a == 0xC2 && b < 0xA0) ? 2 : 0;
    if (a >= 0xE0 && a <= 0xEF) {
        const bool legal = !(a == 0xE0 && b < 0xA0) && !(a == 0xED && b > 0x9F);
        return legal && continues(1) && continues(2) ? 3 : 0;
    }
    if (a >= 0xF0 && a <= 0xF4) {
        const bool legal = !(a == 0xF0 && b < 0x90) && !(a == 0xF4 && b > 0x8F);
        return legal && continues(1) && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

bool is_part(std::string_view part) {
    if (part.empty() || part.size() > max_part) return false;
    while (!part.empty()) {
        const std::size_t length = printable_at(part);
        if (length == 0) return false;
        part.remove_prefix(length);
    }
    return true;
}

/// Decodes into the buffer; nothing where the text is not what append_key_part() writes.
std::optional<std::string_view> decode(std::string_view encoded, std::array<char, max_part>& buffer) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < encoded.size(); ++i, ++size) {
        if (size == max_part) return std::nullopt;
        buffer[size] = encoded[i];
        if (is_plain(encoded[i])) continue;
        if (encoded[i] != '%' || encoded.size() - i < 3) return std::nullopt;
        const auto high = hex_digit(encoded[i + 1]), low = hex_digit(encoded[i + 2]);
        if (!high || !low) return std::nullopt;
        buffer[size] = static_cast<char>(*high << 4 | *low);
        if (is_plain(buffer[size])) return std::nullopt;
        i += 2;
    }
    return std::string_view{buffer.data(), size};
}

}  // namespace

void append_key_part(std::string& key, std::string_view part) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    for (const char c : part) {
        if (is_plain(c)) {
            key += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            key += {'%', hex[byte >> 4], hex[byte & 15]};
        }
    }
}

bool is_key_part(std::string_view encoded) {
    std::array<char, max_part> buffer;
    const auto part = decode(encoded, buffer);
    return part && is_part(*part);
}

bool is_user_key(std::string_view key) {
    const auto [org, id] = KeyParts::of(key);
    const bool has_org = id.size() != key.size();
    return is_key_part(id) && (!has_org || is_key_part(org));
}

std::string User::key() const {
    std::string key;
    key.reserve(org.size() + id.size() + 1);
    if (!org.empty()) {
        append_key_part(key, org);
        key += '/';
    }
    append_key_part(key, id);
    return key;
}

Result<User> User::from_key(std::string_view key) {
    const auto parts = KeyParts::of(key);
    const bool has_org = parts.id.size() != key.size();
    std::array<char, max_part> buffer;
    User user;
    const auto id = decode(parts.id, buffer);
    if (!id || !is_part(*id)) return SessionErrc::user_invalid;
    user.id = *id;
    if (!has_org) return user;
    const auto org = decode(parts.org, buffer);
    if (!org || !is_part(*org)) return SessionErrc::user_invalid;
    user.org = *org;
    return user;
}

bool User::valid() const { return is_part(id) && (org.empty() || is_part(org)); }

}  // namespace rotagate::session
