// What operators do with the Redis store, and what it does by itself: both walk over the index, slot by slot.
#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include <spdlog/spdlog.h>

#include "session/redis/trouble.hpp"
#include "session/redis_store_impl.hpp"
#include "session/user_key.hpp"

namespace rotagate::session {

using redis::CallPtr;
using redis::Reply;

namespace {

using std::chrono::steady_clock;

constexpr std::size_t at_once = 64;      // calls of one walk that are under way
constexpr unsigned swept_at_once = 256;  // slots a second: all of them in about a minute
constexpr std::size_t ended_at_once =
    500;  // sessions in one call: about a millisecond, for which Redis does nothing else

std::string key_part(std::string_view text) {
    std::string part;
    append_key_part(part, text);
    return part;
}

/// The ids of one user.
IdRange range_of_user(std::string_view org, std::string_view id) {
    const std::string key = org.empty() ? std::string(id) : std::string(org).append("/").append(id);
    // "/" follows "." in ASCII, and neither is in a random part.
    return {.slot = redis::slot_of_tag(key), .from = "[{" + key + "}.", .to = "({" + key + "}/"};
}

std::vector<IdRange> all_slots(const IdRange& range = {}) {
    std::vector<IdRange> ranges(redis::slot_count, range);
    for (unsigned slot = 0; slot < redis::slot_count; ++slot) ranges[slot].slot = slot;
    return ranges;
}

}  // namespace

/// A pass over ranges of the index, some calls at a time. A range that is longer than one call goes on until its end.
struct RedisStore::Impl::Walk {
    std::vector<IdRange> ranges;
    const redis::Script* script;
    std::string limit;  ///< ids in one call; empty: the script takes no range
    bool confirming = false;
    /// Takes an answer. @return whether the rest of the range is wanted too
    std::function<bool(const IdRange&, Reply)> take;
    std::function<void(Result<>)> done;

    std::size_t next = 0, open = 0;
    bool failed = false, finished = false;
    /// The connections that wrote, each with a call that did.
    std::map<std::uint64_t, CallPtr> wrote;
};

void RedisStore::Impl::walk(std::shared_ptr<Walk> walk) {
    while (walk->open < at_once && walk->next < walk->ranges.size() && !walk->failed)
        visit(walk, walk->ranges[walk->next++]);
    if (walk->open == 0 && !std::exchange(walk->finished, true)) finish(walk);
}

void RedisStore::Impl::visit(const std::shared_ptr<Walk>& walk, IdRange range) {
    ++walk->open;
    const IndexKeys keys(range.slot);
    const std::string_view outside = range.outside_orgs ? "1" : "0";
    const FunctionCallPtr call = walk->limit.empty()
                                     ? call_for(range.slot, *walk->script, {keys.index, keys.due, keys.users}, {})
                                     : call_for(range.slot, *walk->script, {keys.index, keys.due, keys.users},
                                                {range.from, range.to, walk->limit, outside});
    call->confirming = walk->confirming;
    ask(call, 0, [this, walk, range = std::move(range), call = std::weak_ptr(call)](Result<Reply> reply) {
        visited(walk, range, call.lock(), reply);
    });
}

void RedisStore::Impl::visited(const std::shared_ptr<Walk>& walk, IdRange range, const CallPtr& call,
                               Result<Reply> reply) {
    --walk->open;
    if (!reply) {
        walk->failed = true;
    } else {
        expired((*reply)[1]);
        walk->wrote.try_emplace(call->answered_over, call);
        const bool more = walk->take(range, *reply);
        const std::string_view last = walk->limit.empty() ? std::string_view() : (*reply)[2].text();
        if (!last.empty() && more) {
            range.from = "(" + std::string(last);
            return visit(walk, std::move(range));
        }
    }
    this->walk(walk);
}

/// Where replicas have to confirm, each connection that wrote is waited for.
void RedisStore::Impl::finish(const std::shared_ptr<Walk>& walk) {
    if (walk->failed) return walk->done(SessionErrc::unavailable);
    if (!walk->confirming || walk->wrote.empty()) return walk->done(Result<>{});
    const CallPtr call = walk->wrote.begin()->second;
    walk->wrote.erase(walk->wrote.begin());
    call->deadline = steady_clock::now() + shared.deployment.timeout;  // its own may be long over
    confirm(*call, [this, walk](Result<> confirmed) {
        walk->failed |= !confirmed;
        finish(walk);
    });
}

/// Sessions that a script found to have expired: "i" or "a", and the id.
void RedisStore::Impl::expired(Reply ids) {
    const auto now = steady_clock::now();
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const std::string_view text = ids[i].text();
        const SessionId id{std::string(text.substr(1))};
        shared.ended.add(id.text, now);
        if (shared.on_expiry) shared.on_expiry(id, text.front() == 'a' ? Expiry::absolute : Expiry::idle);
    }
}

