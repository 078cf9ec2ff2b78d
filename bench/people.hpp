#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "bench/client_loop.hpp"
#include "bench/people_plan.hpp"
#include "bench/people_report.hpp"
#include "bench/scenario.hpp"

namespace rotagate::bench {

struct PeopleSettings {
    ConnectionSettings connection;
    std::size_t people = 100, thieves = 10;   ///< a thief has one victim, and steals from it again and again
    std::uint64_t page_views = 10'000;        ///< of all people together
    std::chrono::milliseconds grace{10'000};  ///< the gateway's rotation.grace
    double sign_ins = 100;                    ///< first logins a second: not all at once
    Habits habits;
    Step login, logout;
    std::vector<std::string> pages, parts;  ///< paths that need a session; one of each is chosen
    unsigned threads = 1;
    std::uint64_t seed = 1;
};

/// Lets people browse and thieves steal until all pages are viewed and all thefts are over. SIGINT ends it early.
/// @param progress  a line a second
PeopleReport run_people(const PeopleSettings& settings, std::ostream& progress);

}  // namespace rotagate::bench
