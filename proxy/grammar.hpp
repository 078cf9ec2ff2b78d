#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

/// The character classes and list syntax of RFC 9110 sections 5.5 and 5.6, as tables.
namespace rotagate::proxy::grammar {

using CharSet = std::array<bool, 256>;

template <class Test>
constexpr CharSet char_set(Test test) {
    CharSet set{};
    for (unsigned c = 0; c < 256; ++c) set[c] = test(c);
    return set;
}
constexpr bool in(const CharSet& set, char c) { return set[static_cast<unsigned char>(c)]; }

constexpr bool is_digit(unsigned c) { return c >= '0' && c <= '9'; }
constexpr bool is_alnum(unsigned c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

inline constexpr CharSet token_chars = char_set([](unsigned c) {
    return is_alnum(c) || (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(char(c)) != std::string_view::npos);
});
inline constexpr CharSet value_chars = char_set([](unsigned c) { return c == '\t' || (c >= 0x20 && c != 0x7f); });
inline constexpr CharSet target_chars = char_set([](unsigned c) { return c > 0x20 && c != 0x7f; });

/// RFC 3986 section 2.3
inline constexpr CharSet unreserved =
    char_set([](unsigned c) { return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~'; });

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

/// 0 to 15; -1: not a hexadecimal digit
constexpr int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/// Whether all bytes belong to the set, which must hold every byte from `lowest` on but DEL: eight bytes at a time.
/// Source: "Bit Twiddling Hacks", "Determine if a word has a byte less than n".
template <unsigned char lowest>
bool all_in(const CharSet& set, std::string_view text) {
    constexpr std::uint64_t ones = 0x0101010101010101, highs = ones * 0x80;
    const auto bytewise = [&](const char* at, const char* end) {
        for (; at != end; ++at)
            if (!in(set, *at)) return false;
        return true;
    };
    const char* at = text.data();
    const char* const end = at + text.size();
    for (; end - at >= 8; at += 8) {
        std::uint64_t word;
        std::memcpy(&word, at, sizeof word);
        const std::uint64_t del = word ^ (ones * 0x7f);
        const std::uint64_t suspect = ((word - ones * lowest) & ~word) | ((del - ones) & ~del);
        if ((suspect & highs) != 0 && !bytewise(at, at + 8)) return false;
    }
    return bytewise(at, end);
}

inline bool is_token(std::string_view text) {
    for (const char c : text)
        if (!in(token_chars, c)) return false;
    return !text.empty();
}
/// A method that routes can decide about: frameworks take "post" for POST, whatever its spelling (RFC 9110
/// section 9.1).
inline bool is_method(std::string_view text) {
    for (const char c : text)
        if (c >= 'a' && c <= 'z') return false;
    return is_token(text);
}
inline bool is_value(std::string_view text) { return all_in<0x20>(value_chars, text); }
inline bool is_target(std::string_view text) { return !text.empty() && all_in<0x21>(target_chars, text); }

/// Without spaces and tabs at both ends.
constexpr std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// Calls visit(item) for every item between separators, trimmed; empty ones too. Stops when visit returns false.
/// @return whether all were visited
template <class Visit>
bool each_item(std::string_view list, char separator, Visit visit) {
    for (;;) {
        const auto end = list.find(separator);
        if (!visit(trimmed(list.substr(0, end)))) return false;
        if (end == std::string_view::npos) return true;
        list.remove_prefix(end + 1);
    }
}

}  // namespace rotagate::proxy::grammar
