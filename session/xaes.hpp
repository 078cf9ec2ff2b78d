#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <openssl/evp.h>

/// XAES-256-GCM: AES-256-GCM with nonces of 192 bits, so many that they may be drawn at random. The first half of the
/// nonce and the key give a subkey; the second half is the nonce of AES-256-GCM under it. Who keeps the first half may
/// keep the subkey. Source: the C2SP specification, https://c2sp.org/XAES-256-GCM.
namespace rotagate::session {

using Secret = std::array<std::uint8_t, 32>;
using NonceHalf = std::array<std::uint8_t, 12>;

struct FreeCipherContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeCipherContext>;

/// A key, ready to derive subkeys. Not thread-safe.
class XaesKey {
public:
    explicit XaesKey(const Secret& key);
    /// The AES-256-GCM key of all nonces that begin with this half.
    Secret subkey(const NonceHalf& first);

private:
    CipherContext aes_;
    std::array<std::uint8_t, 16> mask_{};  ///< K1 of the specification
};

/// AES-256-GCM under one key after the other; a key stays expanded between messages. Not thread-safe.
class Gcm {
public:
    static constexpr std::size_t tag_size = 16;
    enum class Direction { open, seal };

    explicit Gcm(Direction direction);
    void set_key(const Secret& key);

    /// Writes ciphertext and tag: plaintext.size() + tag_size bytes.
    void seal(const NonceHalf& nonce, std::string_view associated, std::span<const std::uint8_t> plaintext,
              std::uint8_t* sealed);
    /// Writes the plaintext, sealed.size() - tag_size bytes, and tells whether it is authentic: use it only then.
    /// @param sealed  at least tag_size bytes
    bool open(const NonceHalf& nonce, std::string_view associated, std::span<const std::uint8_t> sealed,
              std::uint8_t* plaintext);

private:
    CipherContext context_;
    Direction direction_;
};

}  // namespace rotagate::session
