#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "bench/http_client.hpp"
#include "bench/load.hpp"
#include "bench/statistics.hpp"

namespace rotagate::bench {

/// The users of one event loop. All calls belong to the loop's own thread.
class LoadLoop {
public:
    /// @param tally  one step more than the scenario has requests for the login, and one for the logout
    LoadLoop(const LoadSettings& settings, ClientLoop& loop, Tally& tally, Schedule::Share share);
    ~LoadLoop();

    /// Signs all users in, a few at a time; then calls.
    void sign_in_all(std::function<void(std::size_t signed_in)> done);
    /// Runs the load. Nothing is due before `start`, when the warm-up begins.
    void begin(Clock::time_point start);
    /// Lets nothing more become due; calls once all that was due is answered, or has failed.
    void end(std::function<void()> done);
    /// Counts what was due behind the warm-up, and is still not answered, as time-outs. For a loop that has stopped.
    void give_up(Clock::time_point now);
    /// Requests that were due behind the warm-up, and that nobody has been free for.
    std::size_t unsent() const {
        return static_cast<std::size_t>(overdue_.end() - std::ranges::lower_bound(overdue_, zero_));
    }

    static std::vector<std::string> step_names(const Scenario& scenario);

private:
    struct User;

    Task<> sign_in_some();
    Task<> live(User& user);
    Task<> act(User& user);
    Task<Failure> ask(User& user, const Step& step);
    Task<> sign_in(User& user);
    Request compose(User& user, const Step& step) const;
    Failure judge(const User& user, const Step& step) const;
    bool sent_to_login(const User& user) const;
    void hand_out(Clock::time_point due);
    void keep_busy();
    void await_due();
    void become_due();
    void tell_end();

    const LoadSettings& settings_;
    ClientLoop& loop_;
    Tally& tally_;
    Schedule::Share share_;
    std::vector<Step> steps_;  ///< of the scenario, then login, then logout
    std::size_t login_, logout_;
    Mix mix_;
    std::string body_;       ///< of the length of the largest; smaller ones are its front
    std::size_t in_flight_;  ///< closed loop: requests
    std::vector<std::unique_ptr<User>> users_;
    std::deque<User*> idle_;
    std::deque<Clock::time_point> overdue_;  ///< in their order
    Clock::time_point zero_;                 ///< the end of the warm-up
    Clock::time_point until_;                ///< nothing is due behind it
    std::size_t next_to_sign_in_ = 0, signing_in_ = 0, signed_in_ = 0, busy_ = 0;
    std::optional<Schedule> schedule_;
    asio::steady_timer due_;
    bool ended_ = false;
    std::function<void(std::size_t)> all_signed_in_;
    std::function<void()> all_done_;
};

}  // namespace rotagate::bench
