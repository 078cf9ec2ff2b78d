#include "session/base64url.hpp"

#include <array>

namespace rotagate::session {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t no_digit = 0x80;  // no digit has this bit: one test at the end finds any bad character

constexpr auto digits = [] {
    std::array<std::uint8_t, 256> table{};
    table.fill(no_digit);
    for (std::uint8_t value = 0; value < 64; ++value) table[static_cast<unsigned char>(alphabet[value])] = value;
    return table;
}();

char* put(char* out, std::uint32_t bits, unsigned characters) {
    for (unsigned i = 0; i < characters; ++i) *out++ = alphabet[(bits >> (18 - 6 * i)) & 63];
    return out;
}

}  // namespace

void append_base64url(std::string& text, std::span<const std::uint8_t> bytes) {
    const std::size_t start = text.size();
    text.resize(start + base64url_size(bytes.size()));
    char* out = text.data() + start;
    std::size_t i = 0;
    for (; i + 3 <= bytes.size(); i += 3) {
        out = put(out, std::uint32_t{bytes[i]} << 16 | std::uint32_t{bytes[i + 1]} << 8 | bytes[i + 2], 4);
    }
    if (bytes.size() - i == 1) put(out, std::uint32_t{bytes[i]} << 16, 2);
    if (bytes.size() - i == 2) put(out, std::uint32_t{bytes[i]} << 16 | std::uint32_t{bytes[i + 1]} << 8, 3);
}

std::optional<std::size_t> from_base64url(std::string_view text, std::span<std::uint8_t> bytes) {
    const std::size_t size = text.size() * 3 / 4;
    if (text.size() % 4 == 1 || size > bytes.size()) return std::nullopt;
    const auto digit = [&](std::size_t i) { return digits[static_cast<unsigned char>(text[i])]; };

    std::uint8_t seen = 0;
    std::uint8_t* out = bytes.data();
    std::size_t i = 0;
    for (; i + 4 <= text.size(); i += 4) {
        const std::uint8_t a = digit(i), b = digit(i + 1), c = digit(i + 2), d = digit(i + 3);
        seen |= a | b | c | d;
        *out++ = static_cast<std::uint8_t>(a << 2 | b >> 4);
        *out++ = static_cast<std::uint8_t>(b << 4 | c >> 2);
        *out++ = static_cast<std::uint8_t>(c << 6 | d);
    }
    std::uint8_t tail = 0;  // the bits after the last byte: canonical text leaves them zero
    if (text.size() - i == 2) {
        const std::uint8_t a = digit(i), b = digit(i + 1);
        seen |= a | b;
        *out = static_cast<std::uint8_t>(a << 2 | b >> 4);
        tail = b & 15;
    } else if (text.size() - i == 3) {
        const std::uint8_t a = digit(i), b = digit(i + 1), c = digit(i + 2);
        seen |= a | b | c;
        *out++ = static_cast<std::uint8_t>(a << 2 | b >> 4);
        *out = static_cast<std::uint8_t>(b << 4 | c >> 2);
        tail = c & 3;
    }
    if (seen & no_digit || tail != 0) return std::nullopt;
    return size;
}

}  // namespace rotagate::session
