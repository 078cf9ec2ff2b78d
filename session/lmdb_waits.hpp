#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "session/lmdb_writer.hpp"

namespace rotagate::session {

/// The calls of one event loop that wait until what they did is on the disk. Used on that loop only. Calls that still
/// wait when it goes are never completed.
class LmdbWaits {
public:
    /// @param durable  false: it could not be written, or not in time
    using Done = std::function<void(bool durable)>;

    LmdbWaits(LmdbWriter& writer, boost::asio::io_context& loop);

    /// Calls `done`, later, once all that has been noted up to now is written.
    void add(Millis patience, Done done);

private:
    struct Wait {
        Wait(LmdbWriter::Round round_, boost::asio::io_context& loop, Done done_)
            : round(round_), timer(loop), done(std::move(done_)) {}
        LmdbWriter::Round round;
        boost::asio::steady_timer timer;
        Done done;
    };
    using Waits = std::deque<std::shared_ptr<Wait>>;

    static void settle(const std::weak_ptr<Waits>& waits, LmdbWriter::Round round, bool durable);

    std::shared_ptr<Waits> waits_ = std::make_shared<Waits>();  ///< whoever posts here holds it weakly
    LmdbWriter::Membership membership_;
    boost::asio::io_context& loop_;
};

}  // namespace rotagate::session
