#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>

/// What the demo app's pages are made of: a parsed target, a form, an answer, and the escaping that all three need.
namespace rotagate::demo {

namespace http = boost::beast::http;

using Head = http::request_header<http::fields>;

/// Decoded names and values of a query or a form; of equal names the first counts.
using Params = std::map<std::string, std::string, std::less<>>;

/// An answer that is small enough to be held in memory.
struct Reply {
    unsigned status = 200;
    std::string type = "text/html; charset=utf-8";
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

/// A request target in origin form, decoded.
struct Target {
    std::string path;
    Params query;

    std::string text(std::string_view name, std::string_view fallback = "") const;
    /// The parameter as a number; the fallback where it is absent or not a number.
    std::uint64_t number(std::string_view name, std::uint64_t fallback) const;
    /// Empty where `target` is not a path with an optional query.
    static std::optional<Target> parse(std::string_view target);
};

/// Reads application/x-www-form-urlencoded (URL Standard, section 5.1).
Params parse_form(std::string_view body);

/// Undoes percent-encoding; a stray "%" stays as it is.
std::string percent_decode(std::string_view text);

std::string escape_html(std::string_view text);

/// Where to go after the login: `next` if it is a path of this site, else "/account". Never leaves the origin,
/// whatever a browser makes of "//host", backslashes, encoded slashes or control characters.
std::string safe_next(std::string_view next);

/// A header's value, or "" where it is absent.
std::string_view header(const Head& head, std::string_view name);

}  // namespace rotagate::demo
