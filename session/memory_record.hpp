#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include "session/rotation.hpp"
#include "session/session.hpp"
#include "session/user_key.hpp"

/// What the memory store keeps of a session, and the orders in which it stands without further allocations.
namespace rotagate::session {

struct MemoryRecord;
using DueHook = boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>>;
using UserHook = boost::intrusive::list_base_hook<>;
using UserSessions = boost::intrusive::list<MemoryRecord, boost::intrusive::constant_time_size<false>>;

struct ByOrgAndId {
    using is_transparent = void;
    static KeyParts parts(const std::string& key) { return KeyParts::of(key); }
    static KeyParts parts(const KeyParts& parts) { return parts; }
    bool operator()(const auto& a, const auto& b) const { return parts(a) < parts(b); }
};

/// User key -> the user's sessions, oldest first. Ordered, so that an organization is a range of it.
using Users = std::map<std::string, UserSessions, ByOrgAndId>;

/// What a copy of a session lacks, of a store that keeps one.
enum class Noted : std::uint8_t { nothing, renewed, changed };

struct MemoryRecord : DueHook, UserHook {
    SessionId id;
    Users::iterator user;
    RotationState rotation;
    Millis created{};
    Millis last_seen{};
    Millis expires{};
    Millis due{};            ///< its place in the order of expiry: `expires`, or an earlier value of it
    std::uint64_t serial{};  ///< its place among the shard's sessions, in the order of their start
    Millis copied{};         ///< `last_seen` as the copy has it, if there is one
    bool permanent = false;
    Noted noted = Noted::nothing;
    std::shared_ptr<const std::string> data;
    std::string client;

    Session snapshot() const;
};

/// All that a store needs of a session to go on with it after a restart.
struct KeptSession {
    Session session;
    RotationState rotation;
    std::uint64_t serial = 0;  ///< the order of their start among the sessions of one user
};

struct EarlierDue {
    bool operator()(const MemoryRecord& a, const MemoryRecord& b) const { return a.due < b.due; }
};
using DueOrder = boost::intrusive::multiset<MemoryRecord, boost::intrusive::compare<EarlierDue>>;

}  // namespace rotagate::session
