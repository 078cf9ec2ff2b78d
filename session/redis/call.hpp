#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <boost/intrusive/list.hpp>

#include "session/error.hpp"
#include "session/redis/reply.hpp"

namespace rotagate::session::redis {

struct Script;
using SteadyTime = std::chrono::steady_clock::time_point;

/// One command to a Redis, until it is answered. It can be repeated without harm: after a lost connection nobody knows
/// whether it was carried out.
struct Call : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
              std::enable_shared_from_this<Call> {
    std::string wire;                ///< the command in Redis' protocol
    unsigned slot = 0;               ///< of its keys
    const Script* script = nullptr;  ///< that it runs; to be loaded where the server has forgotten it
    /// Goes over the connection for writes that replicas have to confirm: a WAIT there speaks of those before it.
    bool confirming = false;
    /// Its script looks at sessions that are not among its keys. While a slot moves, the server that gets it has only
    /// some of them, and would take the others for ended: it has to wait until the slot has moved.
    bool whole_slot = false;
    std::uint64_t only_over = 0;  ///< only this connection will do, by its number; 0: any
    SteadyTime deadline;          ///< not set: session.store_timeout from now; one call of several has what is left

    virtual ~Call() = default;
    /// Called once, where somebody waits. The reply is there during the call only. Errors: unavailable.
    virtual void finish(Result<Reply> reply) = 0;
    /// Its answer has come after it was finished for want of it.
    virtual void late(Reply) {}

    // What the client keeps of it.
    bool awaited = true;    ///< false: it is finished, though its answer may still come
    bool repeated = false;  ///< it was sent before, over a connection that was lost: it may have been carried out twice
    SteadyTime sent_at;
    SteadyTime again_at;              ///< when it is tried again
    SteadyTime answered_at;           ///< when its answer arrived
    std::uint64_t answered_over = 0;  ///< the connection that it was answered over
};
using CallPtr = std::shared_ptr<Call>;

/// A call that ends in a function.
struct FunctionCall final : Call {
    std::function<void(Result<Reply>)> done;
    // What the function holds may hold the call.
    void finish(Result<Reply> reply) override { std::exchange(done, nullptr)(reply); }
};

}  // namespace rotagate::session::redis
