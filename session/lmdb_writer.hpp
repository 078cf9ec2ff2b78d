#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "session/lmdb_environment.hpp"
#include "session/memory_store.hpp"

namespace rotagate::session {

/// Copies what changes in a memory store to the disk, in rounds, on a thread of its own: at least every 40 ms, and at
/// once where somebody waits for it. All that wait share a round. What only presentations have changed is harmless to
/// lose (SPEC section 2, R5), and copied once a second: a page of the disk then takes many of them at once.
class LmdbWriter {
public:
    using Round = std::uint64_t;
    using Settled = std::function<void(Round, bool durable)>;

    /// @param idle_timeout  of the sessions: a short one is copied more often
    LmdbWriter(LmdbEnvironment& environment, MemoryStore& sessions, Millis idle_timeout);
    /// Writes all there is. Nothing else may use the sessions any more.
    ~LmdbWriter();
    LmdbWriter(const LmdbWriter&) = delete;
    LmdbWriter& operator=(const LmdbWriter&) = delete;

    /// Whether the last round could not be written.
    bool failing() const { return failing_; }
    /// Whether all that is older than 90 ms is written, so that a login need not wait.
    bool keeps_up() const;

    /// What an event loop has to wait for rounds. Once it is gone nothing is posted to that loop.
    class Membership {
    public:
        /// @param settled  posted to the loop when a round that was requested has ended
        Membership(LmdbWriter& writer, boost::asio::io_context& loop, Settled settled);
        ~Membership();
        Membership(const Membership&) = delete;
        Membership& operator=(const Membership&) = delete;

        /// The round, to be written soon, that has all that this thread has changed up to now.
        Round request();

    private:
        friend LmdbWriter;
        LmdbWriter& writer_;
        boost::asio::io_context& loop_;
        Settled settled_;
        Round wanted_ = 0;  ///< the newest round that was requested and has not ended; 0: none
    };

private:
    using Time = std::chrono::steady_clock::time_point;

    void schedule(Time when);
    void hasten();
    void round();
    bool write(bool renewals);
    void failed(const char* error);
    void settle(Round round, bool durable);

    LmdbEnvironment& environment_;
    MemoryStore& sessions_;
    const Millis renewal_interval_;
    LmdbBatch batch_;
    std::atomic<bool> failing_ = false;
    std::atomic<Time> durable_until_{};  ///< all changes before this are written
    Time last_end_{}, next_renewals_{};

    std::mutex mutex_;  ///< of the next two
    std::vector<Membership*> members_;
    Round filling_ = 1;  ///< the round that will have what changes now

    boost::asio::io_context loop_{1};
    boost::asio::steady_timer timer_{loop_};
    std::thread thread_;
};

}  // namespace rotagate::session
