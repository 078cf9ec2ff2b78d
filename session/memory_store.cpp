#include "session/memory_store.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <mutex>
#include <utility>

#include <malloc.h>

#include "session/keyed_hash.hpp"
#include "session/memory_shard.hpp"

namespace rotagate::session {
namespace {

/// A cursor is "SERIAL:KEY": the listing goes on after that session.
std::string cursor_text(const MemoryShard::Listed& last) {
    return std::to_string(last.serial).append(":").append(last.session.id.user_key());
}

std::optional<MemoryShard::Position> parse_cursor(std::string_view cursor) {
    MemoryShard::Position position;
    const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), position.serial);
    const std::string_view rest = cursor.substr(end - cursor.data());
    if (error != std::errc{} || !rest.starts_with(':') || !is_user_key(rest.substr(1))) return std::nullopt;
    position.key = rest.substr(1);
    return position;
}

}  // namespace

struct MemoryStore::Impl {
    static constexpr std::size_t shard_count = 64;
    /// On cache lines of its own, so that a lock does not slow down its neighbours.
    struct alignas(64) Slot {
        explicit Slot(const config::Session& settings) : shard(settings) {}
        mutable std::mutex mutex;
        MemoryShard shard;
    };

    Impl(const config::Session& settings, Clock clock_, ExpiryListener listener)
        : clock(clock_ ? std::move(clock_) : wall_clock()), on_expiry(std::move(listener)) {
        for (auto& slot : slots) slot = std::make_unique<Slot>(settings);
    }

    /// All users of one id are in one shard, whatever their organizations.
    std::size_t index_of(KeyParts user) const { return hash(user.id) % shard_count; }

    /// Calls `step(shard, now)` in the shard's critical section. The time is read inside, so that it never goes back
    /// there.
    template <class Step>
    auto in_shard(std::size_t index, Step step) const {
        const std::scoped_lock lock(slots[index]->mutex);
        return step(slots[index]->shard, clock());
    }
    template <class Step>
    auto in_shard_of(const SessionId& id, Step step) const {
        return in_shard(index_of(KeyParts::of(id.user_key())), std::move(step));
    }

    std::vector<SessionId> end(const Selection& selected) const {
        const KeySelection selection{selected};
        std::vector<SessionId> ended;
        const auto end_some = [&](MemoryShard& shard, Millis now) {
            constexpr std::size_t at_a_time = 1000;  // about a millisecond, for which requests of other users may wait
            return shard.end_selected(selection, at_a_time, now, ended);
        };
        const std::size_t first = selection.id ? index_of({.org = {}, .id = *selection.id}) : 0;
        const std::size_t last = selection.id ? first : shard_count - 1;
        for (std::size_t i = first; i <= last; ++i) {
            while (!in_shard(i, end_some)) {
            }
        }
        return ended;
    }

    const Clock clock;
    const ExpiryListener on_expiry;
    const KeyedHash hash;
    std::array<std::unique_ptr<Slot>, shard_count> slots;

    // Of sweep():
    std::size_t freed = 0;
    Millis trimmed{};
};

MemoryStore::Clock MemoryStore::wall_clock() {
    using namespace std::chrono;
    return [wall = system_clock::now().time_since_epoch(), start = steady_clock::now()] {
        return duration_cast<Millis>(wall + (steady_clock::now() - start));
    };
}

MemoryStore::MemoryStore(const config::Session& settings, Clock clock, ExpiryListener on_expiry)
    : impl_(std::make_unique<Impl>(settings, std::move(clock), std::move(on_expiry))) {}

MemoryStore::~MemoryStore() = default;

Millis MemoryStore::now() const { return impl_->clock(); }

void MemoryStore::start(NewSession request, Completion<Started> done) {
    if (!request.user.valid()) return done(SessionErrc::user_invalid);
    if (request.data && !valid_data(*request.data)) return done(SessionErrc::data_invalid);
    bool replaced = false;
    if (const auto& old = request.replaces) {
        replaced = impl_->in_shard_of(*old, [&](MemoryShard& shard, Millis now) { return shard.replace(*old, now); });
    }
    const std::string key = request.user.key();
    Started started = impl_->in_shard(impl_->index_of(KeyParts::of(key)),
                                      [&](MemoryShard& shard, Millis now) { return shard.start(request, now); });
    started.replaced = replaced;
    done(std::move(started));
}

void MemoryStore::present(const SessionCookie& cookie, Presentation wanted, Completion<Session> done) {
    done(impl_->in_shard_of(cookie.id,
                            [&](MemoryShard& shard, Millis now) { return shard.present(cookie, wanted.renew, now); }));
}

void MemoryStore::issue(const SessionId& id, Millis minted, Completion<Millis> done) {
    done(impl_->in_shard_of(id, [&](MemoryShard& shard, Millis now) { return shard.issue(id, minted, now); }));
}

void MemoryStore::touch(const SessionId& id, bool renew, Completion<Millis> done) {
    done(impl_->in_shard_of(id, [&](MemoryShard& shard, Millis now) { return shard.touch(id, renew, now); }));
}

