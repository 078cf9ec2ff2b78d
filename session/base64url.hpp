#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Base64url without padding. Source: RFC 4648 section 5.
namespace rotagate::session {

/// The number of characters for this many bytes.
constexpr std::size_t base64url_size(std::size_t bytes) { return (bytes * 4 + 2) / 3; }

void append_base64url(std::string& text, std::span<const std::uint8_t> bytes);

/// Writes the bytes that the text stands for, and returns their number. Nothing where the text is not canonical
/// (padding, blanks, an impossible length, set bits after the last byte), or where `bytes` is too small.
std::optional<std::size_t> from_base64url(std::string_view text, std::span<std::uint8_t> bytes);

}  // namespace rotagate::session
