#pragma once

#include "config/config.hpp"
#include "proxy/deadlines.hpp"
#include "proxy/proxy_protocol.hpp"
#include "proxy/socket.hpp"

namespace rotagate::proxy {

/// Reads the PROXY header that a connection begins with, and not a byte behind it: what comes then may be TLS. It ends
/// when the header is complete or malformed. Errors: timed_out, eof, the system's.
/// @param timeout  of the whole header; single bytes do not extend it
Task<error_code> read_proxy_header(Socket& socket, ProxyHeader& header, Deadlines& deadlines, config::Duration timeout);

}  // namespace rotagate::proxy
