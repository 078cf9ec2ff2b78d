#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "bench/demo_pages.hpp"

namespace rotagate::demo {

/// Serves one client of the app, request after request (HTTP/1.1 with keep-alive), until either side closes.
/// Errors: a broken connection ends it silently.
boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket socket, Pages& pages);

}  // namespace rotagate::demo
