#include "proxy/balance.hpp"

#include <functional>

#include <boost/container/small_vector.hpp>

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
    boost::container::small_vector<std::size_t, 8> eligible;  // so that who is down leaves its turns to all others
    for (std::size_t i = 0; i < servers.size(); ++i)
        if (servers[i].up && !servers[i].tried) eligible.push_back(i);
    const bool none_is_up = eligible.empty();
    for (std::size_t i = 0; none_is_up && i < servers.size(); ++i)
        if (!servers[i].tried) eligible.push_back(i);
    std::optional<std::size_t> best;
    const auto better = [&](std::size_t a, std::size_t b) {  // is a better than b
        if (balance == config::Balance::least_connections) return servers[a].active < servers[b].active;
        if (balance == config::Balance::user_hash && !user.empty()) return score(user, a) > score(user, b);
        return false;
    };
    for (std::size_t i = 0; i < eligible.size(); ++i) {
        const std::size_t candidate = eligible[(turn + i) % eligible.size()];
        if (!best || better(candidate, *best)) best = candidate;
    }
    return best;
}

}  // namespace rotagate::proxy
