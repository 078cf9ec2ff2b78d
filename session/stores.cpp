#include "session/stores.hpp"

#include <boost/asio/post.hpp>

#include "session/lmdb_store.hpp"
#include "session/memory_store.hpp"
#include "session/redis_store.hpp"

namespace rotagate::session {
namespace {

/// One store for all event loops: it answers at once, on the thread that asks.
class MemoryStores final : public SessionStores {
public:
    MemoryStores(const config::Session& settings, ExpiryListener on_expiry)
        : store_(std::make_shared<MemoryStore>(settings, MemoryStore::Clock{}, std::move(on_expiry))) {}

    std::shared_ptr<SessionStore> on(boost::asio::io_context&) override { return store_; }
    void sweep() override { store_->sweep(); }
    void adopt(const config::Session& settings) override { store_->adopt(settings); }
    std::optional<std::size_t> size() const override { return store_->size(); }

private:
    std::shared_ptr<MemoryStore> store_;
};

/// A store with connections of its own for each event loop, and one on the control loop that also looks after the rest.
class RedisStores final : public SessionStores {
public:
    RedisStores(const config::Session& settings, boost::asio::io_context& control, ExpiryListener on_expiry)
        : shared_(settings), control_(control) {
        // They are found on any loop.
        shared_.on_expiry = [&control, on_expiry = std::move(on_expiry)](const SessionId& id, Expiry why) {
            boost::asio::post(control, [on_expiry, id, why] { on_expiry(id, why); });
        };
        own_ = std::make_shared<RedisStore>(control, shared_);
        own_->listen();
    }

    std::shared_ptr<SessionStore> on(boost::asio::io_context& loop) override {
        return &loop == &control_ ? own_ : std::make_shared<RedisStore>(loop, shared_);
    }
    void sweep() override { own_->sweep(); }
    void adopt(const config::Session&) override {}
    std::optional<std::size_t> size() const override { return std::nullopt; }

private:
    RedisShared shared_;
    boost::asio::io_context& control_;
    std::shared_ptr<RedisStore> own_;
};

bool same_place(const config::Session& a, const config::Session& b) {
    if (a.store != b.store || a.redis.has_value() != b.redis.has_value()) return false;
    if (!a.redis) return true;
    config::Redis other = *b.redis;  // `store` is shown without credentials
    other.replicas = a.redis->replicas;
    other.ca = a.redis->ca;
    return *a.redis == other;
}

}  // namespace

std::vector<std::string> fixed_settings(const config::Session& in_force, const config::Session& wanted) {
    if (!same_place(in_force, wanted)) return {"session.store"};
    std::vector<std::string> names;
    if (!in_force.redis) return names;
    const auto add = [&](const char* name, bool same) {
        if (!same) names.emplace_back(name);
    };
    add("session.redis.replicas", in_force.redis->replicas == wanted.redis->replicas);
    add("session.redis.ca", in_force.redis->ca == wanted.redis->ca);
    add("session.store_timeout", in_force.store_timeout == wanted.store_timeout);
    add("session.idle_timeout", in_force.idle_timeout == wanted.idle_timeout);
    add("session.permanent_timeout", in_force.permanent_timeout == wanted.permanent_timeout);
    add("session.absolute_timeout", in_force.absolute_timeout == wanted.absolute_timeout);
    add("session.max_sessions_per_user", in_force.max_sessions_per_user == wanted.max_sessions_per_user);
    const auto reports = [](const config::Session& session) { return session.on_replay == config::OnReplay::report; };
    add("session.on_replay", reports(in_force) == reports(wanted));  // what else it may say is not the store's matter
    add("session.rotation.grace", in_force.rotation.grace == wanted.rotation.grace);
    return names;
}

std::unique_ptr<SessionStores> open_stores(const config::Session& settings, boost::asio::io_context& control,
                                           ExpiryListener on_expiry) {
    if (settings.redis) return std::make_unique<RedisStores>(settings, control, std::move(on_expiry));
    if (settings.store.starts_with(LmdbStores::scheme))
        return std::make_unique<LmdbStores>(settings, std::move(on_expiry));
    return std::make_unique<MemoryStores>(settings, std::move(on_expiry));
}

}  // namespace rotagate::session
