#pragma once

#include <functional>

#include "bench/person.hpp"

namespace rotagate::bench {

/// Copies the cookies of one victim and uses them from a machine of its own, again and again.
class Thief {
public:
    Thief(const PeopleSettings& settings, ClientLoop& loop, PeopleTally& tally, Person& victim, std::size_t number);
    /// @param done  is called once the victim has no views left, and the last theft is over
    void start(std::function<void()> done);

private:
    struct Loot {
        std::shared_ptr<OwnSession> session;
        CookieJar jar;
        Clock::time_point minted_before;  ///< its newest cookie is older
    };
    /// Unclear: no answer, or a 403, 429, 500, ..., which do not tell whether the session was looked at.
    enum class Outcome { accepted, refused, unclear };

    Task<> work(std::function<void()> done);
    Task<> steal(const TheftPlan& plan);
    Task<Loot> copy();
    Task<> exploit(Loot& loot, const TheftPlan& plan);
    Task<Outcome> use(Loot& loot);
    Task<bool> wait_until_worthless(const Loot& loot);
    Task<> wait_for_owner(const OwnSession& session);
    void detected(OwnSession& session);
    void undetected(std::string_view why);
    void inconclusive(OwnSession& session);
    Task<> pause(double graces);

    const PeopleSettings& settings_;
    ClientLoop& loop_;
    PeopleTally& tally_;
    Person& victim_;
    Random random_;
    std::unique_ptr<HttpClient> client_;
};

}  // namespace rotagate::bench
