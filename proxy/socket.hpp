#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include "proxy/task.hpp"

namespace rotagate::proxy {

/// TCP or unix, as long as Asio is waited with: for a connection to an app, or a PROXY header. Streams have their
/// descriptors to themselves.
using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;

}  // namespace rotagate::proxy
