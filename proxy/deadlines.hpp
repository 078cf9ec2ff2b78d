#pragma once

#include <chrono>
#include <functional>
#include <list>

#include <boost/intrusive/list.hpp>

namespace rotagate::proxy {

/// Something that must have happened by a point in time. Destroying it disarms it.
class Deadline : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    explicit Deadline(std::function<void()> on_expiry) : on_expiry_(std::move(on_expiry)) {}
    void disarm() { unlink(); }
    bool armed() const { return is_linked(); }

private:
    friend class Deadlines;
    std::function<void()> on_expiry_;
    std::chrono::steady_clock::time_point at_;
};

/// All deadlines of one event loop. One coarse tick serves them, for a timer per operation costs 6 to 17 % of a
/// request; each is up to two ticks late, never early. Deadlines of one duration are a list in order of expiry, so
/// arming one and disarming it touch no more than its neighbours.
class Deadlines {
public:
    static constexpr std::chrono::milliseconds tick_length{50};

    /// Arms it, or moves it where it was armed before. @param after  0: disarms it, for "no limit"
    void arm(Deadline& deadline, std::chrono::milliseconds after);
    /// Frees what durations that nothing waits for have left behind; not from inside of tick().
    void forget_unused();
    /// Calls what has expired. @param now  at least every tick_length
    void tick(std::chrono::steady_clock::time_point now);
    /// The time of the last tick: good enough for everything that is measured in seconds.
    std::chrono::steady_clock::time_point now() const { return now_; }

private:
    using List = boost::intrusive::list<Deadline, boost::intrusive::constant_time_size<false>>;
    struct SameDuration {
        std::chrono::milliseconds duration;
        List deadlines;
    };
    List& list_for(std::chrono::milliseconds duration);

    std::list<SameDuration> lists_;  // a handful: one for each timeout of the configuration
    std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
};

}  // namespace rotagate::proxy