// ---- counting -------------------------------------------------------------------------------------------------------

/// Users by encoded organization.
void RedisStore::Impl::count(std::vector<IdRange> slots, Completion<std::map<std::string, std::size_t>> done) {
    auto users = std::make_shared<std::map<std::string, std::size_t>>();
    auto counting = std::make_shared<Walk>();
    counting->ranges = std::move(slots);
    counting->script = &shared.scripts.prune;
    counting->take = [users](const IdRange&, Reply reply) {
        const Reply counts = reply[2];
        for (std::size_t i = 0; i + 1 < counts.size(); i += 2)
            (*users)[std::string(counts[i].text())] += static_cast<std::size_t>(counts[i + 1].integer());
        return true;
    };
    counting->done = [users, done = std::move(done)](Result<> result) {
        result ? done(std::move(*users)) : done(result.error());
    };
    walk(counting);
}

void RedisStore::count_users(const std::optional<std::string>& org, Completion<std::size_t> done) {
    impl_->count(all_slots(), [org, done = std::move(done)](Result<std::map<std::string, std::size_t>> users) {
        if (!users) return done(users.error());
        std::size_t count = 0;
        for (const auto& [name, number] : *users)
            if (!org || name == key_part(*org)) count += number;
        done(count);
    });
}

void RedisStore::sweep() {
    if (impl_->listening && (!impl_->endings || !impl_->endings->alive(steady_clock::now()))) listen();
    if (std::exchange(impl_->sweeping, true)) return;
    std::vector<IdRange> slots(swept_at_once);
    for (IdRange& range : slots) range.slot = impl_->swept++ % redis::slot_count;
    impl_->count(std::move(slots),
                 [impl = impl_.get()](const Result<std::map<std::string, std::size_t>>&) { impl->sweeping = false; });
}

// ---- selections -----------------------------------------------------------------------------------------------------

/// Where the sessions of a selection are. Of a user without an organization all organizations have to be known first.
void RedisStore::Impl::ranges_of(const Selection& selection, Completion<std::vector<IdRange>> done) {
    if (!selection.user) {
        if (!selection.org) return done(all_slots());
        if (selection.org->empty()) return done(all_slots({.outside_orgs = true}));
        const std::string org = key_part(*selection.org);
        return done(all_slots({.from = "[{" + org + "/", .to = "({" + org + "0"}));  // "0" follows "/" in ASCII
    }
    const std::string id = key_part(*selection.user);
    if (selection.org) return done(std::vector{range_of_user(key_part(*selection.org), id)});
    count(all_slots(), [id, done = std::move(done)](Result<std::map<std::string, std::size_t>> users) {
        if (!users) return done(users.error());
        std::vector<IdRange> ranges;
        for (const auto& [org, number] : *users) ranges.push_back(range_of_user(org, id));
        done(std::move(ranges));
    });
}

