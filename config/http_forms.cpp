#include "config/http_forms.hpp"

#include <algorithm>
#include <array>

#include "config/address.hpp"
#include "config/units.hpp"

namespace rotagate::config {
namespace {

bool is_letter_or_digit(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

bool has_upper(std::string_view text) { return lower(text) != text; }

/// The fold rule: how a CGI, WSGI or PHP app would see the name.
std::string folded(std::string_view name) {
    std::string out = lower(name);
    for (char& c : out)
        if (!is_letter_or_digit(static_cast<unsigned char>(c))) c = '-';
    return out;
}

constexpr std::array<std::string_view, 13> framing_names{"content-length",
                                                         "transfer-encoding",
                                                         "connection",
                                                         "keep-alive",
                                                         "proxy-connection",
                                                         "te",
                                                         "trailer",
                                                         "upgrade",
                                                         "expect",
                                                         "http2-settings",
                                                         "proxy-authenticate",
                                                         "proxy-authorization",
                                                         "proxy-authentication-info"};
constexpr std::array<std::string_view, 6> request_names{"host",      "cookie",     "forwarded",
                                                        "x-user-id", "x-user-org", "x-request-id"};
constexpr std::array<std::string_view, 5> response_names{"host", "set-cookie", "forwarded", "x-user-id", "x-user-org"};

template <std::size_t N>
bool is_among(std::string_view name, const std::array<std::string_view, N>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

template <std::size_t N>
Parsed<std::string> editable_header(std::string_view text, const std::array<std::string_view, N>& owned) {
    if (!is_token(text)) return Refusal{"is not a header name; write letters, digits and \"-\""};
    const std::string name = folded(text);
    if (is_among(name, framing_names)) return Refusal{"frames messages and cannot be edited; remove it here"};
    const bool ours =
        name.starts_with("x-session-") || name.starts_with("x-forwarded-") || name.starts_with("x-client-cert-");
    if (ours || is_among(name, owned)) return Refusal{"is the gateway's own and cannot be edited; remove it here"};
    return std::string(text);
}

bool is_unreserved(unsigned char c) { return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_' || c == '~'; }

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 && text.front() != '0' &&
           text.find_first_not_of("0123456789") == std::string_view::npos && std::stoul(std::string(text)) <= 65535;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/// The byte that text[i], a "%", encodes; -1 where it encodes none.
int encoded_byte(std::string_view text, std::size_t i) {
    if (i + 2 >= text.size()) return -1;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/// What keeps a "/segment/..." from being canonical; empty: nothing.
std::string segment_mistake(std::string_view path) {
    for (std::size_t begin = 1; begin <= path.size();) {
        const auto end = std::min(path.find('/', begin), path.size());
        const auto segment = path.substr(begin, end - begin);
        const auto name = segment.substr(0, segment.find(';'));
        if (segment.empty() && end != path.size())
            return "has \"//\", which no request's path has then; write one \"/\"";
        if (name == "." || name == "..")
            return "has a \"" + std::string(name) + "\" segment; write the path it leads to";
        begin = end + 1;
    }
    return {};
}

std::string character_mistake(std::string_view path) {
    constexpr std::string_view allowed = "/!$&'()*+,;=:@", own_marks = "!$&'()*+,=:@";
    for (std::size_t i = 0; i < path.size(); ++i) {
        const auto c = static_cast<unsigned char>(path[i]);
        if (c == '?' || c == '#') return "has a query or fragment; write the path alone";
        if (c == '%') {
            const int byte = encoded_byte(path, i);
            if (byte < 0) return "has a \"%\" without two hex digits; write %25 for the character itself";
            if (is_unreserved(static_cast<unsigned char>(byte)) ||
                own_marks.find(static_cast<char>(byte)) < own_marks.size())
                return std::string("encodes \"") + static_cast<char>(byte) + "\" needlessly; write the character";
            if (byte == '/' || byte == '\\' || byte == 0 || byte == '%')
                return "has an encoding that stays ambiguous (%2F, %5C, %00, %25); no request with it would match";
            i += 2;
        } else if (!is_unreserved(c) && allowed.find(path[i]) == std::string_view::npos) {
            return "has a character that routes have percent-encoded; write it as %XX";
        }
    }
    return {};
}

/// RFC 3986 section 3.1.
bool is_scheme(std::string_view text) {
    const bool begins = !text.empty() && is_letter_or_digit(static_cast<unsigned char>(text.front())) &&
                        (text.front() < '0' || text.front() > '9');
    return begins && std::all_of(text.begin(), text.end(), [](unsigned char c) {
               return is_letter_or_digit(c) || c == '+' || c == '-' || c == '.';
           });
}

bool is_visible_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; });
}

}  // namespace

bool is_token(std::string_view text) {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](unsigned char c) {
        return is_letter_or_digit(c) || marks.find(static_cast<char>(c)) != std::string_view::npos;
    });
}

Parsed<std::string> cookie_name(std::string_view text) {
    if (!is_token(text) || text.size() > 64)
        return Refusal{"is not a cookie name; write 1 to 64 letters, digits, \"-\" or \"_\""};
    for (const std::string_view prefix : {"__Host-", "__Secure-"}) {
        if (lower(text.substr(0, prefix.size())) != lower(prefix)) continue;
        if (!text.starts_with(prefix)) return Refusal{"has a prefix in the wrong case; write " + std::string(prefix)};
        if (text.size() == prefix.size()) return Refusal{"is a prefix alone; write a name behind it"};
    }
    return std::string(text);
}

