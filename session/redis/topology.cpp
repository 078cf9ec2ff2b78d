#include "session/redis/topology.hpp"

#include <algorithm>
#include <utility>

#include "session/redis/command.hpp"

namespace rotagate::session::redis {
namespace {

using Kind = config::Redis::Kind;

std::string question_of(const config::Redis& settings) {
    switch (settings.kind) {
        case Kind::server:
            return {};
        case Kind::sentinel:
            return command({"SENTINEL", "get-master-addr-by-name", settings.master});
        case Kind::cluster:
            return command({"CLUSTER", "SLOTS"});
    }
    return {};
}

}  // namespace

Topology::Topology(const config::Redis& settings)
    : kind_(settings.kind), seeds_(settings.servers), question_(question_of(settings)) {
    if (kind_ == Kind::server) master_ = seeds_.front();
}

const config::Address* Topology::owner(unsigned slot) const {
    if (kind_ == Kind::cluster) return slots_.owner(slot);
    return master_ ? &*master_ : nullptr;
}

const config::Address* Topology::any() const {
    if (kind_ != Kind::cluster) return owner(0);
    for (unsigned slot = 0; slot < slot_count; slot += 64)
        if (const auto* server = slots_.owner(slot)) return server;
    return nullptr;
}

std::vector<unsigned> Topology::slot_of_each() const {
    std::vector<unsigned> slots;
    const config::Address* last = nullptr;
    for (unsigned slot = 0; slot < (cluster() ? slot_count : 1U); ++slot) {
        const auto* server = owner(slot);
        if (!server || server == std::exchange(last, server)) continue;
        const auto has_same = [&](unsigned other) { return *owner(other) == *server; };
        if (std::none_of(slots.begin(), slots.end(), has_same)) slots.push_back(slot);
    }
    return slots;
}

std::vector<config::Address> Topology::servers() const {
    std::vector<config::Address> servers;
    for (const unsigned slot : slot_of_each()) servers.push_back(*owner(slot));
    return servers;
}

config::Address Topology::somebody() {
    // A cluster's nodes change: those that are known now are asked as well as those of the configuration.
    const auto& known = slots_.nodes();
    const std::size_t turn = turn_++ % (seeds_.size() + known.size());
    return turn < known.size() ? known[turn] : seeds_[turn - known.size()];
}

bool Topology::learn(Reply answer, const config::Address& asked) {
    if (kind_ == Kind::cluster) {
        if (!slots_.learn(answer, asked)) return false;
    } else {
        const auto port = answer[1].integer();
        if (answer.size() != 2 || port <= 0 || port > 65535) return false;
        master_ = config::Address{std::string(answer[0].text()), static_cast<std::uint16_t>(port), {}};
    }
    outdated_ = false;
    return true;
}

void Topology::moved(unsigned slot, const config::Address& node) {
    slots_.set(slot, node);
    outdated_ = true;  // where one slot has moved, others have
}

void Topology::promoted(config::Address master) {
    master_ = std::move(master);
    outdated_ = false;
}

}  // namespace rotagate::session::redis
