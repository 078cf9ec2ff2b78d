#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace rotagate::session::redis {

/// A script that runs inside Redis, called by the SHA-1 of its text.
struct Script {
    explicit Script(std::string text);

    std::string text;
    std::string sha;   ///< 40 hex digits
    std::string load;  ///< the command that loads it, in Redis' protocol
    std::string name;  ///< how calls name it, in Redis' protocol

    /// Appends the call, in Redis' protocol.
    void append_call(std::string& wire, std::initializer_list<std::string_view> keys,
                     std::initializer_list<std::string_view> arguments) const;
    /// The same with the session of an id for the only key.
    void append_session_call(std::string& wire, std::string_view id,
                             std::initializer_list<std::string_view> arguments) const;
};

/// All scripts of the store, with the settings written into them. What each takes and returns stands at its head in
/// script_blocks.hpp; README.md tells the keys.
struct Scripts {
    /// @param clock  Lua that leaves the store's time in `now`, in milliseconds since 1970; tests have one of their own
    explicit Scripts(const config::Session& settings, std::string_view clock = server_clock);

    static constexpr std::string_view server_clock =
        "local t = redis.call('TIME')\n"
        "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n";

    Script present, present_with_data, issue, touch, replace_data, start, end, prune, list, end_range;
    std::vector<std::string_view> texts() const;

private:
    /// @param head    what all begin with
    /// @param stored  what those go on with that are about one session; @param index  those that use a slot's index
    Scripts(const std::string& head, const std::string& stored, const std::string& index);
};

/// The channel that tells all gateways of sessions that have ended: ids, with blanks between them.
inline constexpr std::string_view ended_channel = "rotagate:ended";

}  // namespace rotagate::session::redis
