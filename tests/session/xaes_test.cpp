#include "session/xaes.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace rotagate::session;

namespace {

using Bytes = std::vector<std::uint8_t>;

std::string hex(std::span<const std::uint8_t> bytes) {
    std::string text;
    for (const auto byte : bytes) text.append({"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]});
    return text;
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

struct Nonce {
    NonceHalf first, second;
    explicit Nonce(std::span<const std::uint8_t> bytes) {
        std::copy_n(bytes.begin(), 12, first.begin());
        std::copy_n(bytes.begin() + 12, 12, second.begin());
    }
};

Bytes seal(const Secret& key, const Nonce& nonce, std::span<const std::uint8_t> plaintext, std::string_view aad) {
    XaesKey xaes{key};
    Gcm gcm{Gcm::Direction::seal};
    gcm.set_key(xaes.subkey(nonce.first));
    Bytes sealed(plaintext.size() + Gcm::tag_size);
    gcm.seal(nonce.second, aad, plaintext, sealed.data());
    return sealed;
}

bool opens(const Secret& key, const Nonce& nonce, const Bytes& sealed, std::string_view aad, Bytes& plaintext) {
    XaesKey xaes{key};
    Gcm gcm{Gcm::Direction::open};
    gcm.set_key(xaes.subkey(nonce.first));
    plaintext.assign(sealed.size() - Gcm::tag_size, 0);
    return gcm.open(nonce.second, aad, sealed, plaintext.data());
}

Secret filled(std::uint8_t byte) {
    Secret key;
    key.fill(byte);
    return key;
}

/// The first bytes of SHAKE-128 of some input. OpenSSL 3.0 cannot squeeze twice, so all that is needed comes at once.
Bytes shake128(const Bytes& input, std::size_t size) {
    Bytes output(size);
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
    REQUIRE(EVP_DigestInit_ex(context.get(), EVP_shake128(), nullptr) == 1);
    REQUIRE(EVP_DigestUpdate(context.get(), input.data(), input.size()) == 1);
    REQUIRE(EVP_DigestFinalXOF(context.get(), output.data(), size) == 1);
    return output;
}

const Nonce letters{bytes_of("ABCDEFGHIJKLMNOPQRSTUVWX")};

}  // namespace

SCENARIO("the published vectors of XAES-256-GCM hold", "[xaes]") {
    const auto plaintext = bytes_of("XAES-256-GCM");
    GIVEN("a key whose mask needs no reduction") {
        XaesKey key{filled(1)};
        CHECK(hex(key.subkey(letters.first)) == "c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b");
        CHECK(hex(seal(filled(1), letters, plaintext, "")) ==
              "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
    }
    GIVEN("a key whose mask is reduced, and associated data") {
        XaesKey key{filled(3)};
        CHECK(hex(key.subkey(letters.first)) == "e9c621d4cdd9b11b00a6427ad7e559aeedd66b3857646677748f8ca796cb3fd8");
        CHECK(hex(seal(filled(3), letters, plaintext, "c2sp.org/XAES-256-GCM")) ==
              "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
    }
}

SCENARIO("the accumulated vectors of XAES-256-GCM hold, and each message opens again", "[xaes]") {
    constexpr std::size_t iterations = 10'000;
    const Bytes stream = shake128({}, iterations * (32 + 24 + 2 * 256));
    REQUIRE(hex({stream.data(), 16}) == "7f9c2ba4e88f827d616045507605853e");
    auto next = stream.begin();
    const auto take = [&](std::ptrdiff_t size) {
        Bytes bytes(next, next + size);
        next += size;
        return bytes;
    };
    Bytes all, plain;
    for (std::size_t i = 0; i < iterations; ++i) {
        Secret key;
        std::ranges::copy(take(key.size()), key.begin());
        const Nonce nonce{take(24)};
        const Bytes plaintext = take(take(1)[0]);
        const Bytes associated = take(take(1)[0]);
        const std::string_view aad{reinterpret_cast<const char*>(associated.data()), associated.size()};
        const Bytes sealed = seal(key, nonce, plaintext, aad);
        REQUIRE(opens(key, nonce, sealed, aad, plain));
        REQUIRE(plain == plaintext);
        all.insert(all.end(), sealed.begin(), sealed.end());
    }
    CHECK(hex(shake128(all, 32)) == "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

SCENARIO("nothing opens under another key, nonce or associated data", "[xaes]") {
    const Bytes sealed = seal(filled(1), letters, bytes_of("text"), "here");
    Bytes plain;
    REQUIRE(opens(filled(1), letters, sealed, "here", plain));
    Nonce first = letters, second = letters;
    ++first.first[11];
    ++second.second[11];
    CHECK_FALSE(opens(filled(2), letters, sealed, "here", plain));
    CHECK_FALSE(opens(filled(1), first, sealed, "here", plain));
    CHECK_FALSE(opens(filled(1), second, sealed, "here", plain));
    CHECK_FALSE(opens(filled(1), letters, sealed, "there", plain));
}
