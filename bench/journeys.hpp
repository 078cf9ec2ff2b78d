#pragma once

#include <list>
#include <optional>
#include <set>

#include "bench/schedule.hpp"

/// Tells the site's mistakes from those of a network, site or machine that is too slow for the rotation's promise
/// (session/README.md, R1): requests and answers take a grace at most.
namespace rotagate::bench {

/// How long the site takes to answer anybody, as far as one event loop sees it.
class Pace {
public:
    /// @param slow  a request that waits for longer is slow
    explicit Pace(Clock::duration slow) : slow_(slow) {}

    void asked(Clock::time_point at) { waiting_.insert(at); }
    /// The answer's head has come, or never will.
    void over(Clock::time_point asked_at, Clock::time_point now);
    /// Whether any request was slow at or after that time.
    bool was_slow_since(Clock::time_point time, Clock::time_point now) const;

private:
    Clock::duration slow_;
    std::multiset<Clock::time_point> waiting_;
    Clock::time_point slow_until_{};
};

/// How a cookie came, and went with a request.
struct Journey {
    Clock::time_point minted_after;                  ///< the cookie is younger
    Clock::duration brought_within;                  ///< at most so long the answer that brought it was on its way
    Clock::time_point left;                          ///< the jar
    std::optional<Clock::duration> taken_within{};   ///< at most so long the request was; none: not answered yet
    std::optional<Clock::time_point> given_up_at{};  ///< nobody will hear when, or whether, the site dealt with it
};

/// The requests of one session that may have ended it. The one that is refused first need not be among them: a late one
/// ends the session for all that come after it, and its own answer may be late as well, or lost.
class Journeys {
public:
    using Place = std::list<Journey>::iterator;

    /// @param patience  what was given up is thought to have reached the site within that time, or never
    Journeys(Clock::duration grace, Clock::duration patience) : grace_(grace), patience_(patience) {}

    /// A request leaves with a cookie. @return  its place until it is settled
    Place begin(const Journey& journey) { return journeys_.insert(journeys_.end(), journey); }
    /// The session was there for it.
    void valid(Place place) { journeys_.erase(place); }
    /// Its answer was lost, never came, or tells nothing of the session.
    void give_up(Place place, Clock::time_point now);
    /// Whether one of them took, or may have taken, longer than the grace, so that the session's end is nobody's
    /// mistake.
    bool excuse(Clock::time_point now, const Pace& pace) const;

private:
    bool excuses(const Journey& journey, Clock::time_point now, const Pace& pace) const;

    Clock::duration grace_, patience_;
    std::list<Journey> journeys_;
};

}  // namespace rotagate::bench
