// How sessions begin and end in Redis, and how replicas confirm it.
#include <spdlog/spdlog.h>

#include "session/redis/command.hpp"
#include "session/redis_store_impl.hpp"

namespace rotagate::session {

using redis::CallPtr;
using redis::Reply;

namespace {

using std::chrono::steady_clock;

/// A result's constructor would rather have an error code as a bool than as an error.
Result<bool> failed_bool(const boost::system::error_code& why) { return {boost::system::in_place_error, why}; }

/// The part of a script's answer that is a list, from `first` on.
std::vector<SessionId> ids_from(Reply reply, std::size_t first) {
    std::vector<SessionId> ids;
    for (std::size_t i = first; i < reply.size(); ++i)
        if (auto id = SessionId::parse(reply[i].text())) ids.push_back(std::move(*id));
    return ids;
}

}  // namespace

// ---- logins ---------------------------------------------------------------------------------------------------------

void RedisStore::start(NewSession request, Completion<Started> done) {
    if (!request.user.valid()) return done(SessionErrc::user_invalid);
    if (request.data && !valid_data(*request.data)) return done(SessionErrc::data_invalid);
    Session session{.id = SessionId::create(request.user), .permanent = request.permanent, .client = request.client};
    if (request.data) session.data = std::make_shared<const std::string>(*request.data);
    const RedisKeys keys(session.id);
    const redis::Script& script = impl_->shared.scripts.start;
    const std::string limit = std::to_string(impl_->shared.settings.max_sessions_per_user);
    const std::string_view data = request.data ? std::string_view(*request.data) : std::string_view();
    const auto old = request.replaces ? std::make_optional<RedisKeys>(*request.replaces) : std::nullopt;
    Impl::FunctionCallPtr call;
    if (old && (old->slot == keys.slot || impl_->shared.deployment.settings.kind != config::Redis::Kind::cluster)) {
        call = impl_->call_for(
            keys.slot, script,
            {keys.session, keys.index, keys.due, keys.users, old->session, old->index, old->due, old->users, old->mark},
            {session.id.text, flag(request.permanent), request.client, flag(request.data.has_value()), data, limit,
             request.replaces->text});
    } else {
        call = impl_->call_for(keys.slot, script, {keys.session, keys.index, keys.due, keys.users},
                               {session.id.text, flag(request.permanent), request.client,
                                flag(request.data.has_value()), data, limit, ""});
    }
    call->confirming = impl_->confirms();
    impl_->ask(call, 0,
               [impl = impl_.get(), call = std::weak_ptr(call), session = std::move(session),
                request = std::move(request), done = std::move(done)](Result<Reply> reply) mutable {
                   if (!reply) {
                       impl->end_unconfirmed(session.id, impl->confirms());  // it may have begun, or yet begin
                       return done(reply.error());
                   }
                   impl->started(std::move(session), std::move(request), call.lock(), *reply, std::move(done));
               });
}

void RedisStore::Impl::started(Session session, NewSession request, const CallPtr& call, Reply reply,
                               Completion<Started> done) {
    session.created = session.last_seen = Millis{reply[1].integer()};
    session.expires = Millis{reply[2].integer()};
    const bool replaced = reply[3].integer() == 1 || (call->repeated && request.replaces);  // as in end()
    Started result{.session = std::move(session), .replaced = replaced, .displaced = ids_from(reply, 4)};
    const auto now = steady_clock::now();
    for (const SessionId& id : result.displaced) shared.ended.add(id.text, now);
    const bool elsewhere = request.replaces && shared.deployment.settings.kind == config::Redis::Kind::cluster &&
                           redis::slot_of_tag(request.replaces->user_key()) != call->slot;
    if (request.replaces && !elsewhere) shared.ended.add(request.replaces->text, now);
    confirm(*call, [this, result = std::move(result), old = request.replaces, elsewhere, deadline = call->deadline,
                    done = std::move(done)](Result<> confirmed) mutable {
        if (!confirmed) {
            end_unconfirmed(result.session.id, false);  // nobody will have its cookie
            return done(confirmed.error());
        }
        if (elsewhere) return end_replaced_elsewhere(std::move(result), *old, deadline, std::move(done));
        done(std::move(result));
    });
}

/// In a cluster, the session of another user is on another server: its end is a step of its own.
void RedisStore::Impl::end_replaced_elsewhere(Started started, const SessionId& old, redis::SteadyTime deadline,
                                              Completion<Started> done) {
    end(old, Mark::replaced, deadline,
        [this, started = std::move(started), done = std::move(done)](Result<bool> ended) mutable {
            if (!ended) {
                end_unconfirmed(started.session.id, false);
                return done(ended.error());
            }
            started.replaced = *ended;
            done(std::move(started));
        });
}

// ---- endings --------------------------------------------------------------------------------------------------------

RedisStore::Impl::FunctionCallPtr RedisStore::Impl::end_call(const SessionId& id, Mark mark) {
    const RedisKeys keys(id);
    const redis::Script& script = shared.scripts.end;
    if (mark == Mark::untouched)
        return call_for(keys.slot, script, {keys.session, keys.index, keys.due, keys.users}, {id.text});
    return call_for(keys.slot, script, {keys.session, keys.index, keys.due, keys.users, keys.mark},
                    {id.text, flag(mark == Mark::replaced)});
}

/// @param deadline  as of Call
void RedisStore::Impl::end(const SessionId& id, Mark mark, redis::SteadyTime deadline, Completion<bool> done) {
    const auto call = end_call(id, mark);
    call->deadline = deadline;
    call->confirming = confirms();
    ask(call, 0, [this, call = std::weak_ptr(call), id, done = std::move(done)](Result<Reply> reply) {
        if (!reply) return done(failed_bool(reply.error()));
        shared.ended.add(id.text, steady_clock::now());
        const CallPtr ending = call.lock();
        // The first try ended it, though the answer to it was lost; who asks wants to know, and to have it logged.
        const bool there = (*reply)[1].integer() == 1 || ending->repeated;
        confirm(*ending, [there, done](Result<> confirmed) {
            done(confirmed ? Result<bool>{there} : failed_bool(confirmed.error()));
        });
    });
}

/// Ends what nobody waits for: a login that was refused.
/// @param behind_confirming  over the connection whose writes are confirmed, behind what was sent there: where that has
/// not been answered. Otherwise it goes over the other, which no WAIT holds up.
void RedisStore::Impl::end_unconfirmed(const SessionId& id, bool behind_confirming) {
    const auto call = end_call(id, Mark::untouched);
    call->confirming = behind_confirming;
    ask(call, 0, [this, id](Result<Reply> reply) {
        if (reply) shared.ended.add(id.text, steady_clock::now());
    });
}

/// Ends the rest of a replayed session, of which is told now: it goes out of the index, and all gateways hear of it.
void RedisStore::Impl::end_replayed(const SessionId& id) {
    shared.ended.add(id.text, steady_clock::now());
    ask(end_call(id, Mark::removed), 0, [](const Result<Reply>&) {});
}

void RedisStore::end(const SessionId& id, Completion<bool> done) {
    impl_->end(id, Impl::Mark::untouched, {}, std::move(done));
}

void RedisStore::Impl::confirm(const redis::Call& call, Completion<> done) {
    if (!confirms()) return done(Result<>{});
    // Replicas have most of what is left: the answer needs some of it.
    const auto left = std::chrono::floor<Millis>(call.deadline - steady_clock::now()) * 9 / 10;
    const auto patience = std::to_string(std::max<std::int64_t>(left.count(), 1));  // 0 would be without end
    const auto replicas = shared.deployment.settings.replicas;
    auto waiting = std::make_shared<redis::FunctionCall>();
    waiting->slot = call.slot;
    waiting->confirming = true;
    waiting->only_over = call.answered_over;
    waiting->deadline = call.deadline;
    redis::append_command(waiting->wire, {"WAIT", std::to_string(replicas), patience});
    waiting->done = [replicas, done = std::move(done)](Result<Reply> reply) {
        if (!reply) return done(reply.error());
        if (reply->integer() >= replicas) return done(Result<>{});
        spdlog::error(
            "redis.unconfirmed replicas={} wanted={} cure=\"look at the replicas: logins and revocations wait for "
            "session.redis.replicas of them\"",
            reply->integer(), replicas);
        done(SessionErrc::unavailable);
    };
    client.call(waiting);
}

}  // namespace rotagate::session
