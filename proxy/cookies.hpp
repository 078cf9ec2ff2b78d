#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/container/small_vector.hpp>

#include "config/config.hpp"
#include "proxy/message.hpp"

namespace rotagate::proxy {

/// What the Cookie fields of a request hold (several fields, or HTTP/2 crumbs, count as one joined with "; ").
struct RequestCookies {
    boost::container::small_vector<std::string_view, 2> sessions;  ///< values of the session cookie's name, in order
    std::optional<std::string_view>
        others;  ///< what the app gets, byte for byte but for the session cookie; none: no field
};

/// However many there are: limits.header_bytes bounds them.
RequestCookies split_cookies(const Fields& fields, std::string_view session_name, Arena& arena);

/// Whether a Set-Cookie value of an app names the session cookie: such a field is dropped.
bool sets_cookie(std::string_view set_cookie, std::string_view name);

/// Writes the Set-Cookie values of the session cookie. What is the same in all of them is composed once.
class SetCookieWriter {
public:
    explicit SetCookieWriter(const config::Cookie& cookie);
    /// For a sealed cookie. @param max_age  seconds, at least 1
    std::string_view set(std::string_view sealed, long max_age, Arena& arena) const;
    /// Deletes it.
    std::string_view remove() const { return remove_; }

private:
    std::string before_value_, after_age_, remove_;
};

}  // namespace rotagate::proxy
