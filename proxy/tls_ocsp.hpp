#pragma once

#include <ctime>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "proxy/file_stamp.hpp"
#include "proxy/tls.hpp"

namespace rotagate::proxy::tls {

/// What a certificate's issuer says of it (RFC 6960). Times are seconds since 1970.
struct OcspResponse {
    std::string der;
    std::time_t valid_from = 0, valid_until = 0;
    bool good = true;  ///< false: the certificate is revoked, or not known to its issuer

    bool valid_at(std::time_t now) const { return valid_from <= now && now < valid_until; }
    /// The responses in a file in DER form. One without nextUpdate is taken to be valid for a day.
    /// @param certificate  that one of them must be about; null: the first of them will do
    /// Throws std::runtime_error with what is wrong, as the rest of a sentence that begins with the file's name.
    static OcspResponse read(const std::filesystem::path& file, const X509* certificate);
};

/// A file with the OCSP response about a certificate, which whoever writes the file keeps fresh. Safe to use from
/// several threads.
class Staple {
public:
    /// Throws std::runtime_error where the file cannot be used.
    Staple(std::filesystem::path file, X509* certificate);
    Staple(const Staple&) = delete;
    /// To be called every few seconds: reads the file where it has changed; tells the log when there is nothing left
    /// to staple.
    void look_after(std::time_t now = std::time(nullptr));
    /// The response to staple; null: it is not valid now.
    std::shared_ptr<const OcspResponse> current(std::time_t now = std::time(nullptr)) const;

private:
    const std::filesystem::path file_;
    const std::unique_ptr<X509, Free> certificate_;
    FileStamp stamp_;
    mutable std::mutex mutex_;
    std::shared_ptr<const OcspResponse> response_;  ///< under the mutex
    bool told_ = false;                             ///< that it is not valid
};

/// Has a context staple the response where clients ask for it. @param staple  must outlive the context
void use_staple(SSL_CTX* context, const Staple& staple);

}  // namespace rotagate::proxy::tls
