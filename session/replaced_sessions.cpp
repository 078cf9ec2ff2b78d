#include "session/replaced_sessions.hpp"

namespace rotagate::session {

void ReplacedSessions::add(const SessionId& id, Millis until) {
    if (order_.size() == capacity) forget_earliest();
    order_.push_back({id.text, until});
    until_[id.text] = until;
}

bool ReplacedSessions::contains(const SessionId& id, Millis now) const {
    const auto found = until_.find(id.text);
    return found != until_.end() && now < found->second;
}

void ReplacedSessions::forget(Millis now) {
    if (order_.empty()) return;
    while (!order_.empty() && order_.front().until <= now) forget_earliest();
    if (!order_.empty()) return;
    order_.shrink_to_fit();
    until_.rehash(0);
}

void ReplacedSessions::forget_earliest() {
    const auto found = until_.find(order_.front().id);
    // A session may stand here twice, with the later time in the map.
    if (found != until_.end() && found->second <= order_.front().until) until_.erase(found);
    order_.pop_front();
}

}  // namespace rotagate::session
