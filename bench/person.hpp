#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/browser.hpp"
#include "bench/journeys.hpp"
#include "bench/people.hpp"
#include "bench/theft.hpp"

namespace rotagate::bench {

/// A login of a person, from the cookie that it brought to the end that anybody noticed.
struct OwnSession {
    OwnSession(Clock::duration grace, Clock::duration patience) : superseded(grace), journeys(grace, patience) {}

    bool left = false;       ///< the person logs out, or has
    bool lost = false;       ///< the site has refused it
    bool is_copied = false;  ///< a thief has its cookies
    bool has_survived = false;
    bool is_uncertain = false;                          ///< nobody knows whether the site has seen a copy that was used
    std::optional<Clock::time_point> first_theft;       ///< when a thief used a copy first
    std::optional<Clock::time_point> refused_at_thief;  ///< when that ended it
    Superseded superseded;                              ///< since it was copied
    Journeys journeys;

    bool is_over() const { return left || lost; }
};

/// Whose browser has some tabs, and one cookie jar for all of them. Belongs to one event loop.
class Person {
public:
    /// @param pace   of the site, as all people of the loop see it
    /// @param views  of all tabs together
    Person(const PeopleSettings& settings, ClientLoop& loop, PeopleTally& tally, Pace& pace, std::size_t number,
           std::uint64_t views);

    /// Signs in after a while, and browses. @param done  is called by each tab at its end
    void start(Clock::duration after, std::function<void()> done);
    std::size_t tabs() const { return tabs_.size(); }

    // ---- for the thief ----------------------------------------------------------------------------------------------

    /// None while it is signed out.
    std::shared_ptr<OwnSession> session() const { return is_changing_ ? nullptr : session_; }
    const CookieJar& jar() const { return jar_; }
    const std::string& name() const { return name_; }
    /// While it is followed it does not log out, and browses on beyond its number of views.
    void follow(bool on) { followers_ += on ? 1 : -1; }
    bool has_views_left() const { return views_left_ > 0; }

private:
    struct Tab {
        Random random;
        std::uint64_t views, digest = 0;
    };
    /// A request that is under way.
    struct Sent {
        Journeys::Place journey;
        Clock::time_point at;  ///< when it left the machine
    };
    struct Parts {
        std::size_t running = 0;
        proxy::Signal over;
    };

    Task<> browse(Tab& tab);
    Task<> view(const ViewPlan& plan);
    Task<> part(const RequestPlan& plan, Parts& parts);
    Task<> fetch(const RequestPlan& plan, const std::string& path, bool navigates);
    Journeys::Place leave();
    Task<> lose(const RequestPlan& plan, const Request& request);
    Task<> complete(const RequestPlan& plan, const Request& request);
    void adopt(const HttpClient& client, Clock::time_point sent_at);
    void judge(OwnSession& session, const HttpClient& client, const Request& request, Sent sent);
    void let_in(OwnSession& session, Sent sent);
    void refused(OwnSession& session, const HttpClient& client, const Request& request, const Journey& journey);

    Task<> begin(Clock::duration after);
    Task<> log_out();
    Task<> sign_in_again();
    Task<bool> sign_in();
    Task<Failure> submit(const Step& step);

    std::unique_ptr<HttpClient> take_client();
    void give_back(std::unique_ptr<HttpClient> client);
    Task<> pause(double graces);
    Clock::duration time(double graces) const;

    const PeopleSettings& settings_;
    ClientLoop& loop_;
    PeopleTally& tally_;
    Pace& pace_;
    Browser browser_;
    std::string name_;
    std::vector<Tab> tabs_;
    std::uint64_t views_left_;
    CookieJar jar_;
    Clock::time_point minted_after_{};  ///< of the cookie in the jar, as in Journey
    Clock::duration brought_within_{};
    std::shared_ptr<OwnSession> session_;
    bool is_changing_ = false;  ///< signing in or out: no tab begins a view
    std::size_t viewing_ = 0;
    std::function<void()> done_;
    int followers_ = 0;
    std::vector<std::unique_ptr<HttpClient>> idle_;
};

}  // namespace rotagate::bench
