// What requests ask of the Redis store.
#include "session/redis_store.hpp"

#include <charconv>

#include <spdlog/spdlog.h>

#include "session/redis/command.hpp"
#include "session/redis_store_impl.hpp"

namespace rotagate::session {

using redis::CallPtr;
using redis::Reply;

namespace {

using std::chrono::steady_clock;

std::string_view text_of(bool value) { return value ? "1" : "0"; }

/// A result's constructor would rather have an error code as a bool than as an error.
Result<bool> failed_bool(const boost::system::error_code& why) { return {boost::system::in_place_error, why}; }

/// The part of a script's answer that is a list, from `first` on.
std::vector<SessionId> ids_from(Reply reply, std::size_t first) {
    std::vector<SessionId> ids;
    for (std::size_t i = first; i < reply.size(); ++i) ids.push_back({std::string(reply[i].text())});
    return ids;
}

}  // namespace

RedisShared::RedisShared(const config::Session& its_settings, std::string_view clock)
    : settings(its_settings),
      scripts(settings, clock),
      tls(redis::tls_context(*settings.redis)),
      deployment{.settings = *settings.redis,
                 .timeout = settings.store_timeout,
                 .tls = tls.get(),
                 .scripts = scripts.texts()} {}

IndexKeys::IndexKeys(unsigned slot) {
    const std::string tag = "{" + redis::tag_of_slot(slot) + "}";
    index = "i:" + tag;
    due = "d:" + tag;
    users = "n:" + tag;
}

RedisKeys::RedisKeys(const SessionId& id)
    : slot(redis::slot_of_tag(id.user_key())), session("s:" + id.text), replaced_mark("x:" + id.text) {
    IndexKeys keys(slot);
    index = std::move(keys.index);
    due = std::move(keys.due);
    users = std::move(keys.users);
}

RedisStore::RedisStore(boost::asio::io_context& loop, RedisShared& shared)
    : impl_(std::make_shared<Impl>(loop, shared)) {}
RedisStore::~RedisStore() = default;

RedisStore::Impl::Impl(boost::asio::io_context& its_loop, RedisShared& its_shared)
    : loop(its_loop), shared(its_shared), client(loop, shared.deployment, [this] { clock.forget(); }) {}

RedisStore::Impl::FunctionCallPtr RedisStore::Impl::call_for(unsigned slot, const redis::Script& script,
                                                             std::initializer_list<std::string_view> keys,
                                                             std::initializer_list<std::string_view> arguments) {
    auto call = std::make_shared<redis::FunctionCall>();
    call->slot = slot;
    call->script = &script;
    script.append_call(call->wire, keys, arguments);
    return call;
}

void RedisStore::Impl::ask(const FunctionCallPtr& call, std::size_t time_at, Answer done) {
    call->done = [this, time_at, done = std::move(done)](Result<Reply> reply) {
        if (reply) clock.hear(Millis{(*reply)[time_at].integer()}, steady_clock::now());
        done(reply);
    };
    client.call(call);
}

unsigned RedisStore::Impl::slot_of(const SessionId& id) const {
    const bool matters = shared.deployment.settings.kind == config::Redis::Kind::cluster;
    return matters ? redis::slot_of_tag(id.user_key()) : 0;
}

Millis RedisStore::now() const { return impl_->clock.at(steady_clock::now()); }

bool RedisStore::known_ended(const SessionId& id) const {
    return impl_->shared.ended.contains(id.text, steady_clock::now());
}

// ---- presentations --------------------------------------------------------------------------------------------------

/// A presentation under way. Every request makes one, so they are used again with the memory that they have.
struct RedisStore::Impl::PresentCall final : redis::Call {
    explicit PresentCall(Impl& its_store) : store(its_store) {}

    Impl& store;
    SessionId id;
    Completion<Session> done;

