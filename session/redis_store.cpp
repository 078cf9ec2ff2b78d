// What every request asks of the Redis store.
#include "session/redis_store.hpp"

#include <charconv>

#include "session/redis/command.hpp"
#include "session/redis_store_impl.hpp"

namespace rotagate::session {

using redis::Reply;

namespace {

using std::chrono::steady_clock;

// What a presentation comes to; 1 is all well.
constexpr int not_there = 0, replay = 2, reported = 3;

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
    : slot(redis::slot_of_tag(id.user_key())), session("s:" + id.text), mark("x:" + id.text) {
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
    call->done = [this, asked = call.get(), time_at, done = std::move(done)](Result<Reply> reply) {
        if (reply) clock.hear(Millis{(*reply)[time_at].integer()}, asked->answered_at);
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

    /// A thief's visit must be told, even where its request has been answered.
    void late(Reply reply) override {
        if (reply[0].integer() != replay) return;
        store.end_replayed(id);
        if (store.shared.on_expiry) store.shared.on_expiry(id, Expiry::replay);
    }
    void finish(Result<Reply> reply) override {
        const Completion<Session> asked = std::move(done);
        if (!reply) return asked(reply.error());  // the answer may still come: this cannot be used again
        store.clock.hear(Millis{(*reply)[1].integer()}, answered_at);
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
        call->repeated = false;
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
                                      {{minted, static_cast<std::size_t>(end - minted)}, flag(wanted.renew)});
    impl.client.call(call);
}

void RedisStore::Impl::presented(const PresentCall& call, Reply reply, const Completion<Session>& done) {
    const SessionId& id = call.id;
    const auto verdict = reply[0].integer();
    if (verdict == not_there) return gone(call, reply[2], done);
    if (verdict == replay) return replayed(id, done);
    std::string_view state = reply[2].text();
    const auto created = next_number(state), permanent = next_number(state), expires = next_number(state);
    Session session{.id = id,
                    .created = Millis{created},
                    .expires = Millis{created + expires},
                    .last_seen = Millis{reply[1].integer()},
                    .permanent = permanent == 1,
                    .data = nullptr,
                    .client = {},
                    .replay_reported = verdict == reported};
    if (!reply[3].is_nil()) session.data = std::make_shared<const std::string>(reply[3].text());
    done(std::move(session));
}

void RedisStore::Impl::replayed(const SessionId& id, const Completion<Session>& done) {
    end_replayed(id);
    done(SessionErrc::replayed);
}

/// The session is not there. A login may have ended it a moment ago; or a replay of which nobody heard, since the
/// answer to it was lost: that is told now.
void RedisStore::Impl::gone(const PresentCall& call, Reply mark, const Completion<Session>& done) {
    const auto now = steady_clock::now();
    const bool known = shared.ended.contains(call.id.text, now);
    shared.ended.add(call.id.text, now);
    if (mark.text() == "replay" && !known) return replayed(call.id, done);
    const bool replaced = Millis{mark.integer()} > clock.at(now);  // until when
    done(replaced ? SessionErrc::replaced : SessionErrc::unknown);
}

void RedisStore::Impl::ask_expiry(const SessionId& id, const FunctionCallPtr& call, Completion<Millis> done) {
    ask(call, 1, [this, id, done = std::move(done)](Result<Reply> reply) {
        if (!reply) return done(reply.error());
        if ((*reply)[0].integer() == 1) return done(Millis{(*reply)[2].integer()});
        shared.ended.add(id.text, steady_clock::now());
        done(SessionErrc::unknown);
    });
}

void RedisStore::issue(const SessionId& id, Millis minted, Completion<Millis> done) {
    const std::string key = "s:" + id.text;
    const std::string time = std::to_string(minted.count());
    impl_->ask_expiry(id,
                      impl_->call_for(redis::slot_of_tag(id.user_key()), impl_->shared.scripts.issue, {key}, {time}),
                      std::move(done));
}

void RedisStore::touch(const SessionId& id, bool renew, Completion<Millis> done) {
    const std::string key = "s:" + id.text;
    const auto slot = redis::slot_of_tag(id.user_key());
    impl_->ask_expiry(id, impl_->call_for(slot, impl_->shared.scripts.touch, {key}, {flag(renew)}), std::move(done));
}

void RedisStore::replace_data(const SessionId& id, std::string json, Completion<> done) {
    if (!valid_data(json)) return done(SessionErrc::data_invalid);
    const std::string key = "s:" + id.text;
    const auto call =
        impl_->call_for(redis::slot_of_tag(id.user_key()), impl_->shared.scripts.replace_data, {key}, {json});
    impl_->ask(call, 1, [done = std::move(done)](Result<Reply> reply) {
        if (!reply) return done(reply.error());
        done((*reply)[0].integer() == 1 ? Result<>{} : Result<>{SessionErrc::unknown});
    });
}

/// Asks each server that has sessions as a write would: a replica refuses it, and a node whose cluster is down.
void RedisStore::ping(Completion<> done) {
    struct Asked {
        std::size_t open;
        Completion<> done;
        Result<> result{};
    };
    const std::vector<unsigned> slots = impl_->client.slot_of_each();
    const auto asked = std::make_shared<Asked>(Asked{.open = slots.size(), .done = std::move(done)});
    for (const unsigned slot : slots) {
        auto call = std::make_shared<redis::FunctionCall>();
        call->slot = slot;
        redis::append_command(call->wire, {"GETEX", "x:{" + redis::tag_of_slot(slot) + "}"});
        call->done = [asked](Result<Reply> reply) {
            if (!reply) asked->result = reply.error();
            if (--asked->open == 0) asked->done(asked->result);
        };
        impl_->client.call(call);
    }
}

}  // namespace rotagate::session
