#include "session/redis/slots.hpp"

#include <algorithm>
#include <array>

namespace rotagate::session::redis {
namespace {

constexpr auto crc_table = [] {
    std::array<std::uint16_t, 256> table{};
    for (unsigned byte = 0; byte < table.size(); ++byte) {
        unsigned crc = byte << 8U;
        for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000U) != 0 ? (crc << 1U) ^ 0x1021U : crc << 1U;
        table[byte] = static_cast<std::uint16_t>(crc);
    }
    return table;
}();

/// Tries texts of one, two, three... characters until every slot has one.
std::vector<std::string> make_tags() {
    constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuvwxyz";
    std::vector<std::string> tags(slot_count);
    unsigned missing = slot_count;
    for (std::uint64_t number = 0; missing > 0; ++number) {
        std::string text;
        for (std::uint64_t rest = number;; rest = rest / digits.size() - 1) {
            text += digits[rest % digits.size()];
            if (rest < digits.size()) break;
        }
        std::string& tag = tags[slot_of_tag(text)];
        if (!tag.empty()) continue;
        tag = std::move(text);
        --missing;
    }
    return tags;
}

}  // namespace

unsigned slot_of_tag(std::string_view tag) {
    unsigned crc = 0;
    for (const char c : tag) {
        const auto byte = static_cast<unsigned char>(c);
        crc = ((crc << 8U) ^ crc_table[((crc >> 8U) ^ byte) & 0xFFU]) & 0xFFFFU;
    }
    return crc % slot_count;
}

const std::string& tag_of_slot(unsigned slot) {
    static const std::vector<std::string> tags = make_tags();
    return tags[slot];
}

std::uint16_t SlotMap::index_of(const config::Address& node) {
    const auto index = static_cast<std::uint16_t>(std::find(nodes_.begin(), nodes_.end(), node) - nodes_.begin());
    if (index == nodes_.size()) nodes_.push_back(node);
    return index;
}

bool SlotMap::learn(Reply slots, const config::Address& asked) {
    // An array of: first slot, last slot, the master's [host, port, ...], its replicas'.
    SlotMap learned;
    bool any = false;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const Reply range = slots[i];
        for (std::size_t node = 2; node < range.size(); ++node) {
            const std::string_view host = range[node][0].text();
            const auto port = range[node][1].integer();
            if (port <= 0 || port > 65535) continue;
            const auto index = learned.index_of({.host = host.empty() || host == "?" ? asked.host : std::string(host),
                                                 .port = static_cast<std::uint16_t>(port),
                                                 .unix_path = {}});
            if (node > 2) continue;
            const auto last = std::min<std::int64_t>(range[1].integer(), slot_count - 1);
            for (auto slot = std::max<std::int64_t>(range[0].integer(), 0); slot <= last; ++slot)
                learned.owners_[static_cast<std::size_t>(slot)] = index;
            any = true;
        }
    }
    if (any) *this = std::move(learned);
    return any;
}

void SlotMap::set(unsigned slot, const config::Address& node) { owners_.at(slot) = index_of(node); }

const config::Address* SlotMap::owner(unsigned slot) const {
    const std::uint16_t index = owners_.at(slot);
    return index == nobody ? nullptr : &nodes_[index];
}

}  // namespace rotagate::session::redis
