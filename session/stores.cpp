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
    std::optional<std::size_t> size() const override { return store_->size(); }

private:
    std::shared_ptr<MemoryStore> store_;
};

/// A store with connections of its own for each event loop, and one on the control loop that also looks after the rest.
class RedisStores final : public SessionStores {
public:
    RedisStores(const config::Session& settings, boost::asio::io_context& control, ExpiryListener on_expiry)
        : shared_(settings), control_(control) {
        // Expired sessions are found on any loop.
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
    std::optional<std::size_t> size() const override { return std::nullopt; }

private:
    RedisShared shared_;
    boost::asio::io_context& control_;
    std::shared_ptr<RedisStore> own_;
};

}  // namespace

std::unique_ptr<SessionStores> open_stores(const config::Session& settings, boost::asio::io_context& control,
                                           ExpiryListener on_expiry) {
    if (settings.redis) return std::make_unique<RedisStores>(settings, control, std::move(on_expiry));
    if (settings.store.starts_with(LmdbStores::scheme))
        return std::make_unique<LmdbStores>(settings, std::move(on_expiry));
    return std::make_unique<MemoryStores>(settings, std::move(on_expiry));
}

}  // namespace rotagate::session
