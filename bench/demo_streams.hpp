#pragma once

#include <boost/asio/awaitable.hpp>

#include "bench/demo_exchange.hpp"

/// Bodies of any size, for benchmarks and tests: none of them is held in memory.
namespace rotagate::demo {

/// GET /bytes?n=1024: n bytes with a Content-Length. Byte i of the body is character i % 64 of the base64url alphabet.
boost::asio::awaitable<void> send_bytes(Exchange& exchange, const Target& target);

/// GET /chunked?n=65536&chunk=4096&pause=0: the same bytes in chunks of that size, with a pause (ms) before each.
boost::asio::awaitable<void> send_chunked(Exchange& exchange, const Target& target);

/// POST /echo: sends the body back as it arrives, framed as it came. The client has to read while it sends.
boost::asio::awaitable<void> echo(Exchange& exchange);

/// POST /count: {"bytes":5,"sha256":"2cf2…"} of the body.
boost::asio::awaitable<void> count(Exchange& exchange);

}  // namespace rotagate::demo
