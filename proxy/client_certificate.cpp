#include "proxy/client_certificate.hpp"

#include <openssl/bio.h>
#include <openssl/x509.h>
#include <spdlog/spdlog.h>

#include "proxy/headers.hpp"

namespace rotagate::proxy {
namespace {

constexpr std::size_t longest_subject = 4096;  // percent-encoded; a head must fit into what apps accept

struct Free {
    void operator()(BIO* p) const { BIO_free(p); }
};

/// RFC 2253, but with UTF-8 as it is and not escaped byte by byte.
std::string one_line(const X509_NAME* name) {
    const std::unique_ptr<BIO, Free> text(BIO_new(BIO_s_mem()));
    if (!text) throw std::bad_alloc();
    X509_NAME_print_ex(text.get(), name, 0, XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

std::string common_name(const X509_NAME* name) {
    const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0) return {};
    unsigned char* bytes = nullptr;
    const int size = ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (size < 0) return {};
    std::string text(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
    OPENSSL_free(bytes);
    return text;
}

}  // namespace

std::shared_ptr<ClientCertificate> client_certificate(const SSL* ssl) {
    X509* const shown = SSL_get0_peer_certificate(ssl);
    if (!shown || SSL_get_verify_result(ssl) != X509_V_OK) return nullptr;
    const X509_NAME* const name = X509_get_subject_name(shown);
    auto certificate = std::make_shared<ClientCertificate>();
    certificate->subject = header_encoded(one_line(name));
    if (certificate->subject.size() > longest_subject) {
        spdlog::warn("tls.client_subject_too_long bytes={} detail=\"the client counts as one without a certificate\"",
                     certificate->subject.size());
        return nullptr;
    }
    certificate->user = common_name(name);
    if (!session::User{certificate->user, {}}.valid()) certificate->user.clear();
    return certificate;
}

}  // namespace rotagate::proxy
