#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include "config/config.hpp"

namespace rotagate::session::redis {

namespace asio = boost::asio;
using boost::system::error_code;

/// A stream of bytes to a server: TCP, a unix socket, or TLS over TCP. One read and one write at a time; no completion
/// comes after it is destroyed. But the memory of an operation may be used until then: its `done` is destroyed only
/// when that is over, and keeps what the memory belongs to.
class Wire {
public:
    using Done = std::function<void(error_code, std::size_t)>;

    virtual ~Wire() = default;
    /// Looks the name up, connects, and does the handshake of TLS, the server's name verified.
    virtual void connect(const config::Address& server, Done done) = 0;
    virtual void read(std::span<char> into, Done done) = 0;
    /// Writes all of it. The bytes must stay until then. Returns true where that is done already, as is usual: `done`
    /// is not called then.
    virtual bool write(std::string_view bytes, Done done) = 0;
};

/// @param tls  null: none. It must outlive the wire.
std::unique_ptr<Wire> make_wire(asio::io_context& loop, asio::ssl::context* tls);

/// What connections to a Redis with TLS need; null where it has none.
/// Throws std::runtime_error, where the file with the authorities cannot be used.
std::unique_ptr<asio::ssl::context> tls_context(const config::Redis& settings);

}  // namespace rotagate::session::redis
