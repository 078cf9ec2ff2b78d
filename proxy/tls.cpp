#include "proxy/tls.hpp"

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "proxy/grammar.hpp"

namespace rotagate::proxy::tls {
namespace {

int bio_read(BIO* bio, char* into, std::size_t size, std::size_t* done) {
    auto& memory = *static_cast<MemoryBio*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (memory.in.empty()) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *done = memory.in.copy(into, size);
    memory.in.remove_prefix(*done);
    return 1;
}

int bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* done) {
    static_cast<MemoryBio*>(BIO_get_data(bio))->out->append(data, size);
    *done = size;
    return 1;
}

long bio_ctrl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* memory_method() {
    static BIO_METHOD* method = [] {
        BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rotagate memory");
        BIO_meth_set_read_ex(m, bio_read);
        BIO_meth_set_write_ex(m, bio_write);
        BIO_meth_set_ctrl(m, bio_ctrl);
        return m;
    }();
    return method;
}

void harden(SSL_CTX* context, int min_version) {
    SSL_CTX_set_min_proto_version(context, min_version);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);  // see tls_memory.hpp
    // A key with a passphrase is an error, not a question on the terminal.
    SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return -1; });
    // Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else.
    if (SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        throw std::runtime_error("TLS ciphers: " + last_error());
}

}  // namespace

void attach(SSL* ssl, MemoryBio& memory) {
    BIO* bio = BIO_new(memory_method());
    if (!bio) throw std::bad_alloc();
    BIO_set_data(bio, &memory);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
}

void fail(const std::filesystem::path& file, std::string_view what) {
    throw std::runtime_error(file.string() + ": " + std::string(what) + ": " + last_error());
}

Context hardened(const SSL_METHOD* method, int min_version) {
    Context context{SSL_CTX_new(method)};
    if (!context) throw std::runtime_error("TLS: " + last_error());
    harden(context.get(), min_version);
    return context;
}

bool use_certificate(SSL_CTX* context, const std::filesystem::path& file) {
    return SSL_CTX_use_certificate_chain_file(context, file.c_str()) == 1;
}

bool use_key(SSL_CTX* context, const std::filesystem::path& file) {
    return SSL_CTX_use_PrivateKey_file(context, file.c_str(), SSL_FILETYPE_PEM) == 1;
}

std::unique_ptr<X509, Free> read_certificate(const std::filesystem::path& file) {
    const Context context = hardened(TLS_server_method(), TLS1_2_VERSION);
    if (!use_certificate(context.get(), file)) return ERR_clear_error(), nullptr;
    X509* const certificate = SSL_CTX_get0_certificate(context.get());
    X509_up_ref(certificate);
    return std::unique_ptr<X509, Free>(certificate);
}

std::vector<std::string> host_names(X509* certificate) {
    std::vector<std::string> names;
    auto* alternatives =
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
        if (name->type != GEN_DNS) continue;
        std::string& text = names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                                               static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
        std::ranges::transform(text, text.begin(), grammar::lower);
    }
    GENERAL_NAMES_free(alternatives);
    return names;
}

Context upstream_context(const config::UpstreamTls& settings) {
    Context context = hardened(TLS_client_method(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (settings.ca.empty()) {
        SSL_CTX_set_default_verify_paths(context.get());
    } else if (SSL_CTX_load_verify_file(context.get(), settings.ca.c_str()) != 1) {
        fail(settings.ca, "cannot read these authorities");
    }
    return context;
}

Ssl connect(SSL_CTX* context, const std::string& name) {
    Ssl ssl{SSL_new(context)};
    if (!ssl) throw std::bad_alloc();
    SSL_set_connect_state(ssl.get());
    X509_VERIFY_PARAM* verify = SSL_get0_param(ssl.get());
    if (X509_VERIFY_PARAM_set1_ip_asc(verify, name.c_str()) != 1) {  // not an IP address: a name
        SSL_set_tlsext_host_name(ssl.get(), name.c_str());
        X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        X509_VERIFY_PARAM_set1_host(verify, name.c_str(), name.size());
    }
    ERR_clear_error();
    return ssl;
}

std::string certificate_error(const std::filesystem::path& file) {
    const Context context = hardened(TLS_server_method(), TLS1_2_VERSION);
    return use_certificate(context.get(), file) ? "" : last_error();
}

std::string private_key_error(const std::filesystem::path& file) {
    const Context context = hardened(TLS_server_method(), TLS1_2_VERSION);
    return use_key(context.get(), file) ? "" : last_error();
}

std::string authorities_error(const std::filesystem::path& file) {
    const Context context = hardened(TLS_client_method(), TLS1_2_VERSION);
    return SSL_CTX_load_verify_file(context.get(), file.c_str()) == 1 ? "" : last_error();
}

bool belongs_to(const std::filesystem::path& key, const std::filesystem::path& certificate) {
    const Context context = hardened(TLS_server_method(), TLS1_2_VERSION);
    const bool fits = use_certificate(context.get(), certificate) && use_key(context.get(), key) &&
                      SSL_CTX_check_private_key(context.get()) == 1;
    ERR_clear_error();
    return fits;
}

bool is_http2(const SSL* ssl) {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &name, &size);
    return std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
}

std::string_view server_name(const SSL* ssl) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    return name ? std::string_view(name) : std::string_view();
}

void forget_errors() {
    if (ERR_peek_error() != 0) ERR_clear_error();  // clearing an empty queue costs ten times the look
}

std::string last_error() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return "unknown error";
    const char* reason = ERR_reason_error_string(code);
    if (ERR_SYSTEM_ERROR(code)) return std::generic_category().message(ERR_GET_REASON(code));
    return reason ? reason : "OpenSSL error " + std::to_string(code);
}

}  // namespace rotagate::proxy::tls
