#pragma once

#include <filesystem>
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
    void operator()(X509* p) const { X509_free(p); }
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

/// A context with what holds in both roles. @param min_version  such as TLS1_2_VERSION
Context hardened(const SSL_METHOD* method, int min_version);
/// Throws std::runtime_error with OpenSSL's reason. @param what  is wrong with the file
[[noreturn]] void fail(const std::filesystem::path& file, std::string_view what);

/// Whether a file in PEM form could be taken: a certificate with its chain, a private key.
bool use_certificate(SSL_CTX* context, const std::filesystem::path& file);
bool use_key(SSL_CTX* context, const std::filesystem::path& file);
/// The first certificate of a file that can be used; null: it cannot.
std::unique_ptr<X509, Free> read_certificate(const std::filesystem::path& file);
/// The host names that a certificate is for (subjectAltName), lower case.
std::vector<std::string> host_names(X509* certificate);

/// A context towards an upstream: its servers are verified. Throws std::runtime_error with OpenSSL's reason and the
/// file where the authorities cannot be used.
Context upstream_context(const config::UpstreamTls& settings);
/// An SSL object in the client's role. @param name  host name or IP address that the certificate must be for
Ssl connect(SSL_CTX* context, const std::string& name);

/// What speaks against a file of a configuration, in OpenSSL's words; empty: nothing.
std::string certificate_error(const std::filesystem::path& file);
std::string private_key_error(const std::filesystem::path& file);
std::string authorities_error(const std::filesystem::path& file);
/// Whether a key is that of a certificate. @param certificate  can be used, and so can the key
bool belongs_to(const std::filesystem::path& key, const std::filesystem::path& certificate);

/// The name that the client asked for by SNI; empty: none.
std::string_view server_name(const SSL* ssl);
/// Whether a client and we have agreed on HTTP/2.
bool is_http2(const SSL* ssl);
/// The oldest error in OpenSSL's queue, which is emptied.
std::string last_error();
/// Empties this thread's queue of errors, which an SSL call must find empty for SSL_get_error() to tell the truth.
void forget_errors();

}  // namespace rotagate::proxy::tls
