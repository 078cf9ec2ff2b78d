#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "session/redis/reply.hpp"

/// Where keys live in a Redis Cluster.
namespace rotagate::session::redis {

inline constexpr unsigned slot_count = 16384;

/// The slot of what stands between the braces of a key: CRC-16/XMODEM modulo 16384.
/// Source: https://redis.io/docs/reference/cluster-spec/, key distribution model.
unsigned slot_of_tag(std::string_view tag);

/// A short text that has the slot, the same in every process: keys with it in braces are in that slot.
const std::string& tag_of_slot(unsigned slot);

/// Which node has which slot, as far as is known.
class SlotMap {
public:
    SlotMap() : owners_(slot_count, nobody) {}

    /// Takes over the answer to CLUSTER SLOTS. Returns whether it names an owner for any slot.
    /// @param asked  the node that answered: an empty host in the answer means it
    bool learn(Reply slots, const config::Address& asked);
    /// A redirection said so.
    void set(unsigned slot, const config::Address& node);
    const config::Address* owner(unsigned slot) const;
    /// All that is known, owners or not any more; for asking them.
    const std::vector<config::Address>& nodes() const { return nodes_; }

private:
    static constexpr std::uint16_t nobody = 0xFFFF;
    std::uint16_t index_of(const config::Address& node);

    std::vector<config::Address> nodes_;
    std::vector<std::uint16_t> owners_;  ///< of each slot: an index into nodes_, or nobody
};

}  // namespace rotagate::session::redis
