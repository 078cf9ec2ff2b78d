#include "bench/load_report.hpp"

#include <fstream>
#include <ostream>
#include <stdexcept>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "bench/percentiles.hpp"
#include "bench/plot.hpp"

namespace rotagate::bench {

namespace json = boost::json;

double LoadReport::rate() const { return static_cast<double>(in_time) / measured; }

double LoadReport::per_request(double cpu_seconds) const {
    return in_time == 0 ? 0 : cpu_seconds * 1e6 / static_cast<double>(in_time);
}

// ---- text -----------------------------------------------------------------------------------------------------------

void write_text(const LoadReport& report, std::ostream& out) {
    out << fmt::format("\n{} requests answered in {:.1f} s, {:.0f} a second; {}{} failed\n", report.in_time,
                       report.measured, report.rate(),
                       report.later > 0 ? fmt::format("{} more later; ", report.later) : "",
                       report.total.failed() + report.unsent);
    out << "latency";
    for (const auto& [name, percentile] : shown_percentiles)
        out << fmt::format("  {} {} ms", name, short_number(milliseconds(report.total.latency.at(percentile))));
    out << fmt::format("  max {} ms\n", short_number(milliseconds(report.total.latency.max())));
    for (std::size_t i = 0; i < report.total.steps.size(); ++i) {
        const StepStatistics& step = report.total.steps[i];
        if (step.answered + step.failed == 0) continue;
        out << fmt::format("  {:<32} {:>9} answered  {:>6} failed  p50 {:>8} ms  p99 {:>8} ms\n", report.step_names[i],
                           step.answered, step.failed, short_number(milliseconds(step.latency.at(50))),
                           short_number(milliseconds(step.latency.at(99))));
    }
    for (std::size_t i = 1; i < failure_names.size(); ++i)
        if (report.total.failures[i] > 0)
            out << fmt::format("failed: {:<14} {}\n", failure_names[i], report.total.failures[i]);
    if (report.no_port > 0) out << fmt::format("{} connections {}\n", report.no_port, no_port_cure);
    if (report.unsent > 0) out << fmt::format("failed: {:<14} {}\n", "unsent", report.unsent);
    for (const ProcessUse& process : report.processes) {
        if (process.seconds)
            out << fmt::format("CPU of {} ({}): {:.1f} us per request, {:.0f} % of a core\n", process.name, process.pid,
                               report.per_request(*process.seconds), *process.seconds / report.measured * 100);
        else
            out << fmt::format("CPU of {} ({}): ended before the load did\n", process.name, process.pid);
    }
    out << fmt::format("CPU of this tool: {:.1f} us per request; its timers were late by {} ms at most\n",
                       report.per_request(report.own_cpu), short_number(report.worst_lag * 1000));
}

// ---- JSON -----------------------------------------------------------------------------------------------------------

namespace {

json::object latency_json(const Histogram& latency) {
    json::object object{{"count", latency.count()}, {"mean_us", latency.mean()}};
    for (const auto& [name, percentile] : shown_percentiles)
        object[std::string(name) + "_us"] = latency.at(percentile).count();
    object["max_us"] = latency.max().count();
    return object;
}

json::object failures_json(const FailureCounts& failures) {
    json::object object;
    for (std::size_t i = 1; i < failures.size(); ++i)
        object[json::string_view(failure_names[i].data(), failure_names[i].size())] = failures[i];
    return object;
}

json::array seconds_json(const LoadReport& report) {
    json::array seconds;
    for (const Second& second : report.seconds) {
        seconds.push_back(json::object{{"at", second.at},
                                       {"length", second.length},
                                       {"answered", second.answered},
                                       {"failed", failures_json(second.failures)},
                                       {"p50_us", second.p50.count()},
                                       {"p99_us", second.p99.count()},
                                       {"max_us", second.max.count()}});
    }
    return seconds;
}

json::array steps_json(const LoadReport& report) {
    json::array steps;
    for (std::size_t i = 0; i < report.total.steps.size(); ++i) {
        const StepStatistics& step = report.total.steps[i];
        if (step.answered + step.failed == 0) continue;
        steps.push_back(json::object{{"name", report.step_names[i]},
                                     {"answered", step.answered},
                                     {"failed", step.failed},
                                     {"latency", latency_json(step.latency)}});
    }
    return steps;
}

json::array processes_json(const LoadReport& report) {
    json::array processes;
    for (const ProcessUse& process : report.processes) {
        json::object one{{"pid", process.pid}, {"name", process.name}, {"ended", !process.seconds}};
        if (process.seconds) {
            one["cpu_seconds"] = *process.seconds;
            one["cpu_us_per_request"] = report.per_request(*process.seconds);
        }
        processes.push_back(std::move(one));
    }
    return processes;
}

}  // namespace

void write_json(const LoadReport& report, const std::filesystem::path& file) {
    json::object settings;
    for (const auto& [name, value] : report.settings) settings[name] = value;
    json::object failed = failures_json(report.total.failures);
    failed["unsent"] = report.unsent;
    const json::object whole{{"started", report.started},
                             {"settings", settings},
                             {"seconds", report.measured},
                             {"answered", report.total.answered()},
                             {"answered_in_time", report.in_time},
                             {"rate", report.rate()},
                             {"failed", failed},
                             {"no_port", report.no_port},
                             {"latency", latency_json(report.total.latency)},
                             {"steps", steps_json(report)},
                             {"processes", processes_json(report)},
                             {"tool", json::object{{"cpu_us_per_request", report.per_request(report.own_cpu)},
                                                   {"worst_lag_us", report.worst_lag * 1e6}}},
                             {"timeline", seconds_json(report)}};
    std::ofstream out(file);
    if (!(out << json::serialize(whole) << '\n' << std::flush))
        throw std::runtime_error(file.string() + ": cannot be written");
}

}  // namespace rotagate::bench
