#include "session/memory_shard.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rotagate::session {
Session MemoryRecord::snapshot() const {
    return {.id = id,
            .created = created,
            .expires = expires,
            .last_seen = last_seen,
            .permanent = permanent,
            .data = data,
            .client = client};
}

std::size_t MemoryShard::ById::hash(std::string_view id) {
    // The end of an id is random and our own, so a piece of it is as good as any hash.
    std::size_t piece = 0;
    if (id.size() >= sizeof piece) std::memcpy(&piece, id.data() + id.size() - sizeof piece, sizeof piece);
    return piece;
}

MemoryRecord* MemoryShard::find(const SessionId& id, Millis now) const {
    const auto found = sessions_.find(std::string_view{id.text});
    return found == sessions_.end() || (*found)->expires <= now ? nullptr : found->get();
}

Millis MemoryShard::expiry(const MemoryRecord& record, Millis now) const {
    const Millis idle = now + (record.permanent ? settings_.permanent_timeout : settings_.idle_timeout);
    if (settings_.absolute_timeout == Millis{0}) return idle;
    return std::min(idle, record.created + settings_.absolute_timeout);
}

/// Returns whether the session is still there: a lifetime that has become shorter may be over.
bool MemoryShard::renew(MemoryRecord& record, Millis now) {
    record.expires = expiry(record, now);
    // `due` stays behind: an order of expiry that is put right when an entry comes up costs nothing per request.
    if (record.expires >= record.due) return true;
    due_.erase(due_.iterator_to(record));
    record.due = record.expires;
    due_.insert(record);
    if (record.expires > now) return true;
    expire(now);
    return false;
}

Started MemoryShard::start(const NewSession& request, Millis now) {
    expire(now);  // whoever has expired is not in the way of max_sessions_per_user
    auto created = std::make_unique<MemoryRecord>();
    MemoryRecord& record = *created;
    record.id = SessionId::create(request.user);
    record.rotation = RotationState::created(now);
    record.created = record.last_seen = now;
    record.permanent = request.permanent;
    record.expires = expiry(record, now);
    record.serial = ++serial_;
    if (request.data) record.data = std::make_shared<const std::string>(*request.data);
    record.client = request.client;
    insert(std::move(created));
    if (journal_) journal_->changed(record);
    return {.session = record.snapshot(), .displaced = displace(record.user->second)};
}

void MemoryShard::insert(std::unique_ptr<MemoryRecord> created) {
    MemoryRecord& record = *created;
    record.due = record.expires;
    record.user = user_of(record.id);
    record.user->second.push_back(record);
    due_.insert(record);
    sessions_.insert(std::move(created));
}

Users::iterator MemoryShard::user_of(const SessionId& id) {
    const auto [user, is_new] = users_.try_emplace(std::string{id.user_key()});
    if (is_new) ++org_users_[std::string{KeyParts::of(user->first).org}];
    return user;
}

std::vector<SessionId> MemoryShard::displace(UserSessions& sessions) {
    std::vector<SessionId> displaced;
    if (settings_.max_sessions_per_user == 0) return displaced;
    for (auto count = sessions.size(); count > settings_.max_sessions_per_user; --count) {
        displaced.push_back(sessions.front().id);
        remove(sessions.front());
    }
    return displaced;
}

Result<Session> MemoryShard::present(const SessionCookie& cookie, bool renew, Millis now) {
    MemoryRecord* record = find(cookie.id, now);
    if (!record) return replaced_.contains(cookie.id, now) ? SessionErrc::replaced : SessionErrc::unknown;
    const Millis seen = record->rotation.seen.minted;
    const Verdict verdict = session::present(record->rotation, cookie.minted, now, settings_.rotation.grace);
    if (verdict == Verdict::replay && settings_.on_replay != config::OnReplay::report) {
        remove(*record);
        return SessionErrc::replayed;
    }
    if (renew && !this->renew(*record, now)) return SessionErrc::unknown;
    record->last_seen = now;
    if (journal_) journal_->presented(*record, record->rotation.seen.minted != seen);
    Session session = record->snapshot();
    session.replay_reported = verdict == Verdict::replay;
    return session;
}

Result<Millis> MemoryShard::issue(const SessionId& id, Millis minted, Millis now) {
    MemoryRecord* record = find(id, now);
    if (!record) return SessionErrc::unknown;
    const Millis seen = record->rotation.seen.minted;
    // What is minted now is never superseded already, so the verdict tells nothing.
    session::present(record->rotation, minted, now, settings_.rotation.grace);
    if (journal_) journal_->presented(*record, record->rotation.seen.minted != seen);
    return record->expires;
}

Result<Millis> MemoryShard::touch(const SessionId& id, bool renew, Millis now) {
    MemoryRecord* record = find(id, now);
    if (!record) return SessionErrc::unknown;
    if (renew) {
        if (!this->renew(*record, now)) return SessionErrc::unknown;
        record->last_seen = now;
        if (journal_) journal_->presented(*record, false);
    }
    return record->expires;
}

Result<void> MemoryShard::replace_data(const SessionId& id, Data data, Millis now) {
    MemoryRecord* record = find(id, now);
    if (!record) return SessionErrc::unknown;
    record->data = std::move(data);
    if (journal_) journal_->changed(*record);
    return {};
}

bool MemoryShard::end(const SessionId& id, Millis now) {
    MemoryRecord* record = find(id, now);
    if (record) remove(*record);
    return record != nullptr;
}

bool MemoryShard::replace(const SessionId& id, Millis now) {
    // Also where it was gone already: a late request with its cookie must not delete the new one either.
    replaced_.add(id, now + 2 * settings_.rotation.grace);
    return end(id, now);
}

/// Returns whether the user has other sessions.
bool MemoryShard::remove(MemoryRecord& record) {
    if (journal_) journal_->ended(record);
    due_.erase(due_.iterator_to(record));
    const Users::iterator user = record.user;
    user->second.erase(UserSessions::s_iterator_to(record));
    sessions_.erase(sessions_.find(std::string_view{record.id.text}));
    if (!user->second.empty()) return true;
    const auto org = org_users_.find(KeyParts::of(user->first).org);
    if (--org->second == 0) org_users_.erase(org);
    users_.erase(user);
    return false;
}

void MemoryShard::expire(Millis now) {
    while (!due_.empty() && due_.begin()->due <= now) {
        MemoryRecord& record = *due_.begin();
        if (record.expires > now) {
            due_.erase(due_.begin());
            record.due = record.expires;
            due_.insert(record);
            continue;
        }
        const bool absolute =
            settings_.absolute_timeout != Millis{0} && record.expires >= record.created + settings_.absolute_timeout;
        expired_.push_back({record.id, absolute ? Expiry::absolute : Expiry::idle});
        remove(record);
    }
}

std::vector<MemoryShard::Expired> MemoryShard::sweep(Millis now) {
    expire(now);
    replaced_.forget(now);
    constexpr std::size_t worth_shrinking = 256;
    if (sessions_.bucket_count() >= worth_shrinking && sessions_.size() < sessions_.bucket_count() / 8) {
        sessions_.rehash(2 * sessions_.size());
    }
    return std::exchange(expired_, {});
}

}  // namespace rotagate::session
