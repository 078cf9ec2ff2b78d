#include "proxy/rewrite.hpp"

#include <algorithm>

#include "proxy/grammar.hpp"
#include "proxy/message.hpp"

namespace rotagate::proxy {
namespace {

bool starts_with_name(std::string_view text, std::string_view prefix) {
    return same_name(text.substr(0, prefix.size()), prefix);
}

/// Where the path begins in "http://authority/path" or "//authority/path"; none: the text is neither.
struct Absolute {
    std::string_view authority, rest;
};
std::optional<Absolute> split_absolute(std::string_view location) {
    for (const std::string_view scheme : {"http:", "https:"}) {
        if (starts_with_name(location, scheme)) {
            location.remove_prefix(scheme.size());
            break;
        }
    }
    if (!location.starts_with("//")) return std::nullopt;
    location.remove_prefix(2);
    const auto end = std::min(location.find_first_of("/?#"), location.size());
    return Absolute{location.substr(0, end), location.substr(end)};
}

/// Whether an origin's authority is the one of a location, its scheme's own port being said or not.
bool is_authority(std::string_view origin, std::string_view location, std::string_view authority) {
    const auto without = [&](std::string_view text) {
        if (!starts_with_name(location, "https:") && text.ends_with(":80")) text.remove_suffix(3);
        if (!starts_with_name(location, "http:") && text.ends_with(":443")) text.remove_suffix(4);
        return text;
    };
    return !origin.empty() && same_name(without(origin), without(authority));
}

}  // namespace

std::string_view stripped_path(std::string_view path, std::string_view strip_prefix) {
    while (strip_prefix.ends_with('/')) strip_prefix.remove_suffix(1);
    if (strip_prefix.empty() || !path.starts_with(strip_prefix)) return path;
    const auto rest = path.substr(strip_prefix.size());
    if (rest.empty()) return "/";
    return rest.front() == '/' ? rest : path;
}

std::optional<std::string> rewritten_location(std::string_view location, const Places& places) {
    std::string_view prefix = places.strip_prefix;
    while (prefix.ends_with('/')) prefix.remove_suffix(1);
    std::string result;
    if (const auto absolute = split_absolute(location)) {
        const auto own = [&](std::string_view origin) { return is_authority(origin, location, absolute->authority); };
        if (!std::any_of(places.origins.begin(), places.origins.end(), own)) return std::nullopt;
        // An app that sends its user over to https, on the host that she asked, means that.
        const bool upgrades = starts_with_name(location, "https:") &&
                              is_authority(places.client_authority, location, absolute->authority);
        result.append(upgrades ? "https" : places.client_scheme)
            .append("://")
            .append(places.client_authority)
            .append(prefix);
        if (!absolute->rest.starts_with('/')) result += '/';
        return result.append(absolute->rest);
    }
    if (prefix.empty() || !location.starts_with('/')) return std::nullopt;
    return result.append(prefix).append(location);
}

std::optional<std::string> rewritten_refresh(std::string_view refresh, const Places& places) {
    const auto separator = refresh.find_first_of(";,");
    if (separator == std::string_view::npos) return std::nullopt;
    auto target = grammar::trimmed(refresh.substr(separator + 1));
    if (starts_with_name(target, "url")) {
        const auto value = grammar::trimmed(target.substr(3));
        if (value.starts_with('=')) target = grammar::trimmed(value.substr(1));
    }
    if (target.starts_with('"') || target.starts_with('\'')) {
        const char quote = target.front();
        target.remove_prefix(1);
        target = target.substr(0, target.find(quote));
    }
    const auto location = rewritten_location(target, places);
    if (!location) return std::nullopt;
    return std::string(grammar::trimmed(refresh.substr(0, separator))).append("; url=").append(*location);
}

std::optional<std::string> rewritten_cookie_path(std::string_view set_cookie, std::string_view strip_prefix) {
    while (strip_prefix.ends_with('/')) strip_prefix.remove_suffix(1);
    if (strip_prefix.empty() || starts_with_name(grammar::trimmed(set_cookie), "__Host-")) return std::nullopt;
    std::string result(set_cookie.substr(0, set_cookie.find(';')));
    bool changed = false;
    if (result.size() == set_cookie.size()) return std::nullopt;
    grammar::each_item(set_cookie.substr(result.size() + 1), ';', [&](std::string_view attribute) {
        const auto equals = std::min(attribute.find('='), attribute.size());
        const auto value = grammar::trimmed(attribute.substr(std::min(equals + 1, attribute.size())));
        const bool path = same_name(grammar::trimmed(attribute.substr(0, equals)), "path") && value.starts_with('/');
        result += "; ";
        // "/old" is where browsers send a cookie of "/old", and not one of "/old/".
        path ? result.append("Path=").append(strip_prefix).append(value == "/" ? "" : value) : result.append(attribute);
        changed |= path;
        return true;
    });
    if (!changed) return std::nullopt;
    return result;
}

}  // namespace rotagate::proxy
