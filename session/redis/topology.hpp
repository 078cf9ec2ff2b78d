#pragma once

#include <optional>
#include <vector>

#include "session/redis/slots.hpp"

namespace rotagate::session::redis {

/// Which server has which keys, and whom to ask when that is not known. No I/O: the client asks, and tells what it
/// heard.
class Topology {
public:
    explicit Topology(const config::Redis& settings);

    /// The server for a slot; null: not known, ask question() of somebody().
    const config::Address* owner(unsigned slot) const;
    /// Any server that may be asked for what is the same everywhere (subscriptions); null: not known.
    const config::Address* any() const;
    /// All servers that have slots.
    std::vector<config::Address> servers() const;

    /// A slot of each of them.
    std::vector<unsigned> slot_of_each() const;

    /// Whether what is known may be out of date, so that it should be asked for.
    bool asks() const { return kind_ != config::Redis::Kind::server && outdated_; }
    /// Who is to be asked next; each in turn, so that one that is down does not stop us.
    config::Address somebody();
    /// The command to ask with, in Redis' protocol.
    const std::string& question() const { return question_; }
    /// What was answered by `asked`. Returns whether it helps.
    bool learn(Reply answer, const config::Address& asked);

    /// A redirection said so.
    void moved(unsigned slot, const config::Address& node);
    /// A connection to a server failed, or it is a replica now.
    void doubt() { outdated_ = true; }
    /// All servers were taken as they are known.
    void believe() { outdated_ = false; }
    /// A sentinel announced a new master.
    void promoted(config::Address master);

    bool cluster() const { return kind_ == config::Redis::Kind::cluster; }

private:
    config::Redis::Kind kind_;
    std::vector<config::Address> seeds_;
    std::string question_;
    std::optional<config::Address> master_;  ///< of a single server, or of sentinels
    SlotMap slots_;
    bool outdated_ = true;
    std::size_t turn_ = 0;
};

}  // namespace rotagate::session::redis
