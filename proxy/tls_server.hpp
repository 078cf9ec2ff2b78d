#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "proxy/tls.hpp"
#include "proxy/tls_state.hpp"

namespace rotagate::proxy::tls {

/// What session resumption is bound to, and what clients are asked for: SHA-256.
using Digest = std::array<unsigned char, 32>;

/// The contexts of one listener on one event loop: a certificate each, chosen by SNI, with what is asked of clients who
/// want its hosts. Connections keep the ones that they were accepted with.
class ServerContexts {
public:
    /// @param http2  whether it is offered
    /// Throws std::runtime_error with OpenSSL's reason and the file where one cannot be used.
    ServerContexts(const config::ServerTls& settings, bool http2, ServerState& state);
    ServerContexts(const ServerContexts&) = delete;

    /// An SSL object in the server's role.
    Ssl accept() const;
    /// Whether a request for this host may come on a connection (RFC 9110 section 7.4): it asks the same of its clients
    /// as the host that the connection was made for, and is that host, or covered by its certificate. A client without
    /// SNI, mostly one that connects to an address, has asked for none: it gets hosts without a certificate of their
    /// own, too; and so has a request that names none.
    /// @param host  lower case, without port
    bool serves(const SSL* ssl, std::string_view host) const;
    /// How closely one of the certificates is for this host: 2: by its name, 1: by a wildcard, 0: none is.
    int closeness(std::string_view host) const;
    /// Whether what is asked here of clients who want this host was asked on a connection of another listener.
    /// @param ssl  null: plain
    bool admits(const SSL* ssl, std::string_view host) const;

private:
    /// The hosts of one certificate.
    struct Hosts {
        Context context;
        Digest policy{};               ///< tells what is asked of clients
        int verify = SSL_VERIFY_NONE;  ///< the mode for it
        std::shared_ptr<const Staple> staple;
    };
    static const Hosts& made_for(const SSL* ssl) {
        return *static_cast<const Hosts*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    }

    void add(const config::Certificate& files, Context context, ServerState& state);
    static int on_hello(SSL* ssl, int* alert, void* self);
    /// Those that have a certificate of their own for a name; null: the first are meant.
    const Hosts* find(std::string_view name) const;

    std::deque<Hosts> hosts_;
    std::map<std::string, const Hosts*, std::less<>> exact_, wildcard_;  // wildcard_ by what follows "*."
};

}  // namespace rotagate::proxy::tls
