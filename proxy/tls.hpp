#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/ssl.h>

#include "config/config.hpp"

/// OpenSSL, held in values that free themselves.
namespace rotagate::proxy::tls {

struct Free {
    void operator()(SSL* p) const { SSL_free(p); }
    void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
};
using Ssl = std::unique_ptr<SSL, Free>;
using Context = std::unique_ptr<SSL_CTX, Free>;

/// The two ends of an SSL object as plain memory: what arrived and was not read yet, and what is to be sent.
struct MemoryBio {
    std::string_view in;
    std::string* out = nullptr;
};
/// Makes an SSL object read from and write to these.
void attach(SSL* ssl, MemoryBio& bio);

/// The contexts of one listener on one event loop: a certificate each, chosen by SNI.
/// Throws std::runtime_error with OpenSSL's reason and the file where a certificate cannot be used.
class ServerContexts {
public:
    /// @param http2  whether it is offered
    ServerContexts(const config::ServerTls& settings, bool http2);
    ServerContexts(const ServerContexts&) = delete;
    /// An SSL object in the server's role.
    Ssl accept() const;
    /// Whether a certificate for this host would be found by SNI, and it is not the one that the connection was
    /// answered with.
    bool has_another_for(const SSL* ssl, std::string_view host) const;

private:
    static int choose(SSL* ssl, int* alert, void* self);
    /// The context for a name; null: the default will do.
    SSL_CTX* find(std::string_view name) const;

    std::vector<Context> contexts_;
    std::map<std::string, SSL_CTX*, std::less<>> exact_, wildcard_;  // wildcard_ by what follows "*."
};

/// A context towards an upstream: its servers are verified. Throws as ServerContexts does.
Context upstream_context(const config::UpstreamTls& settings);
/// An SSL object in the client's role. @param name  host name or IP address that the certificate must be for
Ssl connect(SSL_CTX* context, const std::string& name);

/// What speaks against a file of a configuration, in OpenSSL's words; empty: nothing.
std::string certificate_error(const std::filesystem::path& file);
std::string private_key_error(const std::filesystem::path& file);
std::string authorities_error(const std::filesystem::path& file);
/// Whether a key is that of a certificate. @param certificate  can be used, and so can the key
bool belongs_to(const std::filesystem::path& key, const std::filesystem::path& certificate);

/// Whether the certificate that a connection was answered with is for this host as well.
bool covers(const SSL* ssl, const std::string& host);
/// The name that the client asked for by SNI; empty: none.
std::string_view server_name(const SSL* ssl);
/// Whether a client and we have agreed on HTTP/2.
bool is_http2(const SSL* ssl);
/// The oldest error in OpenSSL's queue, which is emptied.
std::string last_error();
/// Empties this thread's queue of errors, which an SSL call must find empty for SSL_get_error() to tell the truth.
void forget_errors();

}  // namespace rotagate::proxy::tls
