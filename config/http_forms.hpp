#pragma once

#include <string>
#include <string_view>

#include "config/reader.hpp"

/// The forms of what HTTP and cookies define: names, paths, hosts, header fields.
namespace rotagate::config {

/// RFC 9110 section 5.6.2: letters, digits and !#$%&'*+-.^_`|~
bool is_token(std::string_view text);

/// A session cookie's name: a token of at most 64 bytes. The prefixes are spelled __Host- and __Secure-: browsers know
/// them in any case, but not all of them did. Source: RFC 6265 section 4.1.1; draft-ietf-httpbis-rfc6265bis
/// section 4.1.3.
Parsed<std::string> cookie_name(std::string_view text);

/// A cookie's Domain: lower case, at least two labels, no leading dot, no IP address.
Parsed<std::string> cookie_domain(std::string_view text);

/// A host to match, or for TLS: lower case, a name or an IP address ([v6] in brackets), no port.
Parsed<std::string> host_name(std::string_view text);

/// An origin as browsers write it: SCHEME://HOST or SCHEME://HOST:PORT in lower case, without the scheme's own port.
Parsed<std::string> origin(std::string_view text);
/// The same, or "*".
Parsed<std::string> origin_or_any(std::string_view text);

/// A path as routes match it: begins with "/", and nothing in it that canonicalisation would change or refuse.
Parsed<std::string> canonical_path(std::string_view text);

/// A path to ask for, which may have a query.
Parsed<std::string> request_path(std::string_view text);

/// An upper-case method; not CONNECT and TRACE, which are never forwarded.
Parsed<std::string> method(std::string_view text);

/// A path of this site or an absolute https URL; "{uri}" is its only placeholder, and not in the host.
Parsed<std::string> redirect_target(std::string_view text);

/// A name that a route may set or remove. By the fold rule (lower case, all but letters and digits become "-") it must
/// not equal a name that frames a message or that the gateway itself speaks.
Parsed<std::string> request_header(std::string_view text);
Parsed<std::string> response_header(std::string_view text);

/// At most 8 KiB, not empty, no space around it.
Parsed<std::string> header_value(std::string_view text);

/// Any text that is not empty.
Parsed<std::string> some_text(std::string_view text);

}  // namespace rotagate::config
