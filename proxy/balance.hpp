#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "config/config.hpp"

namespace rotagate::proxy {

/// What the choice of a server depends on.
struct Candidate {
    bool up = true;          ///< by the health checks
    bool tried = false;      ///< this request failed there already
    std::size_t active = 0;  ///< requests that it works on, of this event loop
};

/// Picks a server: one that is up, or, where none is, any, since a health check may err and an answer 502 is certain.
/// @param turn  advances round robin; also the start of the search for equals
/// @param user  user_hash: the same user goes to the same server while it is up (rendezvous hashing); empty: by turn
/// @return none: all were tried
std::optional<std::size_t> choose_server(config::Balance balance, std::span<const Candidate> servers, std::size_t turn,
                                         std::string_view user);

}  // namespace rotagate::proxy
