#pragma once

#include <string_view>

#include "config/config.hpp"

namespace rotagate::session::redis {

/// What an error reply of Redis asks of us.
enum class Trouble {
    no_script,  ///< it has forgotten the script: load it, and call again
    moved,      ///< another node of the cluster has the slot: ask there, and from now on
    ask,        ///< another node has it for this one command: the slot is moving
    later,      ///< it will do so in a moment: loading, busy, electing
    isolated,   ///< it has lost its cluster, or its place in it: others may know more
    demoted,    ///< it is a replica now: find the new master
    denied,     ///< the credentials are not accepted: an operator has to act
    failed,     ///< anything else
};

struct Diagnosis {
    Trouble trouble = Trouble::failed;
    config::Address node{};  ///< of moved and ask; an empty host is the node that said it
    unsigned slot = 0;       ///< of moved and ask
};

/// @param error  the text of an error reply, such as "MOVED 3999 127.0.0.1:6381"
/// Source: https://redis.io/docs/reference/cluster-spec/ (redirections), Redis' own source for the other words.
Diagnosis diagnose(std::string_view error);

}  // namespace rotagate::session::redis
