// What operators ask of a shard: to end, list and count the sessions of a selection.
#include "session/memory_shard.hpp"

namespace rotagate::session {
namespace {

std::optional<std::string> encoded(const std::optional<std::string>& part) {
    if (!part) return std::nullopt;
    std::string key;
    append_key_part(key, *part);
    return key;
}

}  // namespace

KeySelection::KeySelection(const Selection& selection) : id(encoded(selection.user)), org(encoded(selection.org)) {}

/// The first selected user after `after`, in the order of users_; without it the first of all.
Users::iterator MemoryShard::next_user(const KeySelection& selection, const std::optional<KeyParts>& after) {
    if (selection.id) {
        const auto in_org = [&](std::string_view org) {
            const KeyParts wanted{org, *selection.id};
            return after && !(*after < wanted) ? users_.end() : users_.find(wanted);
        };
        if (selection.org) return in_org(*selection.org);
        auto org = after ? org_users_.lower_bound(after->org) : org_users_.begin();
        for (; org != org_users_.end(); ++org) {
            if (const auto user = in_org(org->first); user != users_.end()) return user;
        }
        return users_.end();
    }
    auto user = after ? users_.upper_bound(*after) : users_.begin();
    if (!selection.org) return user;
    const KeyParts before_org{*selection.org, {}};
    if (!after || *after < before_org) user = users_.lower_bound(before_org);
    return user != users_.end() && selection.matches(KeyParts::of(user->first)) ? user : users_.end();
}

bool MemoryShard::end_selected(const KeySelection& selection, std::size_t limit, Millis now,
                               std::vector<SessionId>& ended) {
    expire(now);
    const std::size_t enough = ended.size() + limit;
    std::string key;  // of the user who was ended last, and is not there any more
    for (auto user = next_user(selection, {}); user != users_.end(); user = next_user(selection, KeyParts::of(key))) {
        if (ended.size() >= enough) return false;
        key = user->first;
        UserSessions& sessions = user->second;
        do {
            ended.push_back(sessions.front().id);
        } while (remove(sessions.front()));
    }
    return true;
}

void MemoryShard::list(const KeySelection& selection, const Position* position, std::size_t limit, Millis now,
                       std::vector<Listed>& listed) {
    expire(now);
    const auto append = [&](const UserSessions& sessions, std::uint64_t after) {
        for (const MemoryRecord& record : sessions) {
            if (listed.size() == limit) return;
            if (record.serial > after) listed.push_back({record.snapshot(), record.serial});
        }
    };
    std::optional<KeyParts> after;
    if (position) {
        after = KeyParts::of(position->key);
        const auto user = users_.find(*after);
        if (user != users_.end() && selection.matches(*after)) append(user->second, position->serial);
    }
    while (listed.size() < limit) {
        const auto user = next_user(selection, after);
        if (user == users_.end()) return;
        append(user->second, 0);
        after = KeyParts::of(user->first);
    }
}

std::size_t MemoryShard::count_users(const std::optional<std::string>& org, Millis now) {
    expire(now);
    if (!org) return users_.size();
    const auto found = org_users_.find(*org);
    return found == org_users_.end() ? 0 : found->second;
}

}  // namespace rotagate::session
