#include "bench/people_report.hpp"

#include <fstream>
#include <ostream>
#include <stdexcept>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "bench/plot.hpp"

namespace rotagate::bench {
namespace {

namespace json = boost::json;

constexpr std::size_t shown_incidents = 20;

double seconds(Histogram::Duration value) { return static_cast<double>(value.count()) / 1e6; }

double per_view(const PeopleCounts& counts, std::uint64_t number) {
    return counts.views == 0 ? 0 : static_cast<double>(number) / static_cast<double>(counts.views);
}

std::uint64_t detected(const PeopleCounts& counts) { return counts.detected_at_thief + counts.detected_at_owner; }

json::object met_failures_json(const FailureCounts& failures) {
    json::object object;
    for (std::size_t i = 1; i < failures.size(); ++i)
        if (failures[i] > 0) object[json::string_view(failure_names[i].data(), failure_names[i].size())] = failures[i];
    return object;
}

}  // namespace

void PeopleCounts::add_incident(std::string line) {
    if (incidents.size() < shown_incidents) incidents.push_back(std::move(line));
}

void PeopleCounts::merge(const PeopleCounts& other) {
    views += other.views;
    requests += other.requests;
    lost += other.lost;
    late += other.late;
    retries += other.retries;
    logins += other.logins;
    logouts += other.logouts;
    let_in += other.let_in;
    turned_away += other.turned_away;
    false_logouts += other.false_logouts;
    inconclusive += other.inconclusive;
    thefts += other.thefts;
    inconclusive_thefts += other.inconclusive_thefts;
    detected_at_thief += other.detected_at_thief;
    detected_at_owner += other.detected_at_owner;
    undetected += other.undetected;
    detection.merge(other.detection);
    for (std::size_t i = 0; i < failures.size(); ++i) failures[i] += other.failures[i];
    for (const std::string& line : other.incidents) add_incident(line);
    decisions ^= other.decisions;
}

std::string PeopleReport::no_verdict() const {
    if (counts.let_in > 0) return {};
    std::string met;
    if (counts.turned_away > 0) met += fmt::format(" {} got 401 or the login page,", counts.turned_away);
    for (std::size_t i = 1; i < counts.failures.size(); ++i)
        if (counts.failures[i] > 0) met += fmt::format(" {} {},", counts.failures[i], failure_names[i]);
    if (met.empty()) met = " nothing was answered,";
    met.back() = ';';
    return fmt::format("nobody was let in to a single page after {} logins:{} look at {}", counts.logins, met,
                       counts.logins == 0 ? "--target, --login and --form" : "--page, --part, --login and --form");
}

namespace {

void write_verdict(const PeopleReport& report, std::ostream& out) {
    const PeopleCounts& counts = report.counts;
    const std::uint64_t judged = detected(counts) + counts.undetected;
    out << fmt::format("false logouts: {} ({} per page view)\n", counts.false_logouts,
                       short_number(per_view(counts, counts.false_logouts)));
    if (counts.inconclusive > 0)
        out << fmt::format(
            "inconclusive: {} logouts where this machine or the site took longer than the grace, or a theft was "
            "inconclusive; use fewer people, or a longer grace\n",
            counts.inconclusive);
    out << fmt::format("thefts: {}, detected {} of {}: {} when the thief came, {} when the owner came\n", counts.thefts,
                       detected(counts), judged, counts.detected_at_thief, counts.detected_at_owner);
    if (counts.inconclusive_thefts > 0)
        out << fmt::format(
            "inconclusive: {} thefts where thieves got no answer, or errors such as 403 or 429, which tell nothing of "
            "the session\n",
            counts.inconclusive_thefts);
    if (counts.detection.count() > 0)
        out << fmt::format("time from first use to detection: p50 {} s, p90 {} s, max {} s (grace {} s)\n",
                           short_number(seconds(counts.detection.at(50))),
                           short_number(seconds(counts.detection.at(90))),
                           short_number(seconds(counts.detection.max())), short_number(report.grace));
}

}  // namespace

void write_text(const PeopleReport& report, std::ostream& out) {
    const PeopleCounts& counts = report.counts;
    out << fmt::format(
        "\n{} page views, {} requests in {:.0f} s: {} answers lost, {} requests or answers late, {} retries, "
        "{} logins, {} logouts\n",
        counts.views, counts.requests, report.seconds, counts.lost, counts.late, counts.retries, counts.logins,
        counts.logouts);
    if (const std::string why = report.no_verdict(); why.empty()) {
        write_verdict(report, out);
    } else {
        out << "no verdict: " << why << '\n';
    }
    for (std::size_t i = 1; i < counts.failures.size(); ++i)
        if (counts.failures[i] > 0) out << fmt::format("failed: {:<14} {}\n", failure_names[i], counts.failures[i]);
    if (report.no_port > 0) out << fmt::format("{} connections {}\n", report.no_port, no_port_cure);
    for (const std::string& line : counts.incidents) out << line << '\n';
    out << fmt::format("seed {}, decisions {:016x}; this tool's timers were late by {} ms at most\n", report.seed,
                       counts.decisions, short_number(report.worst_lag * 1000));
    if (!report.is_complete) out << "interrupted: thefts that were under way are not judged\n";
}

void write_json(const PeopleReport& report, const std::filesystem::path& file) {
    const PeopleCounts& counts = report.counts;
    json::array incidents;
    for (const std::string& line : counts.incidents) incidents.emplace_back(line);
    const json::object whole{{"good", report.is_good()},
                             {"complete", report.is_complete},
                             {"seconds", report.seconds},
                             {"grace_seconds", report.grace},
                             {"seed", report.seed},
                             {"decisions", fmt::format("{:016x}", counts.decisions)},
                             {"page_views", counts.views},
                             {"requests", counts.requests},
                             {"lost", counts.lost},
                             {"late", counts.late},
                             {"retries", counts.retries},
                             {"logins", counts.logins},
                             {"logouts", counts.logouts},
                             {"let_in", counts.let_in},
                             {"false_logouts", counts.false_logouts},
                             {"false_logouts_per_page_view", per_view(counts, counts.false_logouts)},
                             {"inconclusive", counts.inconclusive},
                             {"thefts", counts.thefts},
                             {"inconclusive_thefts", counts.inconclusive_thefts},
                             {"detected", detected(counts)},
                             {"detected_at_thief", counts.detected_at_thief},
                             {"detected_at_owner", counts.detected_at_owner},
                             {"undetected", counts.undetected},
                             {"detection_seconds", json::object{{"p50", seconds(counts.detection.at(50))},
                                                                {"p90", seconds(counts.detection.at(90))},
                                                                {"max", seconds(counts.detection.max())}}},
                             {"failed", met_failures_json(counts.failures)},
                             {"no_port", report.no_port},
                             {"incidents", incidents},
                             {"worst_lag_us", report.worst_lag * 1e6}};
    std::ofstream out(file);
    if (!(out << json::serialize(whole) << '\n' << std::flush))
        throw std::runtime_error(file.string() + ": cannot be written");
}

}  // namespace rotagate::bench
