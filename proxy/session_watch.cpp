#include "proxy/session_watch.hpp"

#include <algorithm>

#include "proxy/event_loop.hpp"

namespace rotagate::proxy {
namespace {

using namespace std::chrono_literals;

constexpr auto ask_again_every = 9s;
// Where the session should have expired by what is known, but requests may have renewed it.
constexpr auto ask_of_expired_every = 400ms;
constexpr auto ask_again_after_failure = 1s;
constexpr std::chrono::milliseconds longest_renewal = 30s;

}  // namespace

SessionWatch::SessionWatch(const session::Session& session, Time known_at)
    : id_(session.id),
      known_(std::make_shared<Known>(Known{.expires = session.expires})),
      asked_at_(known_at),
      renewed_at_(known_at) {}

bool SessionWatch::ended(EventLoop& loop) {
    const auto silence = loop.deadlines.now() - asked_at_;
    const bool expired = silence >= ask_of_expired_every && loop.store.now() >= known_->expires;
    const bool due = silence >= (known_->failed ? ask_again_after_failure : ask_again_every);
    if (!known_->asking && (expired || due)) ask(loop, false);
    return known_->lost || loop.store.known_ended(id_);
}

bool SessionWatch::renew(EventLoop& loop, const config::Session& settings) {
    const auto now = loop.deadlines.now();
    if (now - renewed_at_ < std::min(longest_renewal, settings.idle_timeout / 10)) return false;
    renewed_at_ = now;
    ask(loop, true);
    return true;
}

void SessionWatch::ask(EventLoop& loop, bool renew) {
    asked_at_ = loop.deadlines.now();
    known_->asking = true;
    loop.store.touch(id_, renew,
                     [known = known_, &store = loop.store](const session::Result<session::Millis>& expires) {
                         known->asking = false;
                         known->failed = !expires && expires.error() == session::SessionErrc::unavailable;
                         if (expires) {
                             known->expires = *expires;
                         } else {
                             known->lost = store.now() >= known->expires;
                         }
                     });
}

}  // namespace rotagate::proxy
