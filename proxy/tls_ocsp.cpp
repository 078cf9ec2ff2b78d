#include "proxy/tls_ocsp.hpp"

#include <array>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <spdlog/spdlog.h>

namespace rotagate::proxy::tls {
namespace {

constexpr std::time_t day = std::time_t{24} * 60 * 60;
constexpr std::size_t most_ocsp_bytes = 64 * config::KiB;
constexpr std::string_view how_to_renew = "have your CA's responder asked again, such as by openssl ocsp -respout FILE";

struct FreeOcsp {
    void operator()(OCSP_RESPONSE* p) const { OCSP_RESPONSE_free(p); }
    void operator()(OCSP_BASICRESP* p) const { OCSP_BASICRESP_free(p); }
};

std::string read_file(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::string bytes(most_ocsp_bytes + 1, '\0');
    in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(in.gcount()));
    if (bytes.empty()) throw std::runtime_error("cannot be read, or is empty");
    if (bytes.size() > most_ocsp_bytes) throw std::runtime_error("is too large for an OCSP response");
    return bytes;
}

/// Whether a response is about this certificate: issuer's name and serial number are the same.
bool is_about(const OCSP_SINGLERESP* single, const X509* certificate) {
    ASN1_OCTET_STRING* name_hash = nullptr;
    ASN1_OBJECT* algorithm = nullptr;
    ASN1_INTEGER* serial = nullptr;
    auto* const id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));  // which is only read
    if (OCSP_id_get0_info(&name_hash, &algorithm, nullptr, &serial, id) != 1) return false;
    const EVP_MD* const digest = EVP_get_digestbyobj(algorithm);
    std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
    unsigned size = 0;
    if (!digest || X509_NAME_digest(X509_get_issuer_name(certificate), digest, hash.data(), &size) != 1) return false;
    const auto text = [](const void* data, std::size_t n) {
        return std::string_view(static_cast<const char*>(data), n);
    };
    return ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) == 0 &&
           text(hash.data(), size) ==
               text(ASN1_STRING_get0_data(name_hash), static_cast<std::size_t>(ASN1_STRING_length(name_hash)));
}

OCSP_SINGLERESP* find(OCSP_BASICRESP* basic, const X509* certificate) {
    for (int i = 0; i < OCSP_resp_count(basic); ++i) {
        OCSP_SINGLERESP* const single = OCSP_resp_get0(basic, i);
        if (!certificate || is_about(single, certificate)) return single;
    }
    return nullptr;
}

std::time_t seconds(const ASN1_GENERALIZEDTIME* time) {
    std::tm utc{};
    if (!time || ASN1_TIME_to_tm(time, &utc) != 1) throw std::runtime_error("has a time that cannot be read");
    return timegm(&utc);
}

int on_status_request(SSL* ssl, void* argument) {
    const auto response = static_cast<const Staple*>(argument)->current();
    if (!response) return SSL_TLSEXT_ERR_NOACK;
    void* const copy = OPENSSL_memdup(response->der.data(), response->der.size());  // which OpenSSL frees
    if (!copy) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(response->der.size()));
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

OcspResponse OcspResponse::read(const std::filesystem::path& file, const X509* certificate) {
    OcspResponse found{.der = read_file(file)};
    const auto* bytes = reinterpret_cast<const unsigned char*>(found.der.data());
    const std::unique_ptr<OCSP_RESPONSE, FreeOcsp> response(
        d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(found.der.size())));
    ERR_clear_error();
    if (!response) throw std::runtime_error("is no OCSP response in DER form");
    if (const int status = OCSP_response_status(response.get()); status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        throw std::runtime_error(fmt::format("is the responder's refusal ({})", OCSP_response_status_str(status)));
    const std::unique_ptr<OCSP_BASICRESP, FreeOcsp> basic(OCSP_response_get1_basic(response.get()));
    ERR_clear_error();
    if (!basic) throw std::runtime_error("is an OCSP response of an unknown kind");
    OCSP_SINGLERESP* const single = find(basic.get(), certificate);
    if (!single) throw std::runtime_error("is about another certificate");
    ASN1_GENERALIZEDTIME *from = nullptr, *until = nullptr;
    found.good = OCSP_single_get0_status(single, nullptr, nullptr, &from, &until) == V_OCSP_CERTSTATUS_GOOD;
    found.valid_from = seconds(from);
    found.valid_until = until ? seconds(until) : found.valid_from + day;
    return found;
}

Staple::Staple(std::filesystem::path file, X509* certificate)
    : file_(std::move(file)), certificate_(certificate), stamp_(FileStamp::of(file_)) {
    X509_up_ref(certificate);
    try {
        response_ = std::make_shared<const OcspResponse>(OcspResponse::read(file_, certificate));
    } catch (const std::runtime_error& error) {
        throw std::runtime_error(fmt::format("{}: {}; {}", file_.string(), error.what(), how_to_renew));
    }
}

void Staple::look_after(std::time_t now) {
    if (const FileStamp stamp = FileStamp::of(file_); stamp != stamp_) {
        stamp_ = stamp;
        try {
            auto next = std::make_shared<const OcspResponse>(OcspResponse::read(file_, certificate_.get()));
            const std::lock_guard lock(mutex_);
            response_ = std::move(next);
            told_ = false;
        } catch (const std::runtime_error& error) {
            spdlog::error("tls.ocsp_unusable file={} error=\"{}\" detail=\"the response from before stays in use\"",
                          file_.string(), error.what());
        }
    }
    if (current(now) || std::exchange(told_, true)) return;
    spdlog::warn("tls.ocsp_not_valid file={} detail=\"nothing is stapled\" cure=\"{}\"", file_.string(), how_to_renew);
}

std::shared_ptr<const OcspResponse> Staple::current(std::time_t now) const {
    const std::lock_guard lock(mutex_);
    return response_->valid_at(now) ? response_ : nullptr;
}

void use_staple(SSL_CTX* context, const Staple& staple) {
    SSL_CTX_set_tlsext_status_cb(context, on_status_request);
    SSL_CTX_set_tlsext_status_arg(context, const_cast<Staple*>(&staple));
}

}  // namespace rotagate::proxy::tls
