#include "session/lmdb_writer.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace rotagate::session {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr auto interval = 40ms;         ///< from the start of a round to the next, while nobody waits
constexpr auto gathering = 5ms;         ///< the least pause between two: a crowd of logouts shares one
constexpr auto retry_interval = 200ms;  ///< the same after a failure
constexpr auto login_window = 90ms;

}  // namespace

LmdbWriter::LmdbWriter(LmdbEnvironment& environment, MemoryStore& sessions, Millis idle_timeout)
    : environment_(environment), sessions_(sessions), renewal_interval_(std::min<Millis>(1s, idle_timeout / 10)) {
    durable_until_ = steady_clock::now();
    schedule(steady_clock::now() + interval);
    thread_ = std::thread([this] { loop_.run(); });
}

LmdbWriter::~LmdbWriter() {
    loop_.stop();
    thread_.join();
    sessions_.note_all();
    if (write(true)) return;
    spdlog::error(
        "lmdb.changes_lost path={} sessions={} detail=\"what changed since the last write is not on the disk\"",
        environment_.folder().string(), batch_.changes().size());
}

bool LmdbWriter::keeps_up() const { return steady_clock::now() - durable_until_.load() < login_window; }

void LmdbWriter::schedule(Time when) {
    timer_.expires_at(when);
    timer_.async_wait([this](boost::system::error_code error) {
        if (!error) round();
    });
}

void LmdbWriter::hasten() {
    const Time soonest = last_end_ + (failing_ ? Time::duration{retry_interval} : Time::duration{gathering});
    if (soonest < timer_.expiry()) schedule(soonest);
}

void LmdbWriter::round() {
    Round number = 0;
    {
        const std::scoped_lock lock(mutex_);
        number = filling_++;
    }
    const Time begin = steady_clock::now();
    const bool renewals = begin >= next_renewals_;
    if (renewals) next_renewals_ = begin + renewal_interval_;
    const bool durable = write(renewals);
    if (durable) durable_until_ = begin;
    last_end_ = steady_clock::now();
    schedule(durable ? begin + interval : last_end_ + retry_interval);
    settle(number, durable);
}

/// Takes what has been noted up to now. Returns whether that, and what was left of earlier rounds, is on the disk.
bool LmdbWriter::write(bool renewals) {
    try {
        sessions_.take_changes(renewals, batch_);
        environment_.write(batch_, sessions_.now());
    } catch (const std::exception& error) {
        failed(error.what());
        return false;
    }
    if (failing_.exchange(false)) spdlog::warn("lmdb.recovered path={}", environment_.folder().string());
    return true;
}

void LmdbWriter::failed(const char* error) {
    if (failing_.exchange(true)) return;
    spdlog::error(
        "lmdb.write_failed path={} error=\"{}\" cure=\"make room on the disk, or see what the kernel's log says of it; "
        "what is not written is kept, and tried again\"",
        environment_.folder().string(), error);
}

void LmdbWriter::settle(Round round, bool durable) {
    const std::scoped_lock lock(mutex_);
    for (Membership* member : members_) {
        if (member->wanted_ == 0) continue;
        if (member->wanted_ <= round) member->wanted_ = 0;
        boost::asio::post(member->loop_, [settled = member->settled_, round, durable] { settled(round, durable); });
    }
}

LmdbWriter::Membership::Membership(LmdbWriter& writer, boost::asio::io_context& loop, Settled settled)
    : writer_(writer), loop_(loop), settled_(std::move(settled)) {
    const std::scoped_lock lock(writer_.mutex_);
    writer_.members_.push_back(this);
}

LmdbWriter::Membership::~Membership() {
    const std::scoped_lock lock(writer_.mutex_);
    std::erase(writer_.members_, this);
}

LmdbWriter::Round LmdbWriter::Membership::request() {
    Round round = 0;
    {
        const std::scoped_lock lock(writer_.mutex_);
        wanted_ = round = writer_.filling_;
    }
    boost::asio::post(writer_.loop_, [&writer = writer_] { writer.hasten(); });
    return round;
}

}  // namespace rotagate::session
