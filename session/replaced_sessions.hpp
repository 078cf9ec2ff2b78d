#pragma once

#include <deque>
#include <string>
#include <string_view>

#include <boost/unordered/unordered_flat_map.hpp>

#include "session/session.hpp"

namespace rotagate::session {

/// The sessions that a login has just replaced, for a while: their late cookies are refused without being deleted,
/// since the deletion would hit the new session's cookie.
class ReplacedSessions {
public:
    void add(const SessionId& id, Millis until);
    bool contains(const SessionId& id, Millis now) const;
    void forget(Millis now);

private:
    /// Beyond it the earliest are forgotten before their time, so that a flood of logins costs no memory without bound.
    static constexpr std::size_t capacity = 4096;

    struct Entry {
        std::string id;
        Millis until;
    };
    void forget_earliest();

    std::deque<Entry> order_;
    boost::unordered_flat_map<std::string, Millis> until_;
};

}  // namespace rotagate::session
