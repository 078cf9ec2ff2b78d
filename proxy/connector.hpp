#pragma once

#include <memory>
#include <string>

#include "config/config.hpp"
#include "proxy/deadlines.hpp"
#include "proxy/socket.hpp"
#include "proxy/stream.hpp"

namespace rotagate::proxy {

using Endpoint = asio::generic::stream_protocol::endpoint;

/// The name that a server's certificate must be for; empty: the upstream is spoken to without TLS.
std::string tls_name(const config::Upstream& upstream, const config::Address& server);
/// A server's own Host: its address, or on a unix socket its name in TLS, or localhost.
std::string host_field(const config::Upstream& upstream, const config::Address& server);

/// Opens connections to one server; looks its name up again as time goes by.
class Connector {
public:
    /// @param tls  null: plain. It must outlive the connections.
    Connector(asio::io_context& loop, config::Address address, SSL_CTX* tls, std::string tls_name);
    ~Connector();
    Connector(Connector&&) = default;
    Connector& operator=(Connector&&) = delete;
    /// Connects, TLS included. Errors: timed_out, not found, refused, the certificate is wrong, ...
    Task<session::Result<std::shared_ptr<Stream>>> connect(Deadlines& deadlines, config::Duration timeout);
    const config::Address& address() const { return address_; }

private:
    struct Lookup;
    struct Waiter;
    void look_up();
    Task<error_code> resolve(Deadlines& deadlines, config::Duration timeout);
    static void set_up(Socket& socket);

    asio::io_context& loop_;
    config::Address address_;
    SSL_CTX* tls_;
    std::string tls_name_;
    bool is_name_ = false;
    std::shared_ptr<Lookup> lookup_;
};

}  // namespace rotagate::proxy
