#include "bench/people.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <ostream>

#include <fmt/format.h>

#include "bench/interruption.hpp"
#include "bench/person.hpp"
#include "bench/thief.hpp"

namespace rotagate::bench {
namespace {

using namespace std::chrono_literals;

/// The people and thieves of one event loop.
struct Crowd {
    /// What comes with a late request and takes longer than this may take longer than the grace.
    explicit Crowd(const PeopleSettings& settings)
        : loop(settings.connection),
          pace(std::chrono::duration_cast<Clock::duration>((1 - settings.habits.network) * settings.grace)) {}

    ClientLoop loop;
    PeopleTally tally;
    Pace pace;
    std::vector<std::unique_ptr<Person>> people;
    std::vector<std::unique_ptr<Thief>> thieves;
};

/// What keeps everybody from signing in, for an operator; empty: somebody has, or it is too early to tell. People would
/// try for ever.
std::string why_nobody_signs_in(const PeopleCounts& counts, double seconds) {
    constexpr double patience = 10;
    std::string met;
    for (std::size_t i = 1; i < counts.failures.size(); ++i)
        if (counts.failures[i] > 0) met += fmt::format(" {} {},", counts.failures[i], failure_names[i]);
    if (counts.logins > 0 || seconds < patience || met.empty()) return {};
    met.back() = ';';
    return fmt::format("nobody can sign in:{} look at --target, --login and --form{}\n", met,
                       counts.failures[index(Failure::tls)] > 0 ? ", and trust its certificate by --ca" : "");
}

class PeopleRun {
public:
    PeopleRun(const PeopleSettings& settings, std::ostream& progress);
    ~PeopleRun();
    PeopleReport run();

private:
    void start(std::size_t number);
    PeopleCounts counts() const;
    void tell(const PeopleCounts& counts, double seconds);

    const PeopleSettings& settings_;
    std::ostream& progress_;
    Interruption interruption_;
    std::vector<std::unique_ptr<Crowd>> crowds_;
    std::atomic<std::size_t> running_{0};  ///< tabs and thieves
};

PeopleRun::PeopleRun(const PeopleSettings& settings, std::ostream& progress)
    : settings_(settings), progress_(progress) {
    const std::size_t loops = std::min<std::size_t>(settings.threads, settings.people);
    for (std::size_t i = 0; i < loops; ++i) crowds_.push_back(std::make_unique<Crowd>(settings));
    for (std::size_t i = 0; i < settings.people; ++i) {
        Crowd& crowd = *crowds_[i % loops];
        const std::uint64_t views =
            settings.page_views / settings.people + (i < settings.page_views % settings.people ? 1 : 0);
        crowd.people.push_back(std::make_unique<Person>(settings, crowd.loop, crowd.tally, crowd.pace, i, views));
        running_ += crowd.people.back()->tabs();
        if (i >= settings.thieves) continue;
        crowd.thieves.push_back(std::make_unique<Thief>(settings, crowd.loop, crowd.tally, *crowd.people.back(), i));
        ++running_;
    }
}

PeopleRun::~PeopleRun() {
    for (const auto& crowd : crowds_) crowd->loop.stop();
}

void PeopleRun::start(std::size_t number) {
    Crowd& crowd = *crowds_[number];
    const auto done = [this] { --running_; };
    for (const auto& thief : crowd.thieves) thief->start(done);
    for (std::size_t i = 0; i < crowd.people.size(); ++i) {
        const std::chrono::duration<double> turn(static_cast<double>(i * crowds_.size() + number) / settings_.sign_ins);
        crowd.people[i]->start(std::chrono::duration_cast<Clock::duration>(turn), done);
    }
}

PeopleCounts PeopleRun::counts() const {
    PeopleCounts all;
    for (const auto& crowd : crowds_) all.merge(crowd->tally.counts());
    return all;
}

void PeopleRun::tell(const PeopleCounts& counts, double seconds) {
    progress_ << fmt::format(
                     "{:6.0f} s  {:9} page views  {:9} requests  {} false logouts  {} thefts, {} detected, {} not\n",
                     seconds, counts.views, counts.requests, counts.false_logouts, counts.thefts,
                     counts.detected_at_thief + counts.detected_at_owner, counts.undetected)
              << std::flush;
}

PeopleReport PeopleRun::run() {
    const auto began = Clock::now();
    const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - began).count(); };
    for (std::size_t i = 0; i < crowds_.size(); ++i) {
        crowds_[i]->loop.start();
        crowds_[i]->loop.post([this, i] { start(i); });
    }
    PeopleReport report;
    bool interrupted = false;
    for (int i = 1; running_ > 0 && !interrupted; ++i) {
        interrupted = interruption_.before(Clock::now() + 100ms);
        if (i % 10 != 0) continue;
        const PeopleCounts so_far = counts();
        tell(so_far, seconds());
        const std::string hopeless = why_nobody_signs_in(so_far, seconds());
        progress_ << hopeless;
        interrupted |= !hopeless.empty();
    }
    report.seconds = seconds();
    for (const auto& crowd : crowds_) {
        crowd->loop.stop();
        report.no_port += crowd->loop.no_port();
        report.worst_lag = std::max(report.worst_lag, std::chrono::duration<double>(crowd->loop.worst_lag()).count());
    }
    report.counts = counts();
    report.grace = std::chrono::duration<double>(settings_.grace).count();
    report.seed = settings_.seed;
    report.is_complete = !interrupted;
    return report;
}

}  // namespace

PeopleReport run_people(const PeopleSettings& settings, std::ostream& progress) {
    return PeopleRun(settings, progress).run();
}

}  // namespace rotagate::bench
