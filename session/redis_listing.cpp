// Pages of sessions, and word of those that end elsewhere.
#include <algorithm>
#include <bit>

#include <spdlog/spdlog.h>

#include "session/redis/trouble.hpp"
#include "session/redis_store_impl.hpp"
#include "session/user_key.hpp"

namespace rotagate::session {

using redis::Reply;
using std::chrono::steady_clock;

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

bool belongs_to(const Selection& selection, const SessionId& session) {
    const auto matches = [](const std::optional<std::string>& wanted, std::string_view part) {
        std::string encoded;
        if (wanted) append_key_part(encoded, *wanted);
        return !wanted || encoded == part;
    };
    const KeyParts key = KeyParts::of(session.user_key());
    return matches(selection.org, key.org) && matches(selection.user, key.id);
}

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
    if (ranges.empty() || ranges.front().slot != slot) return ranges;
    if (!users || ranges.front().from == "[{" + std::string(cursor.user_key()) + "}.")
        ranges.front().from = "(" + cursor.text;
    return ranges;
}

/// Reads what listings tell of a session out of its state and the client's address.
Session listed(const config::Session& settings, SessionId id, Reply state, Reply client) {
    std::string_view numbers = state.text();
    const auto created = next_number(numbers), permanent = next_number(numbers), expires = next_number(numbers);
    next_number(numbers);  // the mint time that was seen
    const auto seen_at = next_number(numbers);
    const auto lifetime = (permanent == 1 ? settings.permanent_timeout : settings.idle_timeout).count();
    const bool capped = settings.absolute_timeout.count() > 0 && expires >= settings.absolute_timeout.count();
    // The latest request renewed the expiry, but for the step that is spared; or that is at its end, and `seen` has to
    // do.
    const auto last_seen = capped ? seen_at : std::max(seen_at, expires - lifetime);
    return {.id = std::move(id),
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
    const auto count = std::min(redis_calls_at_once, listing->ranges.size() - listing->next);
    listing->next += count;
    auto reading = std::make_shared<Walk>();
    reading->ranges.assign(first, first + static_cast<std::ptrdiff_t>(count));
    reading->script = &shared.scripts.list;
    reading->limit = std::to_string(enough);
    auto found = std::make_shared<std::map<std::pair<unsigned, std::string>, std::vector<Session>>>();
    reading->take = [this, found, enough](const IdRange& range, Reply reply) {
        auto& sessions = (*found)[{range.slot, range.to}];
        for (std::size_t i = 0; i + 2 < reply[3].size(); i += 3)
            if (auto id = SessionId::parse(reply[3][i].text()))
                sessions.push_back(listed(shared.settings, std::move(*id), reply[3][i + 1], reply[3][i + 2]));
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
    if (!cursor.empty() && !(position && belongs_to(selection, *position)))
        return done(make_error_code(boost::system::errc::invalid_argument));
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
    const bool denied = impl.endings && redis::diagnose(impl.endings->why_lost()).trouble == redis::Trouble::denied;
    if (denied && std::has_single_bit(++impl.denied_listening))  // the 1st, 2nd, 4th, 8th, ... time
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
