#include "session/xaes.hpp"

#include <algorithm>
#include <stdexcept>

#include <openssl/err.h>

namespace rotagate::session {
namespace {

/// OpenSSL fails here only where the machine is broken.
void require(bool done) {
    if (!done) throw std::runtime_error("libcrypto failed");
}

CipherContext new_context() {
    CipherContext context{EVP_CIPHER_CTX_new()};
    require(context != nullptr);
    return context;
}

const EVP_CIPHER* fetch(const char* name) {
    const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
    require(cipher != nullptr);
    return cipher;
}

// Fetching takes locks and lookups: once per process.
const EVP_CIPHER* aes_block() {
    static const EVP_CIPHER* const cipher = fetch("AES-256-ECB");
    return cipher;
}

const EVP_CIPHER* aes_gcm() {
    static const EVP_CIPHER* const cipher = fetch("AES-256-GCM");
    return cipher;
}

void encrypt_blocks(EVP_CIPHER_CTX* aes, std::span<std::uint8_t> blocks) {
    int written = 0;
    require(EVP_EncryptUpdate(aes, blocks.data(), &written, blocks.data(), static_cast<int>(blocks.size())) == 1);
}

}  // namespace

XaesKey::XaesKey(const Secret& key) : aes_(new_context()) {
    require(EVP_EncryptInit_ex2(aes_.get(), aes_block(), key.data(), nullptr, nullptr) == 1);
    require(EVP_CIPHER_CTX_set_padding(aes_.get(), 0) == 1);
    encrypt_blocks(aes_.get(), mask_);
    const bool carry = mask_[0] >> 7;
    for (std::size_t i = 0; i < mask_.size(); ++i) {
        const std::uint8_t next = i + 1 < mask_.size() ? mask_[i + 1] >> 7 : 0;
        mask_[i] = static_cast<std::uint8_t>(mask_[i] << 1 | next);
    }
    if (carry) mask_.back() ^= 0x87;
}

Secret XaesKey::subkey(const NonceHalf& first) {
    Secret blocks{};
    for (std::uint8_t counter = 1; counter <= 2; ++counter) {
        std::uint8_t* block = &blocks[counter == 1 ? 0 : 16];
        block[1] = counter;
        block[2] = 'X';
        std::copy(first.begin(), first.end(), block + 4);
        for (std::size_t i = 0; i < mask_.size(); ++i) block[i] ^= mask_[i];
    }
    encrypt_blocks(aes_.get(), blocks);
    return blocks;
}

Gcm::Gcm(Direction direction) : context_(new_context()), direction_(direction) {
    require(EVP_CipherInit_ex2(context_.get(), aes_gcm(), nullptr, nullptr, static_cast<int>(direction), nullptr) == 1);
}

void Gcm::set_key(const Secret& key) {
    const int direction = static_cast<int>(direction_);
    require(EVP_CipherInit_ex2(context_.get(), nullptr, key.data(), nullptr, direction, nullptr) == 1);
}

void Gcm::seal(const NonceHalf& nonce, std::string_view associated, std::span<const std::uint8_t> plaintext,
               std::uint8_t* sealed) {
    const auto* aad = reinterpret_cast<const unsigned char*>(associated.data());
    const int size = static_cast<int>(plaintext.size());
    EVP_CIPHER_CTX* gcm = context_.get();
    int written = 0;
    require(EVP_EncryptInit_ex2(gcm, nullptr, nullptr, nonce.data(), nullptr) == 1);
    require(EVP_EncryptUpdate(gcm, nullptr, &written, aad, static_cast<int>(associated.size())) == 1);
    require(size == 0 || EVP_EncryptUpdate(gcm, sealed, &written, plaintext.data(), size) == 1);
    require(EVP_EncryptFinal_ex(gcm, sealed + size, &written) == 1);
    require(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, tag_size, sealed + size) == 1);
}

bool Gcm::open(const NonceHalf& nonce, std::string_view associated, std::span<const std::uint8_t> sealed,
               std::uint8_t* plaintext) {
    const auto* aad = reinterpret_cast<const unsigned char*>(associated.data());
    const int size = static_cast<int>(sealed.size() - tag_size);
    std::array<std::uint8_t, tag_size> tag;
    std::copy_n(sealed.data() + size, tag_size, tag.data());
    EVP_CIPHER_CTX* gcm = context_.get();
    int written = 0;
    require(EVP_DecryptInit_ex2(gcm, nullptr, nullptr, nonce.data(), nullptr) == 1);
    require(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, tag_size, tag.data()) == 1);
    require(EVP_DecryptUpdate(gcm, nullptr, &written, aad, static_cast<int>(associated.size())) == 1);
    require(size == 0 || EVP_DecryptUpdate(gcm, plaintext, &written, sealed.data(), size) == 1);
    const bool authentic = EVP_DecryptFinal_ex(gcm, plaintext + size, &written) == 1;
    if (!authentic) ERR_clear_error();  // what stays in this thread's queue, the next SSL_get_error() takes for its own
    return authentic;
}

}  // namespace rotagate::session