bool MemoryStore::known_ended(const SessionId& id) const {
    return impl_->in_shard_of(id, [&](const MemoryShard& shard, Millis now) { return !shard.contains(id, now); });
}

void MemoryStore::replace_data(const SessionId& id, std::string json, Completion<> done) {
    if (!valid_data(json)) return done(SessionErrc::data_invalid);
    auto data = std::make_shared<const std::string>(std::move(json));
    done(impl_->in_shard_of(
        id, [&](MemoryShard& shard, Millis now) { return shard.replace_data(id, std::move(data), now); }));
}

void MemoryStore::end(const SessionId& id, Completion<bool> done) {
    done(impl_->in_shard_of(id, [&](MemoryShard& shard, Millis now) { return shard.end(id, now); }));
}

void MemoryStore::end_user(const User& user, Completion<std::vector<SessionId>> done) {
    done(impl_->end({.user = user.id, .org = user.org}));
}

void MemoryStore::end_selected(const Selection& selection, Completion<std::vector<SessionId>> done) {
    done(impl_->end(selection));
}

void MemoryStore::list(const Selection& selected, std::string cursor, std::size_t limit, Completion<Page> done) {
    const KeySelection selection{selected};
    const auto position = parse_cursor(cursor);
    if (!cursor.empty() && !position) return done(make_error_code(boost::system::errc::invalid_argument));

    // One more than asked for tells whether there is another page.
    std::vector<MemoryShard::Listed> listed;
    const std::size_t first = position ? impl_->index_of(KeyParts::of(position->key)) : 0;
    for (std::size_t i = first; i < Impl::shard_count && listed.size() <= limit; ++i) {
        const MemoryShard::Position* after = position && i == first ? &*position : nullptr;
        impl_->in_shard(i,
                        [&](MemoryShard& shard, Millis now) { shard.list(selection, after, limit + 1, now, listed); });
    }
    Page page;
    if (limit > 0 && listed.size() > limit) {
        listed.pop_back();
        page.cursor = cursor_text(listed.back());
    }
    page.sessions.reserve(listed.size());
    for (auto& entry : listed) page.sessions.push_back(std::move(entry.session));
    done(std::move(page));
}

void MemoryStore::count_users(const std::optional<std::string>& org, Completion<std::size_t> done) {
    std::optional<std::string> encoded;
    if (org) append_key_part(encoded.emplace(), *org);
    std::size_t count = 0;
    for (std::size_t i = 0; i < Impl::shard_count; ++i) {
        count += impl_->in_shard(i, [&](MemoryShard& shard, Millis now) { return shard.count_users(encoded, now); });
    }
    done(count);
}

void MemoryStore::ping(Completion<> done) { done(Result<>{}); }

void MemoryStore::adopt(const config::Session& settings) {
    for (std::size_t i = 0; i < Impl::shard_count; ++i) {
        impl_->in_shard(i, [&](MemoryShard& shard, Millis) { shard.adopt(settings); });
    }
}

void MemoryStore::sweep() {
    for (std::size_t i = 0; i < Impl::shard_count; ++i) {
        const auto expired = impl_->in_shard(i, [](MemoryShard& shard, Millis now) { return shard.sweep(now); });
        impl_->freed += expired.size();
        if (!impl_->on_expiry) continue;
        for (const auto& [id, reason] : expired) impl_->on_expiry(id, reason);
    }
    // free() keeps pages for later; after a wave of sessions has gone, the system may have them back.
    constexpr std::size_t worth_trimming = 10'000;
    constexpr Millis trim_interval{30'000};
    if (impl_->freed < worth_trimming || now() - impl_->trimmed < trim_interval) return;
    ::malloc_trim(0);
    impl_->freed = 0;
    impl_->trimmed = now();
}

std::size_t MemoryStore::size() const {
    std::size_t size = 0;
    for (std::size_t i = 0; i < Impl::shard_count; ++i) {
        size += impl_->in_shard(i, [](const MemoryShard& shard, Millis) { return shard.size(); });
    }
    return size;
}

void MemoryStore::restore(std::vector<KeptSession> sessions) {
    std::ranges::sort(sessions, {}, &KeptSession::serial);
    for (KeptSession& kept : sessions) {
        const std::size_t index = impl_->index_of(KeyParts::of(kept.session.id.user_key()));
        impl_->in_shard(index, [&](MemoryShard& shard, Millis) { shard.restore(std::move(kept)); });
    }
    for (auto& slot : impl_->slots) slot->shard.keep_journal();
}

void MemoryStore::take_changes(bool renewals, ChangeTaker& taker) {
    constexpr std::size_t at_a_time = 1000;  // well below a millisecond, for which requests of its users may wait
    for (std::size_t i = 0; i < Impl::shard_count; ++i) {
        while (!impl_->in_shard(
            i, [&](MemoryShard& shard, Millis) { return shard.take_changes(renewals, at_a_time, taker); })) {
        }
    }
}

void MemoryStore::note_all() {
    for (std::size_t i = 0; i < Impl::shard_count; ++i) {
        impl_->in_shard(i, [](MemoryShard& shard, Millis) { shard.note_all(); });
    }
}

}  // namespace rotagate::session
