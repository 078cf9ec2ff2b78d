#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "session/memory_record.hpp"

/// How the store on disk writes a session, in two values under one key: what rarely changes, and what every request
/// changes. README.md describes them. Numbers are big-endian, times milliseconds since 1970.
namespace rotagate::session {

/// The random end of the id, 22 characters; no two sessions share it.
std::string_view record_key(const SessionId& id);

/// version | flags | created | serial | id's length | id | client's length | client | data | CRC-32
std::string encode_session(const MemoryRecord& session);

/// version | seen (minted, at) | mark (minted, at) | floor | expires | last_seen | CRC-32
std::string encode_state(const MemoryRecord& session);

/// The inverse of both. Nothing, where that is not what was written under this key.
std::optional<KeptSession> decode(std::string_view key, std::string_view session, std::string_view state);

}  // namespace rotagate::session
