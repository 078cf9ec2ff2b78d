#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include "config/config.hpp"
#include "proxy/deadlines.hpp"
#include "proxy/proxy_protocol.hpp"
#include "proxy/task.hpp"

namespace rotagate::proxy {

using ProxiedSocket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;

/// Reads the PROXY header that a connection begins with, and not a byte behind it: what comes then may be TLS. It ends
/// when the header is complete or malformed. Errors: timed_out, eof, the system's.
/// @param timeout  of the whole header; single bytes do not extend it
Task<error_code> read_proxy_header(ProxiedSocket& socket, ProxyHeader& header, Deadlines& deadlines,
                                   config::Duration timeout);

}  // namespace rotagate::proxy