    void finish(Result<Reply> reply) override {
        const Completion<Session> asked = std::move(done);
        if (!reply) return asked(reply.error());  // the answer may still come: this cannot be used again
        store.clock.hear(Millis{(*reply)[1].integer()}, steady_clock::now());
        store.presented(*this, *reply, asked);
        constexpr std::size_t enough = 256;
        if (store.spare.size() < enough)
            store.spare.push_back(std::static_pointer_cast<PresentCall>(shared_from_this()));
    }
};

void RedisStore::present(const SessionCookie& cookie, Presentation wanted, Completion<Session> done) {
    Impl& impl = *impl_;
    std::shared_ptr<Impl::PresentCall> call;
    if (impl.spare.empty()) {
        call = std::make_shared<Impl::PresentCall>(impl);
    } else {
        call = std::move(impl.spare.back());
        impl.spare.pop_back();
        call->wire.clear();
        call->awaited = true;
        call->deadline = {};
    }
    const redis::Scripts& scripts = impl.shared.scripts;
    call->script = wanted.with_data ? &scripts.present_with_data : &scripts.present;
    call->slot = impl.slot_of(cookie.id);
    call->id = cookie.id;
    call->done = std::move(done);
    char minted[24];
    const auto end = std::to_chars(minted, minted + sizeof minted, cookie.minted.count()).ptr;
    call->script->append_session_call(call->wire, cookie.id.text,
                                      {{minted, static_cast<std::size_t>(end - minted)}, text_of(wanted.renew)});
    impl.client.call(std::move(call));
}

void RedisStore::Impl::presented(const PresentCall& call, Reply reply, const Completion<Session>& done) {
    const SessionId& id = call.id;
    constexpr int gone = 0, replayed = 2, reported = 3;
    const auto verdict = reply[0].integer();
    if (verdict == gone) return tell_whether_replaced(id, call.deadline, done);
    if (verdict == replayed) {
        end(id, false, [](Result<bool>) {});  // out of the index, and known everywhere
        return done(SessionErrc::replayed);
    }
    Session session{.id = id,
                    .created = Millis{reply[2].integer()},
                    .expires = Millis{reply[3].integer()},
                    .last_seen = Millis{reply[1].integer()},
                    .permanent = reply[4].integer() == 1,
                    .data = nullptr,
                    .client = {},
                    .replay_reported = verdict == reported};
    if (!reply[5].is_nil()) session.data = std::make_shared<const std::string>(reply[5].text());
    done(std::move(session));
}

/// The session is not there; a login may have ended it a moment ago. GETEX without a change counts as a write: a
/// replica that is taken for a master refuses it, so that what it has not heard of yet is not taken for ended.
void RedisStore::Impl::tell_whether_replaced(const SessionId& id, redis::SteadyTime deadline,
                                             Completion<Session> done) {
    auto call = std::make_shared<redis::FunctionCall>();
    call->deadline = deadline;
    call->slot = redis::slot_of_tag(id.user_key());
    const std::string mark = "x:" + id.text;
    redis::append_command(call->wire, {"GETEX", mark});
    call->done = [this, done = std::move(done)](Result<Reply> reply) {
        if (!reply) return done(reply.error());
        const bool marked = Millis{reply->integer()} > clock.at(steady_clock::now());  // until when
        done(marked ? SessionErrc::replaced : SessionErrc::unknown);
    };
    client.call(std::move(call));
}

/// A script that tells only whether the session is there.
void RedisStore::Impl::there(const FunctionCallPtr& call, Completion<> done) {
    ask(call, 1, [done = std::move(done)](Result<Reply> reply) {
        if (!reply) return done(reply.error());
        done((*reply)[0].integer() == 1 ? Result<>{} : Result<>{SessionErrc::unknown});
    });
}

void RedisStore::issue(const SessionId& id, Millis minted, Completion<> done) {
    const std::string key = "s:" + id.text;
    const std::string time = std::to_string(minted.count());
    impl_->there(impl_->call_for(redis::slot_of_tag(id.user_key()), impl_->shared.scripts.issue, {key}, {time}),
                 std::move(done));
}

void RedisStore::check(const SessionId& id, Completion<> done) {
    const std::string key = "s:" + id.text;
    impl_->there(impl_->call_for(redis::slot_of_tag(id.user_key()), impl_->shared.scripts.check, {key}, {}),
                 [impl = impl_.get(), id, done = std::move(done)](Result<> result) {
                     if (!result && result.error() == SessionErrc::unknown)
                         impl->shared.ended.add(id.text, steady_clock::now());
                     done(result);
                 });
}

void RedisStore::replace_data(const SessionId& id, std::string json, Completion<> done) {
    if (!valid_data(json)) return done(SessionErrc::data_invalid);
    const std::string key = "s:" + id.text;
    impl_->there(impl_->call_for(redis::slot_of_tag(id.user_key()), impl_->shared.scripts.replace_data, {key}, {json}),
                 std::move(done));
}

void RedisStore::ping(Completion<> done) {
    auto call = std::make_shared<redis::FunctionCall>();
    call->wire = redis::command({"PING"});
    call->done = [done = std::move(done)](Result<Reply> reply) { done(reply ? Result<>{} : Result<>{reply.error()}); };
    impl_->client.call(std::move(call));
}

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
        call = impl_->call_for(keys.slot, script,
                               {keys.session, keys.index, keys.due, keys.users, old->session, old->index, old->due,
                                old->users, old->replaced_mark},
                               {session.id.text, text_of(request.permanent), request.client,
                                text_of(request.data.has_value()), data, limit, request.replaces->text});
    } else {
        call = impl_->call_for(keys.slot, script, {keys.session, keys.index, keys.due, keys.users},
                               {session.id.text, text_of(request.permanent), request.client,
                                text_of(request.data.has_value()), data, limit, ""});
    }
    call->confirming = impl_->confirms();
    impl_->ask(call, 0,
               [impl = impl_.get(), call = std::weak_ptr(call), session = std::move(session),
                request = std::move(request), done = std::move(done)](Result<Reply> reply) mutable {
                   if (!reply) return done(reply.error());
                   impl->started(std::move(session), std::move(request), call.lock(), *reply, std::move(done));
               });
}