Parsed<std::string> cookie_domain(std::string_view text) {
    if (text.starts_with('.')) return Refusal{"begins with a dot; leave it out, subdomains are included anyway"};
    if (has_upper(text)) return Refusal{"has upper-case letters; write it in lower case"};
    if (is_ip_address(text) || !is_host_name(text) || text.find('.') == std::string_view::npos)
        return Refusal{"is not a cookie's domain; write a name of two or more labels, such as example.org"};
    return std::string(text);
}

Parsed<std::string> host_name(std::string_view text) {
    if (has_upper(text)) return Refusal{"has upper-case letters; write it in lower case"};
    const bool brackets = text.size() > 2 && text.front() == '[' && text.back() == ']';
    if (brackets && is_ip_address(text.substr(1, text.size() - 2))) return std::string(text);
    if (!brackets && text.find(':') != std::string_view::npos)
        return Refusal{"has a port or a bare IPv6 address; write the host alone, such as api.example.org or [::1]"};
    if (!is_host_name(text))
        return Refusal{"is not a host; write a name such as api.example.org (punycode, no wildcard)"};
    return std::string(text);
}

Parsed<std::string> origin(std::string_view text) {
    if (text == "null") return Refusal{"is what pages of anybody say that hide their origin; remove it"};
    const auto mark = text.find("://");
    const auto scheme = text.substr(0, mark == std::string_view::npos ? 0 : mark);
    if (!is_scheme(scheme)) return Refusal{"is not an origin; write one such as https://app.example.org"};
    if (has_upper(text)) return Refusal{"has upper-case letters; browsers write origins in lower case"};
    const auto rest = text.substr(mark + 3);
    if (const auto end = rest.find_first_of("/?#"); end != std::string_view::npos)
        return Refusal{"has more than scheme, host and port; write " + std::string(text.substr(0, mark + 3 + end))};
    const auto colon = rest.find(':', rest.starts_with('[') ? rest.find(']') : 0);
    const auto host = host_name(rest.substr(0, colon));
    if (const auto* refusal = std::get_if<Refusal>(&host)) return Refusal{"names no host; its host " + refusal->why};
    if (colon == std::string_view::npos) return std::string(text);
    const auto port = rest.substr(colon + 1);
    if ((scheme == "https" && port == "443") || (scheme == "http" && port == "80"))
        return Refusal{"has the scheme's own port, which browsers leave out; leave it out"};
    if (!is_port(port)) return Refusal{"has no port behind its \":\"; write 1 to 65535"};
    return std::string(text);
}

Parsed<std::string> origin_or_any(std::string_view text) { return text == "*" ? std::string(text) : origin(text); }

Parsed<std::string> canonical_path(std::string_view text) {
    constexpr std::size_t longest = 2048;
    if (!text.starts_with('/')) return Refusal{"does not begin with \"/\"; write / and the path"};
    if (text.size() > longest) return Refusal{"is too long; write at most " + std::to_string(longest) + " bytes"};
    if (std::string why = character_mistake(text); !why.empty()) return Refusal{why};
    if (std::string why = segment_mistake(text); !why.empty()) return Refusal{why};
    return std::string(text);
}

Parsed<std::string> request_path(std::string_view text) {
    if (!text.starts_with('/') || !is_visible_ascii(text) || text.find('#') != std::string_view::npos)
        return Refusal{"is not a path to ask for; write /healthz or the like, percent-encoded"};
    return std::string(text);
}

Parsed<std::string> method(std::string_view text) {
    if (text == "CONNECT" || text == "TRACE") return Refusal{"is never forwarded; remove it"};
    if (!is_token(text)) return Refusal{"is not a method; write GET, POST or the like"};
    for (const char c : text)
        if (c >= 'a' && c <= 'z') return Refusal{"is not in upper case; methods are told apart by case"};
    return std::string(text);
}

Parsed<std::string> redirect_target(std::string_view text) {
    constexpr std::string_view https = "https://", placeholder = "{uri}";
    const bool absolute = text.starts_with(https);
    const bool path = text.starts_with('/') && !text.starts_with("//");
    if ((!path && !absolute) || !is_visible_ascii(text) || text.find('\\') != std::string_view::npos)
        return Refusal{
            "is not a place to send users to; write a path such as \"/login?next={uri}\" or an https:// URL"};
    if (absolute) {
        const auto authority = text.substr(https.size(), text.find_first_of("/?#", https.size()) - https.size());
        const auto port = authority.rfind(':') > authority.rfind(']') || authority.find(']') == std::string_view::npos
                              ? authority.rfind(':')
                              : std::string_view::npos;
        const auto host = host_name(lower(authority.substr(0, port)));
        if (const auto* refusal = std::get_if<Refusal>(&host))
            return Refusal{"names no host; its host " + refusal->why};
        if (port != std::string_view::npos && !is_port(authority.substr(port + 1)))
            return Refusal{"has no port behind its \":\"; write 1 to 65535"};
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '{' && text[i] != '}') continue;
        if (text.substr(i, placeholder.size()) != placeholder)
            return Refusal{"has a placeholder other than {uri}; only that one is filled in"};
        i += placeholder.size() - 1;
    }
    return std::string(text);
}

Parsed<std::string> request_header(std::string_view text) { return editable_header(text, request_names); }
Parsed<std::string> response_header(std::string_view text) { return editable_header(text, response_names); }

Parsed<std::string> header_value(std::string_view text) {
    constexpr std::size_t longest = 8 * KiB;
    if (text.empty() || text.size() > longest || text.front() == ' ' || text.back() == ' ')
        return Refusal{"is not a header's value; write 1 to 8192 bytes without spaces around them"};
    return std::string(text);
}

Parsed<std::string> some_text(std::string_view text) {
    if (text.empty()) return Refusal{"is empty; write a value, or remove the line"};
    return std::string(text);
}

}  // namespace rotagate::config
