#pragma once

#include <atomic>
#include <memory>

#include "session/memory_store.hpp"

namespace rotagate::session {

/// A clock that stands still until it is told to go on. Copies share the time.
class FakeClock {
public:
    Millis now() const { return Millis{time_->load()}; }
    void advance(Millis time) { *time_ += time.count(); }
    MemoryStore::Clock reader() const {
        return [time = time_] { return Millis{time->load()}; };
    }

private:
    std::shared_ptr<std::atomic<std::int64_t>> time_ = std::make_shared<std::atomic<std::int64_t>>(1'700'000'000'000);
};

}  // namespace rotagate::session
