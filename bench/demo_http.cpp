#include "bench/demo_http.hpp"

#include <algorithm>
#include <charconv>

#include <boost/url/encode.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/rfc/pchars.hpp>
#include <boost/url/url.hpp>

namespace rotagate::demo {

namespace urls = boost::urls;

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

std::string Target::text(std::string_view name, std::string_view fallback) const {
    const auto found = query.find(name);
    return found == query.end() ? std::string(fallback) : found->second;
}

std::uint64_t Target::number(std::string_view name, std::uint64_t fallback) const {
    const std::string digits = text(name);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() ? value : fallback;
}

std::optional<Target> Target::parse(std::string_view target) {
    if (!target.starts_with('/')) return std::nullopt;
    const auto question = target.find('?');
    Target parsed{percent_decode(target.substr(0, question)), {}};
    if (question != std::string_view::npos) parsed.query = parse_form(target.substr(question + 1));
    return parsed;
}

Params parse_form(std::string_view body) {
    Params params;
    while (!body.empty()) {
        const std::string_view field = body.substr(0, body.find('&'));
        body.remove_prefix(std::min(field.size() + 1, body.size()));
        std::string pair(field);
        std::replace(pair.begin(), pair.end(), '+', ' ');
        const auto equals = pair.find('=');
        const std::string_view whole = pair;
        const std::string_view value = equals == std::string::npos ? "" : whole.substr(equals + 1);
        if (!pair.empty()) params.emplace(percent_decode(whole.substr(0, equals)), percent_decode(value));
    }
    return params;
}

std::string percent_decode(std::string_view text) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool encoded =
            text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
        decoded += encoded ? static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])) : text[i];
        if (encoded) i += 2;
    }
    return decoded;
}

std::string escape_html(std::string_view text) {
    std::string escaped;
    escaped.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&':
                escaped += "&amp;";
                break;
            case '<':
                escaped += "&lt;";
                break;
            case '>':
                escaped += "&gt;";
                break;
            case '"':
                escaped += "&quot;";
                break;
            case '\'':
                escaped += "&#39;";
                break;
            default:
                escaped += c;
        }
    }
    return escaped;
}

std::string safe_next(std::string_view next) {
    std::string elsewhere = "/account";
    const auto parsed = urls::parse_origin_form(next);
    if (!parsed) return elsewhere;
    const std::string path = percent_decode(std::string_view(parsed->encoded_path()));
    const bool ambiguous = std::any_of(path.begin(), path.end(), [](char c) { return c == '\\' || is_control(c); });
    if (ambiguous || !path.starts_with('/') || path.find("//") != std::string::npos) return elsewhere;

    // Written anew from what was understood, so that the browser cannot understand something else.
    std::string location = urls::encode(path, urls::pchars + '/');
    if (parsed->has_query()) location.append("?").append(std::string_view(parsed->encoded_query()));
    return location;
}

std::string_view header(const Head& head, std::string_view name) {
    const auto found = head.find(boost::beast::string_view(name.data(), name.size()));
    if (found == head.end()) return {};
    return {found->value().data(), found->value().size()};
}

}  // namespace rotagate::demo
