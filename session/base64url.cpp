#include "session/base64url.hpp"

#include <array>

namespace rotagate::session {
namespace {

constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t no_digit = 0x80;  // no digit has this bit: one test at the end finds any bad character

constexpr auto digits = [] {
    std::array<std::uint8_t, 256> table{};
    table.fill(no_digit);
    for (std::uint8_t value = 0; value < 64; ++value) table[static_cast<unsigned char>(alphabet[value])] = value;
    return table;
}();

char character(std::uint32_t bits) { return alphabet[bits & 63]; }

}  // namespace

void append_base64url(std::string& text, std::span<const std::uint8_t> bytes) {
    const std::size_t start = text.size();
    text.resize(start + base64url_size(bytes.size()));
    char* out = text.data() + start;
    const std::uint8_t* in = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 3; left -= 3, in += 3, out += 4) {
        const std::uint32_t bits = std::uint32_t{in[0]} << 16 | std::uint32_t{in[1]} << 8 | in[2];
        // A table of pairs would need fewer look-ups, but 8 KiB: a quarter of the processor's nearest cache.
        out[0] = character(bits >> 18);
        out[1] = character(bits >> 12);
        out[2] = character(bits >> 6);
        out[3] = character(bits);
    }
    if (left == 0) return;
    const std::uint32_t bits = std::uint32_t{in[0]} << 16 | (left == 2 ? std::uint32_t{in[1]} << 8 : 0);
    out[0] = character(bits >> 18);
    out[1] = character(bits >> 12);
    if (left == 2) out[2] = character(bits >> 6);
}

std::optional<std::size_t> from_base64url(std::string_view text, std::span<std::uint8_t> bytes) {
    const std::size_t size = text.size() * 3 / 4;
    if (text.size() % 4 == 1 || size > bytes.size()) return std::nullopt;
    // Indexes stay within the sizes checked above; plain pointers spare the checked ones of the containers.
    const auto digit = [in = text.data(), table = digits.data()](std::size_t i) {
        return table[static_cast<unsigned char>(in[i])];
    };

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
