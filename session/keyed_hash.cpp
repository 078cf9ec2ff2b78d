#include "session/keyed_hash.hpp"

#include <bit>
#include <cstring>
#include <stdexcept>

#include <openssl/rand.h>

namespace rotagate::session {
namespace {

struct State {
    std::uint64_t a, b, c, d;

    void round() {
        a += b;
        c += d;
        b = std::rotl(b, 13) ^ a;
        d = std::rotl(d, 16) ^ c;
        a = std::rotl(a, 32) + d;
        c += b;
        d = std::rotl(d, 21) ^ a;
        b = std::rotl(b, 17) ^ c;
        c = std::rotl(c, 32);
    }
    void absorb(std::uint64_t word) {
        d ^= word;
        round();
        a ^= word;
    }
};

}  // namespace

KeyedHash::KeyedHash() {
    if (RAND_bytes(reinterpret_cast<unsigned char*>(key_), sizeof key_) != 1) throw std::runtime_error("no randomness");
}

std::uint64_t KeyedHash::operator()(std::string_view text) const {
    State state{key_[0] ^ 0x736f6d6570736575, key_[1] ^ 0x646f72616e646f6d, key_[0] ^ 0x6c7967656e657261,
                key_[1] ^ 0x7465646279746573};
    const std::uint64_t length = std::uint64_t{text.size()} << 56;
    for (; text.size() >= 8; text.remove_prefix(8)) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data(), 8);
        state.absorb(word);
    }
    std::uint64_t last = 0;
    std::memcpy(&last, text.data(), text.size());
    state.absorb(last | length);
    state.c ^= 0xFF;
    for (int i = 0; i < 3; ++i) state.round();
    return state.a ^ state.b ^ state.c ^ state.d;
}

}  // namespace rotagate::session
