#include "proxy/inspect.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "proxy/admin_gate.hpp"
#include "proxy/tls.hpp"
#include "proxy/tls_ocsp.hpp"
#include "proxy/tls_tickets.hpp"
#include "session/keys.hpp"

namespace rotagate::proxy {
namespace {

using std::filesystem::path;

std::string certificate(const path& file) {
    const std::string error = tls::certificate_error(file);
    if (error.empty()) return {};
    return fmt::format("is no certificate that can be used ({}); write a PEM file: the certificate, then its chain",
                       error);
}

/// A gateway has to start with it all the same: whoever may not use its other hosts meanwhile is worse off.
std::string certificate_warning(const path& file) {
    const auto certificate = tls::read_certificate(file);
    if (!certificate) return {};
    if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0)
        return "has expired: browsers refuse it; renew it, then send SIGHUP";
    if (X509_cmp_current_time(X509_get0_notBefore(certificate.get())) > 0)
        return "is not valid yet: browsers refuse it until then; is the clock right?";
    return {};
}

std::vector<std::string> certificate_names(const path& file) {
    const auto certificate = tls::read_certificate(file);
    return certificate ? tls::host_names(certificate.get()) : std::vector<std::string>();
}

std::string private_key(const path& file, const path& certificate) {
    const std::string error = tls::private_key_error(file);
    if (!error.empty())
        return fmt::format("is no private key that can be used ({}); write a PEM file without a passphrase", error);
    if (certificate.empty() || tls::belongs_to(file, certificate)) return {};
    return fmt::format("is not the key of the certificate in {}; write the one that belongs to it",
                       certificate.string());
}

std::string authorities(const path& file) {
    const std::string error = tls::authorities_error(file);
    if (error.empty()) return {};
    return fmt::format("holds no authorities' certificates ({}); write a PEM file of them", error);
}

std::string cookie_key(const path& file) {
    if (session::CookieKey::read(file)) return {};
    return "holds no cookie key; make one by rotagate keygen --out FILE";
}

std::string ticket_key(const path& file) {
    if (tls::TicketKey::read(file)) return {};
    return "does not hold the 80 random bytes of a ticket key; make one by rotagate keygen --ticket --out FILE";
}

std::string ocsp(const path& file, const path& certificate) {
    try {
        tls::OcspResponse::read(file, certificate.empty() ? nullptr : tls::read_certificate(certificate).get());
        return {};
    } catch (const std::runtime_error& error) {
        return fmt::format("{}; write what the CA's responder says of the certificate, in DER form", error.what());
    }
}

std::string ocsp_warning(const path& file) {
    try {
        const auto response = tls::OcspResponse::read(file, nullptr);
        if (!response.valid_at(std::time(nullptr))) return "is not valid at this time: nothing is stapled";
        return response.good ? "" : "says that the certificate is revoked, or not known to its issuer";
    } catch (const std::runtime_error&) {
        return {};
    }
}

std::string admin_token(const path& file) {
    try {
        read_admin_token(file);
        return {};
    } catch (const std::runtime_error&) {
        return "holds no token; write one into it, such as the output of openssl rand -hex 32";
    }
}

}  // namespace

config::Inspectors file_inspectors() {
    return {.certificate = certificate,
            .certificate_warning = certificate_warning,
            .certificate_names = certificate_names,
            .private_key = private_key,
            .authorities = authorities,
            .cookie_key = cookie_key,
            .ticket_key = ticket_key,
            .ocsp = ocsp,
            .ocsp_warning = ocsp_warning,
            .admin_token = admin_token};
}

}  // namespace rotagate::proxy
