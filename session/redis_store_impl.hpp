#pragma once

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "session/redis/slots.hpp"
#include "session/redis_store.hpp"

/// Inside of the Redis store: redis_store.cpp has what every request asks for, redis_logins.cpp how sessions begin and
/// end, redis_walks.cpp and redis_listing.cpp what operators do.
namespace rotagate::session {

/// The keys of one session.
struct RedisKeys {
    explicit RedisKeys(const SessionId& id);

    unsigned slot;
    std::string session;            ///< "s:{USER}.ID"
    std::string index, due, users;  ///< of the slot: "i:{TAG}", "d:{TAG}", "n:{TAG}"
    std::string mark;               ///< "x:{USER}.ID": why the session is not there, for a while
};

/// The keys of a slot's index.
struct IndexKeys {
    explicit IndexKeys(unsigned slot);
    std::string index, due, users;
};

/// The next of the numbers in a session's `state` (see redis/script_blocks.hpp), which is taken from the text.
inline std::int64_t next_number(std::string_view& state) {
    std::int64_t number = 0;
    const auto end = std::from_chars(state.data(), state.data() + state.size(), number).ptr;
    state.remove_prefix(std::min(static_cast<std::size_t>(end - state.data()) + 1, state.size()));
    return number;
}

/// An argument of a script that is yes or no.
inline std::string_view flag(bool value) { return value ? "1" : "0"; }

/// A range of ids in the index of one slot, in the words of ZRANGEBYLEX.
struct IdRange {
    unsigned slot = 0;
    std::string from = "-", to = "+";
    bool outside_orgs = false;  ///< only ids without an organization
};

struct RedisStore::Impl {
    using Answer = std::function<void(Result<redis::Reply>)>;
    using Ids = std::set<std::string, std::less<>>;

    Impl(boost::asio::io_context& loop, RedisShared& shared);

    struct PresentCall;
    using FunctionCallPtr = std::shared_ptr<redis::FunctionCall>;

    // What requests ask for.
    FunctionCallPtr call_for(unsigned slot, const redis::Script& script, std::initializer_list<std::string_view> keys,
                             std::initializer_list<std::string_view> arguments);
    /// Sends it, and listens to the time in the answer, which stands at this place.
    void ask(const FunctionCallPtr& call, std::size_t time_at, Answer done);
    void presented(const PresentCall& call, redis::Reply reply, const Completion<Session>& done);
    /// Where it matters: in a cluster.
    unsigned slot_of(const SessionId& id) const;
    void gone(const PresentCall& call, redis::Reply mark, const Completion<Session>& done);
    void replayed(const SessionId& id, const Completion<Session>& done);
    void started(Session session, NewSession request, const redis::CallPtr& call, redis::Reply reply,
                 Completion<Started> done);
    void end_replaced_elsewhere(Started started, const SessionId& old, redis::SteadyTime deadline,
                                Completion<Started> done);
    /// What becomes of the mark that tells why a session is not there.
    enum class Mark { untouched, replaced, removed };
    FunctionCallPtr end_call(const SessionId& id, Mark mark);
    void end(const SessionId& id, Mark mark, redis::SteadyTime deadline, Completion<bool> done);
    void end_unconfirmed(const SessionId& id, bool behind_confirming);
    void end_replayed(const SessionId& id);
    /// Waits until replicas have what was written by a call.
    void confirm(const redis::Call& call, Completion<> done);
    /// By a script that tells whether the session is there, and when it expires.
    void ask_expiry(const SessionId& id, const FunctionCallPtr& call, Completion<Millis> done);
    bool confirms() const { return shared.deployment.settings.replicas > 0; }
    void heard_of_end(std::string_view ids);

    // What operators do.
    struct Walk;
    struct Listing;
    void walk(const std::shared_ptr<Walk>& walk);
    void visit(const std::shared_ptr<Walk>& walk, IdRange range);
    void visited(const std::shared_ptr<Walk>& walk, IdRange range, const redis::CallPtr& call,
                 Result<redis::Reply> reply);
    void finish(const std::shared_ptr<Walk>& walk);
    void ranges_of(const Selection& selection, Completion<std::vector<IdRange>> done);
    void count(std::vector<IdRange> slots, Completion<std::map<std::string, std::size_t>> done);
    void end_ranges(const std::vector<IdRange>& ranges, Completion<std::vector<SessionId>> done);
    void end_found(std::vector<IdRange> ranges, const std::shared_ptr<Ids>& found,
                   Completion<std::vector<SessionId>> done);
    void list_some(const std::shared_ptr<Listing>& listing);
    void expired(redis::Reply ids);

    boost::asio::io_context& loop;
    RedisShared& shared;
    redis::StoreClock clock;
    redis::Client client;
    std::vector<std::shared_ptr<PresentCall>> spare;  ///< to be used again
    unsigned swept = 0;
    bool sweeping = false, listening = false;
    unsigned denied_listening = 0;  ///< how often
    std::optional<redis::Subscription> endings;
};

/// A pass over ranges of the index, some calls at a time. A range that is longer than one call goes on until its end.
struct RedisStore::Impl::Walk {
    std::vector<IdRange> ranges;
    const redis::Script* script;
    std::string limit;  ///< ids in one call; empty: the script takes no range
    bool confirming = false;
    /// Takes an answer. @return whether the rest of the range is wanted too
    std::function<bool(const IdRange&, redis::Reply)> take;
    std::function<void(Result<>)> done;

    std::size_t next = 0, open = 0;
    bool failed = false, finished = false;
    /// The connections that wrote, each with a call that did.
    std::map<std::uint64_t, redis::CallPtr> wrote;
};

/// Calls of one walk that are under way.
inline constexpr std::size_t redis_calls_at_once = 64;

}  // namespace rotagate::session
