#include "proxy/tls_server.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <span>
#include <stdexcept>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "proxy/grammar.hpp"
#include "proxy/message.hpp"

namespace rotagate::proxy::tls {
namespace {

// What is offered, the first first. A client that speaks none of it is told so rather than misunderstood.
constexpr std::string_view protocols = "\x02h2\x08http/1.1\x08http/1.0";
constexpr std::string_view http1_protocols = protocols.substr(3);

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
                    unsigned in_length, void* offered) {
    const auto& ours = *static_cast<const std::string_view*>(offered);
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, out_length, reinterpret_cast<const unsigned char*>(ours.data()),
                              static_cast<unsigned>(ours.size()), in, in_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/// Tells the client that its name was heard; without this a session of TLS 1.2 would forget it.
int acknowledge_name(SSL* ssl, int*, void*) {
    return server_name(ssl).empty() ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

/// A client whose certificate has expired since has to show another one.
SSL_TICKET_RETURN on_ticket(SSL*, SSL_SESSION* session, const unsigned char*, std::size_t, SSL_TICKET_STATUS status,
                            void*) {
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) return SSL_TICKET_RETURN_IGNORE_RENEW;
    X509* const shown = SSL_SESSION_get0_peer(session);
    if (shown && X509_cmp_current_time(X509_get0_notAfter(shown)) <= 0) return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

Digest sha256(std::string_view text) {
    static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);  // each time, it costs more
    Digest digest;
    if (!algorithm || EVP_Digest(text.data(), text.size(), digest.data(), nullptr, algorithm, nullptr) != 1)
        throw std::bad_alloc();  // SHA-256 has no other way to fail
    return digest;
}

Context server_context(const config::Certificate& files, const config::ServerTls& settings, bool http2) {
    Context context = hardened(TLS_server_method(),
                               settings.min_version == config::TlsVersion::tls1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX* const c = context.get();
    if (!use_certificate(c, files.cert)) fail(files.cert, "cannot use this certificate");
    if (!use_key(c, files.key)) fail(files.key, "cannot use this private key");
    if (SSL_CTX_check_private_key(c) != 1) fail(files.key, "this key is not that of " + files.cert.string());
    SSL_CTX_set_options(c, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384");
    // The authorities of clients have no part in our own chain.
    SSL_CTX_set_mode(c, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);  // tickets carry the state
    SSL_CTX_set_max_early_data(c, 0);                       // what could be replayed
    SSL_CTX_set_recv_max_early_data(c, 0);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol,
                               const_cast<std::string_view*>(http2 ? &protocols : &http1_protocols));
    return context;
}

/// Has clients asked for certificates. @return what tells this policy from others, on every gateway alike
Digest ask_clients(SSL_CTX* context, const config::ClientCertificates& clients) {
    if (SSL_CTX_load_verify_file(context, clients.ca.c_str()) != 1) fail(clients.ca, "cannot read these authorities");
    STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(clients.ca.c_str());
    if (!names) fail(clients.ca, "cannot read these authorities");
    SSL_CTX_set_client_CA_list(context, names);  // which owns them now
    std::ifstream in(clients.ca, std::ios::binary);
    const std::string authorities{std::istreambuf_iterator<char>(in), {}};
    return sha256((clients.required ? "required " : "optional ") + authorities);
}

/// The one host name of the extension of a hello (RFC 6066 section 3); empty: none, or not of this form, which OpenSSL
/// refuses later on.
std::string_view named_in_hello(SSL* ssl) {
    constexpr std::size_t before_name = 5;  // length of the list, type, length of the name
    const unsigned char* bytes = nullptr;
    std::size_t size = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1 || size < before_name) return {};
    const auto number = [&](std::size_t at) { return static_cast<std::size_t>(bytes[at] << 8U | bytes[at + 1]); };
    if (number(0) != size - 2 || bytes[2] != TLSEXT_NAMETYPE_host_name || number(3) != size - before_name) return {};
    return {reinterpret_cast<const char*>(bytes) + before_name, size - before_name};
}

/// Whether the certificate that a connection was answered with is for this host as well.
bool covers(const SSL* ssl, std::string_view host) {
    X509* const certificate = SSL_get_certificate(ssl);
    return certificate &&
           X509_check_host(certificate, host.data(), host.size(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
}

}  // namespace

ServerContexts::ServerContexts(const config::ServerTls& settings, bool http2, ServerState& state) {
    for (const config::Certificate& files : settings.certificates)
        add(files, server_context(files, settings, http2), state);
}

void ServerContexts::add(const config::Certificate& files, Context context, ServerState& state) {
    Hosts& hosts = hosts_.emplace_back();
    hosts.context = std::move(context);
    SSL_CTX* const c = hosts.context.get();
    X509* const certificate = SSL_CTX_get0_certificate(c);
    if (files.clients) {
        hosts.policy = ask_clients(c, *files.clients);
        hosts.verify = SSL_VERIFY_PEER | (files.clients->required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    }
    if (!files.ocsp.empty()) {
        hosts.staple = state.staple(files.ocsp, certificate);
        use_staple(c, *hosts.staple);
    }
    use_ticket_keys(c, state.tickets);
    SSL_CTX_set_session_ticket_cb(c, nullptr, on_ticket, nullptr);
    SSL_CTX_set_app_data(c, &hosts);
    // On every context: the second hello of a handshake may name another host than the first.
    SSL_CTX_set_client_hello_cb(c, &ServerContexts::on_hello, this);
    SSL_CTX_set_tlsext_servername_callback(c, acknowledge_name);
    for (const std::string& name : host_names(certificate)) {
        if (name.starts_with("*.")) {
            wildcard_.emplace(name.substr(2), &hosts);
        } else {
            exact_.emplace(name, &hosts);
        }
    }
}

/// Chooses the certificate, before OpenSSL looks for a session to resume: one of another host, or of a host that asked
/// its clients for something else, must not be found.
int ServerContexts::on_hello(SSL* ssl, int*, void* self) {
    const auto& contexts = *static_cast<const ServerContexts*>(self);
    std::string name{named_in_hello(ssl)};
    std::ranges::transform(name, name.begin(), grammar::lower);
    const Hosts* const found = contexts.find(name);
    const Hosts& hosts = found ? *found : contexts.hosts_.front();
    SSL_set_SSL_CTX(ssl, hosts.context.get());
    SSL_set_verify(ssl, hosts.verify, nullptr);
    const Digest bound =
        sha256(std::string(reinterpret_cast<const char*>(hosts.policy.data()), hosts.policy.size()) + name);
    SSL_set_session_id_context(ssl, bound.data(), static_cast<unsigned>(bound.size()));
    return SSL_CLIENT_HELLO_SUCCESS;
}

const ServerContexts::Hosts* ServerContexts::find(std::string_view name) const {
    if (const auto exact = exact_.find(name); exact != exact_.end()) return exact->second;
    const auto dot = name.find('.');
    if (dot == 0 || dot == std::string_view::npos) return nullptr;
    const auto wildcard = wildcard_.find(name.substr(dot + 1));  // it stands for one label
    return wildcard == wildcard_.end() ? nullptr : wildcard->second;
}

bool ServerContexts::serves(const SSL* ssl, std::string_view host) const {
    const Hosts* const wanted = find(host);
    if ((wanted ? *wanted : hosts_.front()).policy != made_for(ssl).policy) return false;
    const std::string_view name = server_name(ssl);
    if (name.empty() || host.empty()) return !wanted || wanted == &made_for(ssl);
    return same_name(name, host) || covers(ssl, host);
}

int ServerContexts::closeness(std::string_view host) const { return exact_.contains(host) ? 2 : find(host) ? 1 : 0; }

bool ServerContexts::admits(const SSL* ssl, std::string_view host) const {
    const Hosts* const wanted = find(host);
    if (!wanted) return true;
    const Digest nothing{}, asked = ssl ? made_for(ssl).policy : nothing;
    const bool required = (wanted->verify & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) != 0;
    return wanted->policy == nothing || wanted->policy == asked || (asked == nothing && !required);
}

Ssl ServerContexts::accept() const {
    Ssl ssl{SSL_new(hosts_.front().context.get())};
    if (!ssl) throw std::bad_alloc();
    SSL_set_accept_state(ssl.get());
    return ssl;
}

}  // namespace rotagate::proxy::tls
