#include "proxy/path.hpp"

#include <algorithm>
#include <array>

#include "proxy/grammar.hpp"

namespace rotagate::proxy {
namespace {

enum class Class : unsigned char { plain, slash, percent, query, bad };

constexpr auto classes = [] {
    std::array<Class, 256> table{};
    for (unsigned c = 0; c < 256; ++c) table[c] = c <= 0x20 || c >= 0x7f ? Class::bad : Class::plain;
    table['/'] = Class::slash;
    table['%'] = Class::percent;
    table['?'] = Class::query;
    table['\\'] = table['#'] = Class::bad;
    return table;
}();
constexpr Class class_of(char c) { return classes[static_cast<unsigned char>(c)]; }

/// The byte that the triplet at `at` ("%2f") stands for; -1: no triplet is there.
int triplet(std::string_view text, std::size_t at) {
    if (at + 3 > text.size() || text[at] != '%') return -1;
    const int high = grammar::hex_value(text[at + 1]), low = grammar::hex_value(text[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/// Length of the well-formed UTF-8 sequence that triplets spell from `at` on; 0: there is none (Unicode table 3-7).
std::size_t utf8_triplets(std::string_view text, std::size_t at) {
    const int lead = triplet(text, at);
    const std::size_t more = lead >= 0xc2 && lead <= 0xdf ? 1 : lead >= 0xe0 && lead <= 0xef ? 2 : 3;
    if (lead < 0xc2 || lead > 0xf4) return 0;
    for (std::size_t i = 1; i <= more; ++i) {
        int lowest = 0x80, highest = 0xbf;
        if (i == 1 && lead == 0xe0) lowest = 0xa0;
        if (i == 1 && lead == 0xed) highest = 0x9f;
        if (i == 1 && lead == 0xf0) lowest = 0x90;
        if (i == 1 && lead == 0xf4) highest = 0x8f;
        const int byte = triplet(text, at + 3 * i);
        if (byte < lowest || byte > highest) return 0;
    }
    return 3 * (more + 1);
}

/// Whether triplets begin an overlong form of an ASCII character there, such as "%c0%af", which lenient decoders take
/// for it: for a "/" that nobody else sees.
bool is_overlong(std::string_view text, std::size_t at) {
    const int lead = triplet(text, at), next = triplet(text, at + 3);
    const auto below = [&](int limit) { return next >= 0x80 && next < limit; };
    if (lead == 0xc0 || lead == 0xc1) return below(0xc0) || next == '.' || text.substr(at + 3).starts_with('.');
    if (lead == 0xe0) return below(0xa0);
    return (lead == 0xf0 && below(0x90)) || (lead == 0xf8 && below(0x88)) || (lead == 0xfc && below(0x84));
}

/// Undoes the percent-encoding of unreserved characters. @return false: malformed, or ambiguous by itself
bool decode(std::string_view path, std::string& out, Target& found) {
    for (std::size_t at = 0; at < path.size();) {
        if (path[at] != '%') {
            if (class_of(path[at]) == Class::bad) return false;
            out += path[at++];
            continue;
        }
        const int byte = triplet(path, at);
        std::size_t kept = 3;
        if (byte < 0x20 || byte == 0x7f || byte == '\\') return false;
        if (byte >= 0x80) kept = utf8_triplets(path, at);
        if (kept == 0 && is_overlong(path, at)) return false;
        found.no_utf8 |= kept == 0;
        kept = std::max(kept, std::size_t{3});
        found.encoded_slash |= byte == '/';
        if (grammar::in(grammar::unreserved, static_cast<char>(byte))) {
            out += static_cast<char>(byte);
        } else {
            out += path.substr(at, kept);
        }
        at += kept;
    }
    return true;
}

/// Whether a second decoding would bring out what may not be there ("%252f", "%25252e"). Of what it would bring out,
/// only letters, digits and harmless punctuation are left to pass: "100%2520off" is a title, not an attack.
bool hides_second_layer(std::string_view path) {
    for (auto at = path.find("%25"); at != std::string_view::npos; at = path.find("%25", at)) {
        at += 3;
        while (path.substr(at).starts_with("25")) at += 2;
        if (at + 2 > path.size()) return false;
        const int high = grammar::hex_value(path[at]), low = grammar::hex_value(path[at + 1]);
        if (high < 0 || low < 0) continue;
        const int byte = high * 16 + low;
        if (byte < 0x20 || byte >= 0x7f || byte == '/' || byte == '\\' || byte == '.' || byte == ';') return true;
    }
    return false;
}

/// The place of the next `wanted` or of its triplet `%xx` in lower case; its length in `length`.
std::size_t find_either(std::string_view text, char wanted, std::size_t& length) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        length = text[at] == wanted ? 1 : 3;
        if (text[at] == wanted || triplet(text, at) == wanted) return at;
    }
    length = 0;
    return std::string_view::npos;
}

/// Whether an app that takes "%2f" for a slash, or cuts path parameters off (";a=b"), would see a dot segment here.
bool hides_dots(std::string_view segment) {
    const bool several = segment.find("%2f") != std::string_view::npos || segment.find("%2F") != std::string_view::npos;
    for (;;) {
        std::size_t slash_length = 0, semicolon_length = 0;
        const auto slash = find_either(segment, '/', slash_length);
        const auto part = segment.substr(0, slash);
        const auto stem = part.substr(0, find_either(part, ';', semicolon_length));
        const bool dots = stem == "." || stem == "..";
        if (dots && (several || semicolon_length > 0)) return true;
        if (slash == std::string_view::npos) return false;
        segment.remove_prefix(slash + slash_length);
    }
}

/// Merges slashes and resolves dot segments in place. @return false: a segment hides dots
bool resolve(std::string& path) {
    std::size_t kept = 0;
    for (std::size_t at = 1; at <= path.size();) {
        const auto end = std::min(path.find('/', at), path.size());
        const auto segment = std::string_view(path).substr(at, end - at);
        const bool last = end == path.size(), dot = segment.empty() || segment == ".", dots = segment == "..";
        if (dots) kept = kept == 0 ? 0 : path.rfind('/', kept - 1);
        if (dot || dots) {
            if (last) path[kept++] = '/';
        } else {
            if (hides_dots(segment)) return false;
            path[kept++] = '/';
            std::string::traits_type::move(&path[kept], segment.data(), segment.size());
            kept += segment.size();
        }
        at = end + 1;
    }
    path.resize(kept);
    return true;
}

// Of a path, as routes and apps spell it alike. ";" is not among them: it may be more than itself.
constexpr auto plain_chars = grammar::char_set([](unsigned c) {
    return grammar::in(grammar::unreserved, static_cast<char>(c)) ||
           (c != 0 && c < 0x80 &&
            std::string_view("/!$&'()*+,=:@").find(static_cast<char>(c)) != std::string_view::npos);
});

bool is_query(std::string_view query) {
    return grammar::all_in<0x21>(grammar::target_chars, query) && query.find('#') == std::string_view::npos;
}

/// How far the path is canonical already; its end, or the place of a "?", or of what may need work.
std::size_t canonical_prefix(std::string_view target) {
    for (std::size_t at = 0; at < target.size(); ++at) {
        const Class found = class_of(target[at]);
        if (found == Class::plain) continue;
        if (found != Class::slash) return at;
        if (at + 1 < target.size() && (target[at + 1] == '/' || target[at + 1] == '.')) return at;
    }
    return target.size();
}

}  // namespace

std::optional<Target> canonical_target(std::string_view target, std::string& storage) {
    if (!target.starts_with('/')) return std::nullopt;
    const auto stop = canonical_prefix(target);
    const auto path_end = std::min(target.find('?', stop), target.size());
    Target result{target.substr(0, path_end), target.substr(path_end)};
    if (!is_query(result.query)) return std::nullopt;
    if (stop == path_end) return result;

    storage.clear();
    storage.reserve(path_end);
    if (!decode(result.path, storage, result)) return std::nullopt;
    if (!resolve(storage) || hides_second_layer(storage)) return std::nullopt;
    result.path = storage;
    return result;
}

bool has_one_spelling(std::string_view path) {
    return std::ranges::all_of(path, [](char c) { return grammar::in(plain_chars, c); });
}

std::optional<std::string> as_routes_spell(std::string_view path) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string spelt;
    for (std::size_t at = 0; at < path.size(); ++at) {
        const int byte = triplet(path, at);
        if (byte >= 0) {
            const bool is_plain = grammar::in(plain_chars, static_cast<char>(byte)) && byte != '/';
            is_plain ? spelt += static_cast<char>(byte) : spelt += path.substr(at, 3);
            at += 2;
        } else if (grammar::in(plain_chars, path[at]) || path[at] == ';') {
            spelt += path[at];
        } else {
            const auto c = static_cast<unsigned char>(path[at]);
            spelt += {'%', digits[c >> 4U], digits[c & 15U]};
        }
    }
    if (spelt == path) return std::nullopt;
    return spelt;
}

std::optional<std::string> without_parameters(std::string_view path) {
    std::size_t length = 0;
    if (find_either(path, ';', length) == std::string_view::npos) return std::nullopt;
    std::string stems;
    for (std::size_t at = 0; at < path.size();) {
        const auto end = std::min(path.find('/', at + 1), path.size());
        const auto segment = path.substr(at, end - at);  // with the slash ahead of it
        stems += segment.substr(0, find_either(segment, ';', length));
        at = end;
    }
    resolve(stems);  // "/;a/b" has become "//b"; dots ahead of a ";" were refused before
    return stems;
}

}  // namespace rotagate::proxy
