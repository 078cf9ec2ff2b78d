#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace rotagate::bench {

/// The cookies that one browser holds for one site, as RFC 6265 section 5 has them. Sites of one host: a Domain that
/// the host does not belong to is refused, any other makes no difference.
class CookieJar {
public:
    using Time = std::chrono::sys_seconds;

    /// Adopts, replaces or deletes a cookie.
    /// @param set_cookie  the value of one Set-Cookie field
    /// @param path        of the request that it answers, without the query
    /// @param secure      whether that request went over TLS
    /// @return whether it was good and had any effect
    bool receive(std::string_view set_cookie, std::string_view host, std::string_view path, bool secure, Time now);

    /// Appends what the Cookie field of a request carries, "a=b; c=d"; nothing where no cookie is for that path.
    void append_header(std::string& out, std::string_view path, bool secure, Time now) const;

    bool empty() const { return cookies_.empty(); }
    void clear() { cookies_.clear(); }
    /// The value of the first cookie of that name; empty: none.
    std::string_view value(std::string_view name) const;

private:
    struct Cookie {
        std::string name, value, path;
        bool secure = false;
        Time expires = Time::max();
    };
    struct Attributes;
    static Attributes parse(std::string_view set_cookie, Time now);

    std::vector<Cookie> cookies_;  ///< longer paths first, as the Cookie field wants them
};

/// The time that an Expires attribute names, as loosely as browsers read it; Time::max() where it names none.
/// Source: RFC 6265 section 5.1.1.
CookieJar::Time cookie_date(std::string_view text);

}  // namespace rotagate::bench
