#pragma once

#include <optional>
#include <string_view>

#include "proxy/http1.hpp"

/// What heads of requests and answers have in common.
namespace rotagate::proxy::http1 {

/// A field that may come once: its first value, and how often it came.
struct Single {
    std::string_view value;
    unsigned count = 0;
};

/// The fields that decide about framing, routing and the connection, gathered while all are read.
struct Special {
    Single host, content_length, transfer_encoding, expect;
    unsigned options = 0;                                     ///< items of all Connection fields
    bool close = false, keep_alive = false, upgrade = false;  ///< of Connection
    bool offers_upgrade = false;                              ///< there is an Upgrade field
};

/// Reads field lines up to and including the empty line, which must be the last. Of apps, which perhaps nobody can
/// mend, more is taken: blanks between a name and its colon (RFC 9112 section 5.1), but for the names that frame a
/// body; and connection options that are none, as "close". Errors: 400, and 431 beyond 200 fields or 64 connection
/// options.
std::optional<HeadError> read_fields(std::string_view text, Sender sender, Fields& fields, Special& special);

/// Cuts the first line off, without its CRLF.
std::string_view take_line(std::string_view& text);

/// @return none: digits only, without leading zeros, below 2^63
std::optional<std::uint64_t> read_length(std::string_view text);

enum class Coding {
    chunked,
    unknown,    ///< a list of codings that ends in another than chunked, or has others before it
    malformed,  ///< not a list of names, or chunked is not the last of them
};
Coding read_coding(std::string_view transfer_encoding);

/// Whether the connection stays open after this message (RFC 9112 section 9.3).
inline bool stays_open(const Special& special, unsigned minor_version) {
    return !special.close && (minor_version >= 1 || special.keep_alive);
}

}  // namespace rotagate::proxy::http1
