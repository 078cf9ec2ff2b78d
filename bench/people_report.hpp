#pragma once

#include <filesystem>
#include <iosfwd>
#include <mutex>
#include <string>
#include <vector>

#include "bench/failure.hpp"
#include "bench/histogram.hpp"

namespace rotagate::bench {

/// What people and thieves have met with.
struct PeopleCounts {
    std::uint64_t views = 0, requests = 0;
    std::uint64_t lost = 0, late = 0, retries = 0;  ///< requests whose answer was lost; or late either way; tried again
    std::uint64_t logins = 0, logouts = 0;
    std::uint64_t let_in = 0;         ///< requests that a session was there for
    std::uint64_t turned_away = 0;    ///< the others that the site answered for the session: by 401, or the login page
    std::uint64_t false_logouts = 0;  ///< sessions that ended though nobody logged out, and no thief used them
    std::uint64_t inconclusive =
        0;                     ///< the same, but something took longer than the grace, or a theft was inconclusive
    std::uint64_t thefts = 0;  ///< cookies that were copied and used
    std::uint64_t inconclusive_thefts = 0;  ///< of them, those whose answers told nothing of the session
    std::uint64_t detected_at_thief = 0, detected_at_owner = 0;  ///< who was refused first
    std::uint64_t undetected = 0;        ///< accepted where they had to be refused, or the session lived on
    Histogram detection;                 ///< from a copy's first use until it was noticed
    FailureCounts failures{};            ///< of requests: no answer, or an error
    std::vector<std::string> incidents;  ///< the first false logouts and undetected thefts, a line each
    std::uint64_t decisions = 0;         ///< a digest; the same for the same seed, people and page views

    void merge(const PeopleCounts& other);
    void add_incident(std::string line);
};

/// Where an event loop counts.
class PeopleTally {
public:
    template <class Change>
    void change(Change change) {
        const std::lock_guard lock(mutex_);
        change(counts_);
    }
    PeopleCounts counts() const {
        const std::lock_guard lock(mutex_);
        return counts_;
    }

private:
    mutable std::mutex mutex_;
    PeopleCounts counts_;
};

struct PeopleReport {
    PeopleCounts counts;
    double seconds = 0;
    double grace = 0;           ///< seconds
    double worst_lag = 0;       ///< seconds, of the tool's own timers
    std::uint64_t no_port = 0;  ///< connections that could not be made for want of a port of this machine
    std::uint64_t seed = 0;
    bool is_complete = false;  ///< not interrupted

    /// Why nothing can be said of the site, with the cure: a session that nobody ever had cannot be lost. Empty: it
    /// can.
    std::string no_verdict() const;
    /// Whether the site kept its promises: nobody logged out, every thief noticed.
    bool is_good() const { return counts.false_logouts == 0 && counts.undetected == 0 && no_verdict().empty(); }
};

void write_text(const PeopleReport& report, std::ostream& out);
/// Throws std::runtime_error where the file cannot be written.
void write_json(const PeopleReport& report, const std::filesystem::path& file);

}  // namespace rotagate::bench
