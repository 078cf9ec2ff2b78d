#include "proxy/authority.hpp"

#include <algorithm>

#include <arpa/inet.h>

#include "proxy/grammar.hpp"

namespace rotagate::proxy {
namespace {

constexpr std::size_t longest_host = 253;  // RFC 1035 section 2.3.4, as text
constexpr auto name_chars =
    grammar::char_set([](unsigned c) { return grammar::is_alnum(c) || c == '-' || c == '_' || c == '.'; });

bool is_port_or_none(std::string_view port) {
    if (port.empty() || port.size() > 5) return false;
    unsigned value = 0;
    for (const char c : port) {
        if (!grammar::is_digit(static_cast<unsigned char>(c))) return false;
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return value <= 65535;
}

bool is_ipv6(std::string_view text) {
    char terminated[INET6_ADDRSTRLEN];
    if (text.size() >= sizeof terminated) return false;
    *std::copy(text.begin(), text.end(), terminated) = '\0';
    in6_addr address;
    return inet_pton(AF_INET6, terminated, &address) == 1;
}

bool is_name(std::string_view text) {
    if (text.empty() || text.size() > longest_host || text.front() == '.') return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!grammar::in(name_chars, text[i])) return false;
        if (text[i] == '.' && i > 0 && text[i - 1] == '.') return false;
    }
    return true;
}

}  // namespace

bool read_authority(std::string_view authority, std::string& host) {
    const bool literal = authority.starts_with('[');
    const auto bracket = literal ? authority.find(']') : std::string_view::npos;
    if (literal && bracket == std::string_view::npos) return false;
    const auto name_end = literal ? bracket + 1 : std::min(authority.find(':'), authority.size());
    std::string_view name = authority.substr(0, name_end);
    const std::string_view rest = authority.substr(name_end);
    if (!rest.empty() && (rest.front() != ':' || !is_port_or_none(rest.substr(1)))) return false;
    if (literal ? !is_ipv6(name.substr(1, name.size() - 2)) : !is_name(name)) return false;
    if (name.ends_with('.')) name.remove_suffix(1);
    host.resize(name.size());
    std::transform(name.begin(), name.end(), host.begin(), grammar::lower);
    return true;
}

}  // namespace rotagate::proxy
