// A shard and its lasting copy: what is put back from it, and what it has yet to take.
#include <algorithm>

#include "session/memory_shard.hpp"

namespace rotagate::session {

void MemoryShard::keep_journal() {
    // SPEC section 2 lets a store spare the renewal of a lifetime by up to 2 s; short lifetimes get less.
    journal_ = std::make_unique<MemoryJournal>(std::min<Millis>(Millis{2000}, settings_.idle_timeout / 10));
}

void MemoryShard::restore(KeptSession kept) {
    auto created = std::make_unique<MemoryRecord>();
    MemoryRecord& record = *created;
    record.id = std::move(kept.session.id);
    record.rotation = kept.rotation;
    record.created = kept.session.created;
    record.last_seen = record.copied = kept.session.last_seen;
    record.permanent = kept.session.permanent;
    // Where the settings allow less by now, they count.
    record.expires = std::min(kept.session.expires, expiry(record, record.last_seen));
    record.serial = kept.serial;
    record.data = std::move(kept.session.data);
    record.client = std::move(kept.session.client);
    insert(std::move(created));
    serial_ = std::max(serial_, kept.serial);
}

bool MemoryShard::take_changes(bool renewals, std::size_t limit, ChangeTaker& taker) {
    return journal_->take(renewals, limit, taker, [this](const SessionId& id) -> MemoryRecord* {
        const auto found = sessions_.find(std::string_view{id.text});
        return found == sessions_.end() ? nullptr : found->get();
    });
}

void MemoryShard::note_all() {
    for (const auto& record : sessions_) journal_->complete(*record);
}

}  // namespace rotagate::session