void RedisStore::Impl::started(Session session, NewSession request, CallPtr call, Reply reply,
                               Completion<Started> done) {
    session.created = session.last_seen = Millis{reply[1].integer()};
    session.expires = Millis{reply[2].integer()};
    Started result{.session = std::move(session), .replaced = reply[3].integer() == 1, .displaced = ids_from(reply, 4)};
    const auto now = steady_clock::now();
    for (const SessionId& id : result.displaced) shared.ended.add(id.text, now);
    if (request.replaces) shared.ended.add(request.replaces->text, now);
    const bool elsewhere = request.replaces && shared.deployment.settings.kind == config::Redis::Kind::cluster &&
                           redis::slot_of_tag(request.replaces->user_key()) != call->slot;
    confirm(*call, [this, result = std::move(result), old = request.replaces, elsewhere,
                    done = std::move(done)](Result<> confirmed) mutable {
        if (!confirmed) {
            end(result.session.id, false, [](Result<bool>) {});  // nobody will have its cookie
            return done(confirmed.error());
        }
        if (elsewhere) return end_replaced_elsewhere(std::move(result), *old, std::move(done));
        done(std::move(result));
    });
}

/// In a cluster, the session of another user is on another server: its end is a step of its own.
void RedisStore::Impl::end_replaced_elsewhere(Started started, const SessionId& old, Completion<Started> done) {
    end(old, true, [this, started = std::move(started), done = std::move(done)](Result<bool> ended) mutable {
        if (!ended) {
            end(started.session.id, false, [](Result<bool>) {});
            return done(ended.error());
        }
        started.replaced = *ended;
        done(std::move(started));
    });
}

// ---- endings --------------------------------------------------------------------------------------------------------

RedisStore::Impl::FunctionCallPtr RedisStore::Impl::end_call(const SessionId& id, bool mark_replaced) {
    const RedisKeys keys(id);
    const redis::Script& script = shared.scripts.end;
    if (!mark_replaced) return call_for(keys.slot, script, {keys.session, keys.index, keys.due, keys.users}, {id.text});
    return call_for(keys.slot, script, {keys.session, keys.index, keys.due, keys.users, keys.replaced_mark}, {id.text});
}

void RedisStore::Impl::end(const SessionId& id, bool mark_replaced, Completion<bool> done) {
    const auto call = end_call(id, mark_replaced);
    call->confirming = confirms();
    ask(call, 0, [this, call = std::weak_ptr(call), id, done = std::move(done)](Result<Reply> reply) {
        if (!reply) return done(failed_bool(reply.error()));
        shared.ended.add(id.text, steady_clock::now());
        const bool there = (*reply)[1].integer() == 1;
        confirm(*call.lock(), [there, done](Result<> confirmed) {
            done(confirmed ? Result<bool>{there} : failed_bool(confirmed.error()));
        });
    });
}

void RedisStore::end(const SessionId& id, Completion<bool> done) { impl_->end(id, false, std::move(done)); }

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
    client.call(std::move(waiting));
}

}  // namespace rotagate::session
