#pragma once

#include <chrono>
#include <memory>

#include "session/store.hpp"

namespace rotagate::proxy {

class EventLoop;

/// Looks whether the session of something that stays open, a long upload or answer or a WebSocket, is still there.
class SessionWatch {
public:
    using Time = std::chrono::steady_clock::time_point;

    /// @param known_at  when the store knew of the session; long ago: it is to be asked at once
    SessionWatch(const session::Session& session, Time known_at);

    /// Whether it has ended, as far as is known: to be asked a few times a second. A remote store tells of ends as they
    /// come; it is asked too, from time to time since word of one may be lost, and when the session should expire.
    bool ended(EventLoop& loop);
    /// Renews the idle timeout, which the client's bytes do as requests would. Returns whether it was time for it.
    bool renew(EventLoop& loop, const config::Session& settings);

private:
    /// What the store's answers leave, which may come when nobody watches any more.
    struct Known {
        session::Millis expires;
        bool asking = false;
        bool failed = false;  ///< the store could not be asked
        bool lost = false;    ///< it should have expired, and the store cannot tell whether it was renewed
    };
    void ask(EventLoop& loop, bool renew);

    session::SessionId id_;
    std::shared_ptr<Known> known_;
    Time asked_at_, renewed_at_;
};

}  // namespace rotagate::proxy
