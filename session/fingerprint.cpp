#include "session/fingerprint.hpp"

#include <array>
#include <memory>
#include <new>

#include <openssl/evp.h>

namespace rotagate::session {
namespace {

struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

}  // namespace

std::string fingerprint(std::string_view text) {
    // Fetching the algorithm and allocating a context cost more than the hash itself, and every log line asks for one.
    static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    thread_local const std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
    std::array<unsigned char, 32> digest{};
    if (!sha256 || !context || EVP_DigestInit_ex2(context.get(), sha256, nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), text.data(), text.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
        throw std::bad_alloc{};  // SHA-256 has no other way to fail
    }
    std::string hex(8, '0');
    for (std::size_t i = 0; i < 4; ++i) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    return hex;
}

}  // namespace rotagate::session