void RedisStore::Impl::end_ranges(std::vector<IdRange> ranges, Completion<std::vector<SessionId>> done) {
    auto ended = std::make_shared<std::vector<SessionId>>();
    auto ending = std::make_shared<Walk>();
    ending->ranges = std::move(ranges);
    ending->script = &shared.scripts.end_range;
    ending->limit = std::to_string(ended_at_once);
    ending->confirming = confirms();
    ending->take = [this, ended](const IdRange&, Reply reply) {
        const auto now = steady_clock::now();
        for (std::size_t i = 0; i < reply[3].size(); ++i) {
            ended->push_back({std::string(reply[3][i].text())});
            shared.ended.add(ended->back().text, now);
        }
        return true;
    };
    ending->done = [ended, done = std::move(done)](Result<> result) {
        result ? done(std::move(*ended)) : done(result.error());
    };
    walk(ending);
}

void RedisStore::end_selected(const Selection& selection, Completion<std::vector<SessionId>> done) {
    impl_->ranges_of(selection, [impl = impl_.get(), done = std::move(done)](Result<std::vector<IdRange>> ranges) {
        if (!ranges) return done(ranges.error());
        impl->end_ranges(std::move(*ranges), done);
    });
}

void RedisStore::end_user(const User& user, Completion<std::vector<SessionId>> done) {
    end_selected({.user = user.id, .org = user.org}, std::move(done));
}

// ---- listings -------------------------------------------------------------------------------------------------------

/// One page of a listing while it is put together.
struct RedisStore::Impl::Listing {
    std::vector<IdRange> ranges;
    std::size_t limit;
    Completion<Page> done;
    std::size_t next = 0;             ///< range that was not looked at yet
    std::vector<Session> sessions{};  ///< in the order of the ranges
};

namespace {

/// What is left of the ranges behind the session that a cursor names, which may have ended.
std::vector<IdRange> after(const SessionId& cursor, std::vector<IdRange> ranges) {
    const KeyParts stands_at = KeyParts::of(cursor.user_key());
    const unsigned slot = redis::slot_of_tag(cursor.user_key());
    // Ranges are of users, in the order of their organizations, or of slots.
    const bool users = !ranges.empty() && ranges.front().from.ends_with("}.");
    std::erase_if(ranges, [&](const IdRange& range) {
        if (!users) return range.slot < slot;
        const auto key = std::string_view(range.from).substr(2, range.from.size() - 4);
        return KeyParts::of(key).org < stands_at.org;
    });
    if (!ranges.empty() && ranges.front().slot == slot) ranges.front().from = "(" + cursor.text;
    return ranges;
}

/// Reads what listings tell of a session out of its state and the client's address.
Session listed(const config::Session& settings, Reply id, Reply state, Reply client) {
    std::array<std::int64_t, 8> numbers{};  // created, permanent, expires, seen, seen at, ...: see scripts.cpp
    std::string_view rest = state.text();
    for (std::int64_t& number : numbers) {
        const auto end = std::from_chars(rest.data(), rest.data() + rest.size(), number).ptr;
        rest.remove_prefix(std::min(static_cast<std::size_t>(end - rest.data()) + 1, rest.size()));
    }
    const auto& [created, permanent, expires, seen, seen_at, mark, mark_at, floor] = numbers;
    const auto lifetime = (permanent == 1 ? settings.permanent_timeout : settings.idle_timeout).count();
    const bool capped = settings.absolute_timeout.count() > 0 && expires >= settings.absolute_timeout.count();
    // The latest request renewed the expiry, but for the step that is spared; or that is at its end, and `seen` has to
    // do.
    const auto last_seen = capped ? seen_at : std::max(seen_at, expires - lifetime);
    return {.id = {std::string(id.text())},
            .created = Millis{created},
            .expires = Millis{created + expires},
            .last_seen = Millis{created + last_seen},
            .permanent = permanent == 1,
            .client = std::string(client.text())};
}

}  // namespace

