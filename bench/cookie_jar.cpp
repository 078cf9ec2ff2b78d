#include "bench/cookie_jar.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "config/text.hpp"
#include "proxy/grammar.hpp"
#include "proxy/message.hpp"

namespace rotagate::bench {
namespace {

using config::take_until;
using proxy::same_name;
using proxy::grammar::trimmed;

/// RFC 6265 section 5.1.4.
bool path_matches(std::string_view request, std::string_view cookie) {
    if (!request.starts_with(cookie)) return false;
    return request.size() == cookie.size() || cookie.ends_with('/') || request[cookie.size()] == '/';
}

std::string_view default_path(std::string_view request) {
    const auto slash = request.rfind('/');
    if (slash == 0 || slash == std::string_view::npos) return "/";
    return request.substr(0, slash);
}

bool domain_matches(std::string_view host, std::string_view domain) {
    if (domain.starts_with('.')) domain.remove_prefix(1);
    if (same_name(host, domain)) return true;
    return host.size() > domain.size() && same_name(host.substr(host.size() - domain.size()), domain) &&
           host[host.size() - domain.size() - 1] == '.';
}

CookieJar::Time after(CookieJar::Time now, std::string_view seconds) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(seconds.data(), seconds.data() + seconds.size(), value);
    if (error == std::errc::result_out_of_range) return CookieJar::Time::max();
    if (value <= 0) return CookieJar::Time::min();
    const auto most = (CookieJar::Time::max() - now).count();
    return now + std::chrono::seconds(std::min<std::int64_t>(value, most));
}

bool is_number(std::string_view text) {
    if (text.starts_with('-')) text.remove_prefix(1);
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<unsigned> month_of(std::string_view token) {
    static constexpr std::string_view names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                                 "jul", "aug", "sep", "oct", "nov", "dec"};
    for (unsigned i = 0; i < 12; ++i)
        if (token.size() >= 3 && same_name(token.substr(0, 3), names[i])) return i + 1;
    return std::nullopt;
}

unsigned number_at_front(std::string_view text) {
    unsigned value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// What a date's words have told so far.
struct DateParts {
    std::optional<unsigned> day, month, year;
    std::optional<std::chrono::seconds> time;

    void add(std::string_view token) {
        const bool digit = !token.empty() && token[0] >= '0' && token[0] <= '9';
        if (const auto colon = token.find(':'); digit && colon != std::string_view::npos && !time) {
            std::string_view rest = token;
            const unsigned hour = number_at_front(take_until(rest, ':'));
            const unsigned minute = number_at_front(take_until(rest, ':'));
            time =
                std::chrono::hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(number_at_front(rest));
        } else if (digit && token.size() <= 2 && !day) {
            day = number_at_front(token);
        } else if (digit && !year) {
            const unsigned value = number_at_front(token);
            year = value < 70 ? value + 2000 : value < 100 ? value + 1900 : value;
        } else if (!month) {
            month = month_of(token);
        }
    }
};

}  // namespace

CookieJar::Time cookie_date(std::string_view text) {
    DateParts parts;
    constexpr std::string_view delimiters = " \t,;-/";
    while (!text.empty()) {
        const auto end = std::min(text.find_first_of(delimiters), text.size());
        parts.add(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (!parts.day || !parts.month || !parts.year || !parts.time) return CookieJar::Time::max();
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*parts.year)),
                                           std::chrono::month(*parts.month), std::chrono::day(*parts.day)};
    if (!date.ok() || *parts.year > 9999 || *parts.time >= std::chrono::hours(24)) return CookieJar::Time::max();
    return std::chrono::sys_days(date) + *parts.time;
}

struct CookieJar::Attributes {
    std::string_view name, value, path, domain;
    bool secure = false;
    Time expires = Time::max();

    bool good(std::string_view host, bool over_tls) const {
        if (name.empty() || (secure && !over_tls)) return false;
        if (!domain.empty() && !domain_matches(host, domain)) return false;
        if (name.starts_with("__Host-")) return secure && domain.empty() && path == "/";
        return secure || !name.starts_with("__Secure-");
    }
};

CookieJar::Attributes CookieJar::parse(std::string_view set_cookie, Time now) {
    Attributes found;
    std::string_view pair = take_until(set_cookie, ';');
    if (pair.find('=') == std::string_view::npos) return found;
    found.name = trimmed(take_until(pair, '='));
    found.value = trimmed(pair);
    bool has_max_age = false;
    while (!set_cookie.empty()) {
        std::string_view value = take_until(set_cookie, ';');
        const std::string_view name = trimmed(take_until(value, '='));
        value = trimmed(value);
        if (same_name(name, "Path")) {
            found.path = value.starts_with('/') ? value : std::string_view();
        } else if (same_name(name, "Domain")) {
            found.domain = value;
        } else if (same_name(name, "Secure")) {
            found.secure = true;
        } else if (same_name(name, "Max-Age") && is_number(value)) {
            found.expires = after(now, value);
            has_max_age = true;
        } else if (same_name(name, "Expires") && !has_max_age) {
            found.expires = cookie_date(value);
        }
    }
    return found;
}

bool CookieJar::receive(std::string_view set_cookie, std::string_view host, std::string_view path, bool secure,
                        Time now) {
    Attributes found = parse(set_cookie, now);
    if (!found.good(host, secure)) return false;
    if (found.path.empty()) found.path = default_path(path);
    const auto same = std::find_if(cookies_.begin(), cookies_.end(), [&](const Cookie& cookie) {
        return cookie.name == found.name && cookie.path == found.path;
    });
    const bool known = same != cookies_.end();
    if (found.expires <= now) {
        if (known) cookies_.erase(same);
        return known;
    }
    if (known) {
        same->value.assign(found.value);
        same->secure = found.secure;
        same->expires = found.expires;
        return true;
    }
    const auto place = std::find_if(cookies_.begin(), cookies_.end(),
                                    [&](const Cookie& cookie) { return cookie.path.size() < found.path.size(); });
    cookies_.insert(place, Cookie{std::string(found.name), std::string(found.value), std::string(found.path),
                                  found.secure, found.expires});
    return true;
}

void CookieJar::append_header(std::string& out, std::string_view path, bool secure, Time now) const {
    bool first = true;
    for (const Cookie& cookie : cookies_) {
        if (cookie.expires <= now || (cookie.secure && !secure) || !path_matches(path, cookie.path)) continue;
        if (!first) out += "; ";
        first = false;
        out.append(cookie.name).append("=").append(cookie.value);
    }
}

std::string_view CookieJar::value(std::string_view name) const {
    for (const Cookie& cookie : cookies_)
        if (cookie.name == name) return cookie.value;
    return {};
}

}  // namespace rotagate::bench
