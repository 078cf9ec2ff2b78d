#include "session/stores.hpp"

#include "session/lmdb_store.hpp"
#include "session/memory_store.hpp"

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

}  // namespace

std::unique_ptr<SessionStores> open_stores(const config::Session& settings, boost::asio::io_context&,
                                           ExpiryListener on_expiry) {
    if (settings.store.starts_with(LmdbStores::scheme))
        return std::make_unique<LmdbStores>(settings, std::move(on_expiry));
    return std::make_unique<MemoryStores>(settings, std::move(on_expiry));
}

}  // namespace rotagate::session
