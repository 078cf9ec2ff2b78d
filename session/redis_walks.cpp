// What operators do with the Redis store, and what it does by itself: both walk over the index, slot by slot.
#include "session/redis_store_impl.hpp"
#include "session/user_key.hpp"

namespace rotagate::session {

using redis::CallPtr;
using redis::Reply;

namespace {

using std::chrono::steady_clock;

constexpr unsigned swept_at_once = 256;  // slots a second: all of them in about a minute
// From one to the next, so that those of a second are of all of a cluster's nodes, which is noticed where one has gone.
constexpr unsigned sweep_stride = 65;
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

void RedisStore::Impl::walk(const std::shared_ptr<Walk>& walk) {
    while (walk->open < redis_calls_at_once && walk->next < walk->ranges.size() && !walk->failed)
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
    call->whole_slot = true;
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
        if (walk->confirming) walk->wrote.try_emplace(call->answered_over, call);
        if (walk->limit.empty() && (*reply)[3].integer() == 1) return visit(walk, std::move(range));  // more is due
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
        const auto id = SessionId::parse(text.substr(1));
        if (!id) continue;  // somebody else has written into our index
        shared.ended.add(id->text, now);
        if (shared.on_expiry) shared.on_expiry(*id, text.front() == 'a' ? Expiry::absolute : Expiry::idle);
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
    auto& endings = impl_->endings;
    const bool heard = endings && endings->alive(steady_clock::now()) && impl_->client.uses(endings->server());
    if (impl_->listening && !heard) listen();
    if (std::exchange(impl_->sweeping, true)) return;
    std::vector<IdRange> slots(swept_at_once);
    for (IdRange& range : slots) {
        range.slot = impl_->swept;
        impl_->swept = (impl_->swept + sweep_stride) % redis::slot_count;
    }
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

/// Reads what is there before it ends it: of an end whose answer is lost with its connection nobody could tell what it
/// has ended. Of two that end the same sessions at once, both tell of them.
void RedisStore::Impl::end_ranges(const std::vector<IdRange>& ranges, Completion<std::vector<SessionId>> done) {
    auto found = std::make_shared<Ids>();
    auto reading = std::make_shared<Walk>();
    reading->ranges = ranges;
    reading->script = &shared.scripts.list;
    reading->limit = std::to_string(ended_at_once);
    reading->take = [found](const IdRange&, Reply reply) {
        for (std::size_t i = 0; i < reply[3].size(); i += 3) found->emplace(reply[3][i].text());
        return true;
    };
    reading->done = [this, ranges, found, done = std::move(done)](Result<> result) {
        result ? end_found(ranges, found, done) : done(result.error());
    };
    walk(reading);
}

void RedisStore::Impl::end_found(std::vector<IdRange> ranges, const std::shared_ptr<Ids>& found,
                                 Completion<std::vector<SessionId>> done) {
    auto ending = std::make_shared<Walk>();
    ending->ranges = std::move(ranges);
    ending->script = &shared.scripts.end_range;
    ending->limit = std::to_string(ended_at_once);
    ending->confirming = confirms();
    ending->take = [this, found](const IdRange&, Reply reply) {
        for (std::size_t i = 0; i < reply[3].size(); ++i) found->emplace(reply[3][i].text());
        return true;
    };
    ending->done = [this, found, done = std::move(done)](Result<> result) {
        if (!result) return done(result.error());
        const auto now = steady_clock::now();
        std::vector<SessionId> ended;
        for (const std::string& id : *found) {
            shared.ended.add(id, now);
            ended.push_back({id});
        }
        done(std::move(ended));
    };
    walk(ending);
}

void RedisStore::end_selected(const Selection& selection, Completion<std::vector<SessionId>> done) {
    impl_->ranges_of(selection, [impl = impl_.get(), done = std::move(done)](Result<std::vector<IdRange>> ranges) {
        if (!ranges) return done(ranges.error());
        impl->end_ranges(*ranges, done);
    });
}

void RedisStore::end_user(const User& user, Completion<std::vector<SessionId>> done) {
    end_selected({.user = user.id, .org = user.org}, std::move(done));
}

}  // namespace rotagate::session