/// Looks at the next ranges, until there is one session more than the page has room for, which tells that there is
/// another page, or no range is left.
void RedisStore::Impl::list_some(const std::shared_ptr<Listing>& listing) {
    const std::size_t enough = listing->limit + 1;
    if (listing->sessions.size() >= enough || listing->next == listing->ranges.size()) {
        Page page{.sessions = std::move(listing->sessions), .cursor = {}};
        if (page.sessions.size() >= enough) {
            page.sessions.resize(listing->limit);
            if (!page.sessions.empty()) page.cursor = page.sessions.back().id.admin_name();
        }
        return listing->done(std::move(page));
    }
    const auto first = listing->ranges.begin() + static_cast<std::ptrdiff_t>(listing->next);
    const auto count = std::min(at_once, listing->ranges.size() - listing->next);
    listing->next += count;
    auto reading = std::make_shared<Walk>();
    reading->ranges.assign(first, first + static_cast<std::ptrdiff_t>(count));
    reading->script = &shared.scripts.list;
    reading->limit = std::to_string(enough);
    auto found = std::make_shared<std::map<std::pair<unsigned, std::string>, std::vector<Session>>>();
    reading->take = [this, found, enough](const IdRange& range, Reply reply) {
        auto& sessions = (*found)[{range.slot, range.to}];
        for (std::size_t i = 0; i + 2 < reply[3].size(); i += 3)
            sessions.push_back(listed(shared.settings, reply[3][i], reply[3][i + 1], reply[3][i + 2]));
        return sessions.size() < enough;
    };
    reading->done = [this, listing, found, ranges = reading->ranges](Result<> result) {
        if (!result) return listing->done(result.error());
        for (const IdRange& range : ranges)
            for (Session& session : (*found)[{range.slot, range.to}]) listing->sessions.push_back(std::move(session));
        list_some(listing);
    };
    walk(reading);
}

void RedisStore::list(const Selection& selection, std::string cursor, std::size_t limit, Completion<Page> done) {
    const auto position = SessionId::from_admin_name(cursor);
    if (!cursor.empty() && !position) return done(make_error_code(boost::system::errc::invalid_argument));
    const auto list_ranges = [impl = impl_.get(), position, limit, done](Result<std::vector<IdRange>> ranges) {
        if (!ranges) return done(ranges.error());
        if (position) ranges = after(*position, std::move(*ranges));
        impl->list_some(
            std::make_shared<Impl::Listing>(Impl::Listing{.ranges = std::move(*ranges), .limit = limit, .done = done}));
    };
    impl_->ranges_of(selection, list_ranges);
}

// ---- endings elsewhere ----------------------------------------------------------------------------------------------

/// A message of the channel: ids, with blanks between them.
void RedisStore::Impl::heard_of_end(std::string_view ids) {
    const auto now = steady_clock::now();
    while (!ids.empty()) {
        const auto end = std::min(ids.find(' '), ids.size());
        shared.ended.add(std::string(ids.substr(0, end)), now);
        ids.remove_prefix(std::min(end + 1, ids.size()));
    }
}

void RedisStore::listen() {
    Impl& impl = *impl_;
    impl.listening = true;
    if (impl.endings && redis::diagnose(impl.endings->why_lost()).trouble == redis::Trouble::denied)
        spdlog::warn(
            "redis.not_listening error=\"{}\" cure=\"let the user of session.store subscribe: ACL SETUSER NAME "
            "&rotagate:*; until then, long answers of sessions that end elsewhere are cut after 10 s\"",
            impl.endings->why_lost());
    impl.endings.reset();
    if (const config::Address* server = impl.client.any_server())
        impl.endings.emplace(impl.loop, impl.shared.tls.get(), *server,
                             impl.client.credentials(redis::Greeting::Answer::no_error), redis::ended_channel,
                             [&impl](std::string_view ids) { impl.heard_of_end(ids); });
}

}  // namespace rotagate::session
