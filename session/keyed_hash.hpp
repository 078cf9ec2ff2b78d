#pragma once

#include <cstdint>
#include <string_view>

namespace rotagate::session {

/// SipHash-1-3 under a random key: who may choose user ids cannot aim them all at one shard.
/// Source: Aumasson and Bernstein, SipHash: a fast short-input PRF (2012).
class KeyedHash {
public:
    /// Draws the key.
    KeyedHash();
    std::uint64_t operator()(std::string_view text) const;

private:
    std::uint64_t key_[2];
};

}  // namespace rotagate::session
