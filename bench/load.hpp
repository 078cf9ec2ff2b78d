#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <vector>

#include "bench/client_loop.hpp"
#include "bench/load_report.hpp"
#include "bench/scenario.hpp"
#include "bench/schedule.hpp"

namespace rotagate::bench {

struct LoadSettings {
    ConnectionSettings connection;
    Scenario scenario;
    std::size_t users = 0;
    std::optional<double> rate;   ///< requests per second: open loop
    std::size_t connections = 0;  ///< requests in flight: closed loop, where there is no rate
    Arrivals arrivals = Arrivals::even;
    std::chrono::milliseconds warm_up{0}, duration{10'000};
    bool keep_alive = true;
    unsigned threads = 1;
    std::uint64_t seed = 1;
    std::vector<int> pids;  ///< whose CPU time is told
};

/// Signs all users in, runs the load, and tells how it went. SIGINT ends it early, with what there is by then.
/// @param progress  a line a second
/// Throws std::runtime_error where the load cannot begin: nobody can sign in, a process is not there, ...
LoadReport run_load(const LoadSettings& settings, std::ostream& progress);

}  // namespace rotagate::bench
