#include "proxy/tls_tickets.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rotagate::proxy::tls {
namespace {

using boost::system::error_code;
namespace errc = boost::system::errc;

constexpr std::string_view how_to_make =
    "openssl rand 80 > FILE && chmod 600 FILE, or rotagate keygen --ticket --out FILE";

/// The file's bytes, and room for one that must not be there; wiped when they go.
struct FileBytes {
    std::array<unsigned char, TicketKey::file_size + 1> bytes{};
    std::size_t size = 0;
    ~FileBytes() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

error_code read_bytes(int descriptor, FileBytes& into) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) return {errno, boost::system::system_category()};
    if (!S_ISREG(status.st_mode)) return errc::make_error_code(errc::invalid_argument);
    if (status.st_mode & S_IRWXO) return errc::make_error_code(errc::permission_denied);
    while (into.size < into.bytes.size()) {
        const ssize_t n = ::read(descriptor, into.bytes.data() + into.size, into.bytes.size() - into.size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return {errno, boost::system::system_category()};
        if (n == 0) break;
        into.size += static_cast<std::size_t>(n);
    }
    return into.size == TicketKey::file_size ? error_code() : errc::make_error_code(errc::invalid_argument);
}

TicketRing read_ring(const std::vector<std::filesystem::path>& files) {
    TicketRing ring;
    for (const auto& file : files) {
        auto key = TicketKey::read(file);
        if (!key)
            throw std::runtime_error(fmt::format("{}: cannot use this ticket key: {}; make one with: {}", file.string(),
                                                 key.error().message(), how_to_make));
        ring.push_back(std::move(*key));
    }
    return ring;
}

bool begin_mac(EVP_MAC_CTX* mac, const TicketKey& key) {
    char digest[] = "SHA256";
    auto* const secret = const_cast<unsigned char*>(key.mac.data());  // OpenSSL does not write to it
    const OSSL_PARAM parameters[] = {OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, secret, key.mac.size()),
                                     OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof digest - 1),
                                     OSSL_PARAM_END};
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

int keys_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

constexpr int failed = -1, unknown_key = 0, good = 1, renew = 2;  // SSL_CTX_set_tlsext_ticket_key_evp_cb(3)

int seal(const TicketKey& key, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return failed;
    std::copy(key.name.begin(), key.name.end(), name);
    const bool begun = EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher.data(), iv, nullptr) == 1;
    return begun && begin_mac(mac, key) ? good : failed;
}

/// @param renews  whether the client gets another ticket in any case
int open(const TicketRing& ring, const unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
         bool renews) {
    const auto key = std::find_if(ring.begin(), ring.end(), [&](const TicketKey& candidate) {
        return std::equal(candidate.name.begin(), candidate.name.end(), name);
    });
    if (key == ring.end()) return unknown_key;
    const bool begun = EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher.data(), iv, nullptr) == 1;
    if (!begun || !begin_mac(mac, *key)) return failed;
    return key == ring.begin() && !renews ? good : renew;
}

int seal_or_open_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                        int sealing) {
    const auto* keys = static_cast<const TicketKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), keys_index()));
    const auto ring = keys->ring();
    if (sealing) return seal(ring->front(), name, iv, cipher, mac);
    // A ticket of TLS 1.3 is for one use, or else who listens could tell that two connections are of one client (RFC
    // 8446 appendix C.4).
    return open(*ring, name, iv, cipher, mac, SSL_version(ssl) >= TLS1_3_VERSION);
}

}  // namespace

TicketKey::~TicketKey() {
    OPENSSL_cleanse(mac.data(), mac.size());
    OPENSSL_cleanse(cipher.data(), cipher.size());
}

TicketKey TicketKey::generate() {
    TicketKey key;
    if (RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) != 1 ||
        RAND_priv_bytes(key.mac.data(), static_cast<int>(key.mac.size())) != 1 ||
        RAND_priv_bytes(key.cipher.data(), static_cast<int>(key.cipher.size())) != 1)
        throw std::runtime_error("no randomness");
    return key;
}

std::string TicketKey::file_bytes() const {
    std::string bytes;
    bytes.reserve(file_size);
    bytes.append(name.begin(), name.end()).append(mac.begin(), mac.end()).append(cipher.begin(), cipher.end());
    return bytes;
}

boost::system::result<TicketKey> TicketKey::read(const std::filesystem::path& file) {
    // The descriptor is asked, not the path, so that nobody can swap the file in between; a pipe must not hang.
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (descriptor < 0) return error_code(errno, boost::system::system_category());
    FileBytes content;
    const error_code error = read_bytes(descriptor, content);
    ::close(descriptor);
    if (error) return error;
    TicketKey key;
    const auto* const from = content.bytes.data();
    std::copy_n(from, key.name.size(), key.name.begin());
    std::copy_n(from + key.name.size(), key.mac.size(), key.mac.begin());
    std::copy_n(from + key.name.size() + key.mac.size(), key.cipher.size(), key.cipher.begin());
    return key;
}

// ---- the keys of a process ------------------------------------------------------------------------------------------

void TicketKeys::use(const config::TlsTickets& settings, Clock::time_point now) {
    if (settings.key_files.empty()) {
        settings_ = settings;
        if (!std::exchange(random_, true)) {
            replace({TicketKey::generate()});
            made_ = now;
        }
        return;
    }
    std::vector<FileStamp> stamps;  // from before they are read: what is written meanwhile is seen later
    for (const auto& file : settings.key_files) stamps.push_back(FileStamp::of(file));
    replace(read_ring(settings.key_files));
    settings_ = settings;
    stamps_ = std::move(stamps);
    random_ = false;
}

void TicketKeys::look_after(Clock::time_point now) {
    if (!random_) return read_files();
    if (now - made_ >= settings_.rotation) rotate(now);
}

void TicketKeys::rotate(Clock::time_point now) {
    TicketRing next{TicketKey::generate()};
    // After a pause of the machine even the last key may be too old.
    if (now - made_ < 2 * settings_.rotation) next.push_back(ring()->front());
    replace(std::move(next));
    made_ = now;
}

void TicketKeys::read_files() {
    std::vector<FileStamp> stamps;
    for (const auto& file : settings_.key_files) stamps.push_back(FileStamp::of(file));
    if (stamps == stamps_) return;
    stamps_ = std::move(stamps);
    try {
        replace(read_ring(settings_.key_files));
        spdlog::info("tls.ticket_keys_read files={}", settings_.key_files.size());
    } catch (const std::runtime_error& error) {
        spdlog::error("tls.ticket_keys_unusable error=\"{}\" detail=\"the keys from before stay in use\"",
                      error.what());
    }
}

void TicketKeys::replace(TicketRing ring) {
    auto next = std::make_shared<const TicketRing>(std::move(ring));
    const std::lock_guard lock(mutex_);
    ring_ = std::move(next);
}

std::shared_ptr<const TicketRing> TicketKeys::ring() const {
    const std::lock_guard lock(mutex_);
    return ring_;
}

void use_ticket_keys(SSL_CTX* context, const TicketKeys& keys) {
    SSL_CTX_set_ex_data(context, keys_index(), const_cast<TicketKeys*>(&keys));
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, seal_or_open_ticket);
}

}  // namespace rotagate::proxy::tls
