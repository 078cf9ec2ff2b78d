#include "session/lmdb_waits.hpp"

#include <algorithm>

namespace rotagate::session {

LmdbWaits::LmdbWaits(LmdbWriter& writer, boost::asio::io_context& loop)
    : membership_(writer, loop,
                  [waits = std::weak_ptr<Waits>(waits_)](LmdbWriter::Round round, bool durable) {
                      settle(waits, round, durable);
                  }),
      loop_(loop) {}

void LmdbWaits::add(Millis patience, Done done) {
    const auto wait = std::make_shared<Wait>(membership_.request(), loop_, std::move(done));
    waits_->push_back(wait);
    wait->timer.expires_after(patience);
    wait->timer.async_wait(
        [waits = std::weak_ptr<Waits>(waits_), late = std::weak_ptr<Wait>(wait)](boost::system::error_code error) {
            const auto all = waits.lock();
            const auto self = late.lock();
            if (error || !all || !self || std::erase(*all, self) == 0) return;
            self->done(false);
        });
}

void LmdbWaits::settle(const std::weak_ptr<Waits>& waits, LmdbWriter::Round round, bool durable) {
    // One at a time: whatever a completion does, it may end with the store.
    while (const auto all = waits.lock()) {
        const auto found = std::ranges::find_if(*all, [&](const auto& wait) { return wait->round <= round; });
        if (found == all->end()) return;
        const auto wait = *found;
        all->erase(found);
        wait->timer.cancel();
        wait->done(durable);
    }
}

}  // namespace rotagate::session
