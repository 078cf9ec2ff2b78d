#include "proxy/route.hpp"

#include <algorithm>

#include "proxy/grammar.hpp"

namespace rotagate::proxy {
namespace {

/// Equality of canonical paths: "%c3" is "%C3", or else the letter case of a triplet would choose the route.
bool same_path(std::string_view a, std::string_view b) {
    if (a == b) return true;
    if (a.size() != b.size() || a.find('%') == std::string_view::npos) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const bool in_triplet = (i >= 1 && a[i - 1] == '%') || (i >= 2 && a[i - 2] == '%');
        if (a[i] != b[i] && !(in_triplet && grammar::lower(a[i]) == grammar::lower(b[i]))) return false;
    }
    return true;
}

bool matches_path(std::string_view wanted, std::string_view path) {
    return same_path(wanted, wanted.ends_with('/') ? path.substr(0, wanted.size()) : path);
}

/// A route for GET takes HEAD too, which is GET without the body.
bool matches_method(const std::vector<std::string>& methods, std::string_view method) {
    if (methods.empty()) return true;
    return std::any_of(methods.begin(), methods.end(), [&](const std::string& wanted) {
        return wanted == method || (wanted == "GET" && method == "HEAD");
    });
}

/// Whether a range of Accept says that it is not wanted: "text/html;q=0.0" (RFC 9110 section 12.4.2).
bool is_unwanted(std::string_view range) {
    return !grammar::each_item(range, ';', [](std::string_view parameter) {
        const bool weight = parameter.starts_with("q=0") || parameter.starts_with("Q=0");
        return !weight || parameter.find_first_not_of("0.", 2) != std::string_view::npos;
    });
}

bool accepts_html(std::string_view accept) {
    return !grammar::each_item(accept, ',', [](std::string_view range) {
        return !same_name(grammar::trimmed(range.substr(0, range.find(';'))), "text/html") || is_unwanted(range);
    });
}

bool is_sec_fetch(const Field& field) { return same_name(field.name.substr(0, 10), "sec-fetch-"); }

void append_encoded(std::string& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (const char c : text) {
        if (grammar::in(grammar::unreserved, c)) {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += {'%', digits[byte >> 4], digits[byte & 15]};
        }
    }
}

}  // namespace

const config::Route* find_route(const std::vector<config::Route>& routes, std::string_view host, std::string_view path,
                                std::string_view method) {
    const auto found = std::find_if(routes.begin(), routes.end(), [&](const config::Route& route) {
        return (route.match.host.empty() || route.match.host == host) && matches_path(route.match.path, path) &&
               matches_method(route.match.methods, method);
    });
    return found == routes.end() ? nullptr : &*found;
}

bool is_page_load(const RequestHead& head) {
    if (head.method != "GET" && head.method != "HEAD") return false;
    if (const auto mode = find(head.fields, Known::sec_fetch_mode)) return *mode == "navigate";
    if (std::any_of(head.fields.begin(), head.fields.end(), is_sec_fetch)) return false;
    return std::any_of(head.fields.begin(), head.fields.end(),
                       [](const Field& field) { return field.known == Known::accept && accepts_html(field.value); });
}

std::string login_location(std::string_view redirect, std::string_view path, std::string_view query) {
    constexpr std::string_view placeholder = "{uri}";
    std::string location;
    for (;;) {
        const auto at = redirect.find(placeholder);
        location += redirect.substr(0, at);
        if (at == std::string_view::npos) return location;
        append_encoded(location, path);
        append_encoded(location, query);
        redirect.remove_prefix(at + placeholder.size());
    }
}

}  // namespace rotagate::proxy
