#include "session/cookie.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "session/base64url.hpp"
#include "session/xaes.hpp"

namespace rotagate::session {
namespace {

// The plaintext: a version with a flag, the mint time and the expiry (8 bytes each, big-endian), the session id's text.
constexpr std::uint8_t sealed_plain = 0x01, sealed_absolute = 0x81;
constexpr std::size_t header_size = 1 + 8 + 8;
constexpr std::size_t nonce_size = 24;
constexpr std::size_t max_bytes = CookieSealer::max_sealed * 3 / 4;

using Buffer = std::array<std::uint8_t, max_bytes>;

void put_millis(std::uint8_t* out, Millis time) {
    const auto value = static_cast<std::uint64_t>(time.count());
    for (unsigned i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
}

Millis get_millis(const std::uint8_t* in) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < 8; ++i) value = value << 8 | in[i];
    return Millis{static_cast<std::int64_t>(value)};
}

void key_context(Gcm& context, XaesKey& key, const NonceHalf& first) {
    Secret subkey = key.subkey(first);
    context.set_key(subkey);
    OPENSSL_cleanse(subkey.data(), subkey.size());
}

Result<SessionCookie> parse(std::span<const std::uint8_t> plaintext) {
    if (plaintext.size() < header_size || (plaintext[0] != sealed_plain && plaintext[0] != sealed_absolute))
        return SessionErrc::cookie_malformed;
    const auto text = plaintext.subspan(header_size);
    auto id = SessionId::parse({reinterpret_cast<const char*>(text.data()), text.size()});
    if (!id) return id.error();
    return SessionCookie{.id = std::move(*id),
                         .minted = get_millis(&plaintext[1]),
                         .expires = get_millis(&plaintext[9]),
                         .absolute = plaintext[0] == sealed_absolute};
}

struct Key {
    std::string id;
    XaesKey xaes;
};

/// Nonces under one random first half: the second half counts from a random start, and the subkey is derived once.
class Nonces {
public:
    /// Draws a new first half where the last has served for 2^32 messages. Returns whether it did.
    bool renew() {
        if (left_ > 0) return false;
        constexpr int half = std::tuple_size_v<NonceHalf>;
        if (RAND_bytes(first.data(), half) != 1 || RAND_bytes(second.data(), half) != 1) {
            throw std::runtime_error("no randomness");
        }
        left_ = std::uint64_t{1} << 32;
        return true;
    }
    void advance() {
        --left_;
        for (auto byte = second.rbegin(); byte != second.rend() && ++*byte == 0; ++byte) {
        }
    }

    NonceHalf first{};
    NonceHalf second{};

private:
    std::uint64_t left_ = 0;
};

/// Keyed contexts for the first halves met last: one per gateway's event loop, so a few are enough.
class Openers {
public:
    bool open(std::vector<Key>& keys, std::size_t key, const NonceHalf& first, const NonceHalf& second,
              std::string_view audience, std::span<const std::uint8_t> sealed, std::uint8_t* plaintext) {
        const Entry wanted{first, key};
        const auto known = std::find(entries_.begin(), entries_.end(), wanted);
        if (known != entries_.end()) {
            return contexts_[known - entries_.begin()].open(second, audience, sealed, plaintext);
        }
        key_context(spare_, keys[key].xaes, first);
        const bool authentic = spare_.open(second, audience, sealed, plaintext);
        if (authentic) keep(wanted);  // only then: a forger must not displace those in use
        return authentic;
    }

private:
    static constexpr std::size_t capacity = 64;
    struct Entry {
        NonceHalf first;
        std::size_t key;
        bool operator==(const Entry&) const = default;
    };

    void keep(const Entry& entry) {
        if (entries_.size() < capacity) {
            entries_.push_back(entry);
            contexts_.emplace_back(Gcm::Direction::open);
            std::swap(contexts_.back(), spare_);
            return;
        }
        entries_[oldest_] = entry;
        std::swap(contexts_[oldest_], spare_);
        oldest_ = (oldest_ + 1) % capacity;
    }

    std::vector<Entry> entries_;
    std::vector<Gcm> contexts_;
    std::size_t oldest_ = 0;
    Gcm spare_{Gcm::Direction::open};
};

/// The cookies sealed last, with what they say. A browser brings back what it was given a moment ago, mostly on the
/// same connection: a cookie that is equal to one of these in every byte needs no opening.
class Remembered {
public:
    void add(std::string_view sealed, std::string_view audience, const SessionCookie& cookie) {
        if (entries_.empty()) entries_.resize(capacity);
        Entry& entry = entries_[place(sealed)];
        entry.sealed = sealed;
        entry.audience = audience;
        entry.cookie = cookie;
    }
    const SessionCookie* find(std::string_view sealed, std::string_view audience) const {
        if (entries_.empty() || sealed.size() < tag_text) return nullptr;
        const Entry& entry = entries_[place(sealed)];
        if (entry.sealed.size() != sealed.size() || entry.audience != audience) return nullptr;
        // The tag in constant time: a comparison that stops at the first difference would let a forger find byte after
        // byte. Who has the whole tag has seen the cookie; how much of the rest is equal is no secret from him.
        const std::size_t rest = sealed.size() - tag_text;
        if (CRYPTO_memcmp(entry.sealed.data() + rest, sealed.data() + rest, tag_text) != 0) return nullptr;
        return sealed == entry.sealed ? &entry.cookie : nullptr;
    }

private:
    static constexpr std::size_t capacity = 1024;                               // about 300 KiB for each event loop
    static constexpr std::size_t tag_text = base64url_size(Gcm::tag_size) - 1;  ///< characters of nothing but the tag
    struct Entry {
        std::string sealed, audience;
        SessionCookie cookie;
    };

