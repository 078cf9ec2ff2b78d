#include "proxy/balance.hpp"

#include <functional>

namespace rotagate::proxy {
namespace {

/// Rendezvous hashing: each server's score for the user; the highest wins, and only a lost server's users move.
std::size_t score(std::string_view user, std::size_t server) {
    std::uint64_t mixed = std::hash<std::string_view>{}(user) ^ (server + 1) * 0x9e3779b97f4a7c15U;
    mixed = (mixed ^ (mixed >> 33U)) * 0xff51afd7ed558ccdU;
    return mixed ^ (mixed >> 33U);
}

}  // namespace

std::optional<std::size_t> choose_server(config::Balance balance, std::span<const Candidate> servers, std::size_t turn,
                                         std::string_view user) {
    std::optional<std::size_t> best;
    const auto better = [&](std::size_t a, std::size_t b) {  // is a better than b
        if (servers[a].up != servers[b].up) return servers[a].up;
        if (balance == config::Balance::least_connections) return servers[a].active < servers[b].active;
        if (balance == config::Balance::user_hash && !user.empty()) return score(user, a) > score(user, b);
        return false;
    };
    for (std::size_t i = 0; i < servers.size(); ++i) {
        const std::size_t candidate = (turn + i) % servers.size();
        if (servers[candidate].tried) continue;
        if (!best || better(candidate, *best)) best = candidate;
    }
    return best;
}

}  // namespace rotagate::proxy
