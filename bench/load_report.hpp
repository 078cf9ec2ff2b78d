#pragma once

#include <chrono>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/statistics.hpp"

namespace rotagate::bench {

/// What one second of the run looked like.
struct Second {
    double at = 0;  ///< its end, seconds since the load began; warm-up: below 0
    double length = 1;
    std::uint64_t answered = 0;
    FailureCounts failures{};
    Histogram::Duration p50{}, p99{}, max{};
};

/// The CPU time of a process while it was measured.
struct ProcessUse {
    int pid = 0;
    std::string name;
    std::optional<double> seconds;  ///< none: it has ended meanwhile
};

/// How a load went.
struct LoadReport {
    std::vector<std::pair<std::string, std::string>> settings;  ///< as the report shows them
    std::string started;                                        ///< RFC 3339
    std::vector<Second> seconds;
    Statistics total;                     ///< without the warm-up
    std::vector<std::string> step_names;  ///< for total.steps
    double measured = 0;                  ///< seconds
    std::uint64_t in_time = 0;            ///< answers that came in them
    std::uint64_t later = 0;              ///< of what was due in them; they count for the latency only
    std::uint64_t no_port = 0;            ///< of those that failed to connect: this machine had no port for them
    std::uint64_t unsent = 0;             ///< requests that were due, and for which nobody was free to the end
    std::vector<ProcessUse> processes;
    double own_cpu = 0;    ///< seconds
    double worst_lag = 0;  ///< seconds, of the tool's own timers

    double rate() const;  ///< answers per second
    /// Microseconds per answered request.
    double per_request(double cpu_seconds) const;
};

void write_text(const LoadReport& report, std::ostream& out);
/// The form is told in bench/README.md. Throws std::runtime_error where the file cannot be written.
void write_json(const LoadReport& report, const std::filesystem::path& file);
/// One file that needs nothing else, with plots.
void write_html(const LoadReport& report, const std::filesystem::path& file);

}  // namespace rotagate::bench