    static std::size_t place(std::string_view sealed) {
        std::uint64_t tag = 0;
        std::memcpy(&tag, sealed.data() + sealed.size() - sizeof tag, sizeof tag);
        return (tag * 0x9e3779b97f4a7c15U) >> 54U;  // the upper 10 bits
    }

    std::vector<Entry> entries_;
};

}  // namespace

struct CookieSealer::Impl {
    explicit Impl(const KeyRing& ring) {
        if (ring.keys.empty()) throw std::invalid_argument("a key ring without a key");
        for (const CookieKey& key : ring.keys) keys.push_back({key.id, XaesKey{key.secret}});
    }

    std::vector<Key> keys;
    Nonces nonces;
    Gcm sealer{Gcm::Direction::seal};
    Openers openers;
    Remembered remembered;
};

CookieSealer::CookieSealer(const KeyRing& keys) : impl_(std::make_unique<Impl>(keys)) {}
CookieSealer::CookieSealer(CookieSealer&&) noexcept = default;
CookieSealer& CookieSealer::operator=(CookieSealer&&) noexcept = default;
CookieSealer::~CookieSealer() = default;

std::string CookieSealer::seal(const SessionCookie& cookie, std::string_view audience) {
    const std::size_t plain_size = header_size + cookie.id.text.size();
    const std::size_t size = nonce_size + plain_size + Gcm::tag_size;
    Buffer plaintext, bytes;
    Key& key = impl_->keys.front();
    const std::size_t sealed_size = key.id.size() + 1 + base64url_size(size);
    if (sealed_size > max_sealed) throw std::length_error("a session id too long for a cookie");
    plaintext[0] = cookie.absolute ? sealed_absolute : sealed_plain;
    put_millis(&plaintext[1], cookie.minted);
    put_millis(&plaintext[9], cookie.expires);
    std::copy(cookie.id.text.begin(), cookie.id.text.end(), plaintext.begin() + header_size);

    Nonces& nonces = impl_->nonces;
    if (nonces.renew()) key_context(impl_->sealer, key.xaes, nonces.first);
    std::copy(nonces.first.begin(), nonces.first.end(), bytes.begin());
    std::copy(nonces.second.begin(), nonces.second.end(), bytes.begin() + nonces.first.size());
    impl_->sealer.seal(nonces.second, audience, {plaintext.data(), plain_size}, &bytes[nonce_size]);
    nonces.advance();

    std::string sealed;
    sealed.reserve(sealed_size);
    sealed.append(key.id).append(".");
    append_base64url(sealed, {bytes.data(), size});
    impl_->remembered.add(sealed, audience, cookie);
    return sealed;
}

Result<SessionCookie> CookieSealer::open(std::string_view sealed, std::string_view audience) {
    if (const SessionCookie* known = impl_->remembered.find(sealed, audience)) return *known;
    const auto dot = sealed.find('.');
    if (sealed.size() > max_sealed || dot == std::string_view::npos) return SessionErrc::cookie_malformed;
    Buffer bytes, plaintext;
    const auto size = from_base64url(sealed.substr(dot + 1), bytes);
    if (!size || *size < nonce_size + Gcm::tag_size) return SessionErrc::cookie_malformed;

    std::vector<Key>& keys = impl_->keys;
    const auto key =
        std::find_if(keys.begin(), keys.end(), [id = sealed.substr(0, dot)](const Key& k) { return k.id == id; });
    // An unknown key id costs as much as a bad tag, so that the time tells nothing about the ring.
    const std::size_t index = key == keys.end() ? 0 : key - keys.begin();
    NonceHalf first, second;
    std::copy_n(bytes.begin(), first.size(), first.begin());
    std::copy_n(bytes.begin() + first.size(), second.size(), second.begin());
    const std::span<const std::uint8_t> ciphertext{&bytes[nonce_size], *size - nonce_size};
    const bool authentic = impl_->openers.open(keys, index, first, second, audience, ciphertext, plaintext.data());
    if (!authentic || key == keys.end()) return SessionErrc::cookie_forged;
    return parse({plaintext.data(), ciphertext.size() - Gcm::tag_size});
}

}  // namespace rotagate::session
