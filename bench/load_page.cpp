// The HTML report of a load.

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "bench/load_report.hpp"
#include "bench/page.hpp"
#include "bench/percentiles.hpp"
#include "bench/plot.hpp"

namespace rotagate::bench {
namespace {

/// Of this kind and those after it.
double failed_from(const Second& second, std::size_t kind) {
    double sum = 0;
    for (; kind < second.failures.size(); ++kind) sum += static_cast<double>(second.failures[kind]);
    return sum;
}

/// A plot over the time of the run.
Plot over_time(const LoadReport& report, std::string title, Axis y) {
    Plot plot;
    plot.title = std::move(title);
    const double begin = report.seconds.front().at - report.seconds.front().length;
    plot.x = linear_axis("seconds", report.seconds.back().at, std::min(begin, 0.0));
    plot.x.high = report.seconds.back().at;
    std::erase_if(plot.x.ticks, [&](const auto& tick) { return tick.first > plot.x.high; });
    plot.y = std::move(y);
    return plot;
}

template <class Value>
Series series(const LoadReport& report, std::string name, std::string style, Value value) {
    Series made{.name = std::move(name), .style = std::move(style), .points = {}};
    for (const Second& second : report.seconds) made.points.emplace_back(second.at, value(second));
    return made;
}

Plot latency_plot(const LoadReport& report) {
    double low = 1e9, high = 0.001;
    for (const Second& second : report.seconds) {
        if (second.p50.count() > 0) low = std::min(low, milliseconds(second.p50));
        high = std::max(high, milliseconds(second.max));
    }
    Plot plot = over_time(report, "Latency over time", logarithmic_axis("ms", std::min(low, high), high));
    plot.series.push_back(series(report, "max", "s3", [](const Second& s) { return milliseconds(s.max); }));
    plot.series.push_back(series(report, "p99", "s2", [](const Second& s) { return milliseconds(s.p99); }));
    plot.series.push_back(series(report, "p50", "s1", [](const Second& s) { return milliseconds(s.p50); }));
    return plot;
}

Plot rate_plot(const LoadReport& report) {
    const auto rate = [](const Second& s) { return static_cast<double>(s.answered) / s.length; };
    double high = 1;
    for (const Second& second : report.seconds) high = std::max(high, rate(second));
    Plot plot = over_time(report, "Answers per second", linear_axis("answers/s", high));
    plot.series.push_back(series(report, "answers/s", "s1", rate));
    return plot;
}

/// The kinds stand on one another: each bar reaches as high as its kind and all that follow.
Plot failure_plot(const LoadReport& report) {
    static constexpr std::string_view styles[] = {"s4", "s2", "s3", "s1"};
    double high = 1;
    for (const Second& second : report.seconds) high = std::max(high, failed_from(second, 1) / second.length);
    Plot plot = over_time(report, "Failures per second", linear_axis("failures/s", high));
    for (std::size_t kind = 1; kind < failure_names.size(); ++kind) {
        const bool happened = std::any_of(report.seconds.begin(), report.seconds.end(),
                                          [&](const Second& second) { return second.failures[kind] > 0; });
        if (!happened) continue;
        const std::string_view style = styles[plot.series.size() % std::size(styles)];
        plot.series.push_back(series(report, std::string(failure_names[kind]), std::string(style),
                                     [&](const Second& s) { return failed_from(s, kind) / s.length; }));
        plot.series.back().bars = true;
    }
    return plot;
}

/// The x axis spreads the tail: 90, 99, 99.9 % are equally far apart.
Plot percentile_plot(const LoadReport& report) {
    const Histogram& latency = report.total.latency;
    const double nines = std::max(2.0, std::ceil(std::log10(static_cast<double>(latency.count()) + 1)));
    Plot plot;
    plot.title = "Latency by percentile";
    plot.x = Axis{.label = "percent of the requests", .low = 0, .high = nines, .ticks = {{0, "0"}}};
    plot.x.ticks.emplace_back(std::log10(2), "50");
    for (int i = 1; i < static_cast<int>(nines); ++i)
        plot.x.ticks.emplace_back(i, fmt::format("{:.{}f}", 100 - 100 * std::pow(10, -i), std::max(0, i - 2)));
    plot.x.ticks.emplace_back(nines, "100");
    Series line{.name = "latency", .style = "s1", .points = {}};
    constexpr int points = 200;
    for (int i = 0; i <= points; ++i) {
        const double x = nines * i / points;
        line.points.emplace_back(x, milliseconds(latency.at(100 - 100 * std::pow(10, -x))));
    }
    const double low = std::max(milliseconds(latency.at(0)), 0.001);
    plot.y = logarithmic_axis("ms", low, std::max(milliseconds(latency.max()), low));
    plot.series.push_back(std::move(line));
    return plot;
}

void add_figures(Page& page, const LoadReport& report) {
    const Histogram& latency = report.total.latency;
    const auto ms = [](Histogram::Duration value) { return short_number(milliseconds(value)) + " ms"; };
    const std::uint64_t failed = report.total.failed() + report.unsent;
    page.begin_figures();
    page.figure(fmt::format("{:.0f}", report.rate()), "answers per second");
    page.figure(ms(latency.at(50)), "p50 latency");
    page.figure(ms(latency.at(99)), "p99 latency");
    page.figure(ms(latency.max()), "longest");
    page.figure(std::to_string(failed), "failed", failed == 0 ? "good" : "bad");
    for (const ProcessUse& process : report.processes)
        page.figure(process.seconds ? short_number(report.per_request(*process.seconds)) + " µs" : "ended",
                    "CPU of " + process.name + " per request");
    page.end_figures();
}

void add_tables(Page& page, const LoadReport& report) {
    page.heading("Requests");
    page.begin_table(
        {"request", "answered", "failed", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "p99.99 ms", "max ms"});
    const auto row = [&](const std::string& name, std::uint64_t answered, std::uint64_t failed,
                         const Histogram& latency) {
        std::vector<std::string> cells{name, std::to_string(answered), std::to_string(failed)};
        for (const auto& shown : shown_percentiles)
            cells.push_back(short_number(milliseconds(latency.at(shown.second))));
        cells.push_back(short_number(milliseconds(latency.max())));
        page.row(cells);
    };
    for (std::size_t i = 0; i < report.total.steps.size(); ++i) {
        const StepStatistics& step = report.total.steps[i];
        if (step.answered + step.failed > 0) row(report.step_names[i], step.answered, step.failed, step.latency);
    }
    row("all", report.total.answered(), report.total.failed(), report.total.latency);
    page.end_table();

    page.heading("Failures by kind");
    page.begin_table({"kind", "count"});
    for (std::size_t i = 1; i < failure_names.size(); ++i)
        if (report.total.failures[i] > 0)
            page.row({std::string(failure_names[i]), std::to_string(report.total.failures[i])});
    if (report.no_port > 0)
        page.row({fmt::format("connections that {}", no_port_cure), std::to_string(report.no_port)});
    if (report.unsent > 0) page.row({"unsent", std::to_string(report.unsent)});
    if (report.total.failed() + report.unsent == 0) page.row({"none", "0"});
    page.end_table();

    page.heading("CPU");
    page.begin_table({"process", "µs per request", "% of a core"});
    const auto use = [&](const std::string& name, double seconds) {
        page.row({name, short_number(report.per_request(seconds)), short_number(seconds / report.measured * 100)});
    };
    for (const ProcessUse& process : report.processes) {
        const std::string name = fmt::format("{} ({})", process.name, process.pid);
        if (process.seconds)
            use(name, *process.seconds);
        else
            page.row({name, "ended", "ended"});
    }
    use("rotagate-bench itself", report.own_cpu);
    page.end_table();

    page.heading("Settings");
    page.begin_table({"setting", "value"});
    page.row({"started", report.started});
    for (const auto& [name, value] : report.settings) page.row({name, value});
    page.row({"the tool's timers were late by at most", short_number(report.worst_lag * 1000) + " ms"});
    page.end_table();
}

}  // namespace

void write_html(const LoadReport& report, const std::filesystem::path& file) {
    Page page("Load test", report.settings.empty() ? "" : report.settings.front().second);
    add_figures(page, report);
    if (!report.seconds.empty()) {
        page.plot(latency_plot(report),
                  "Each point is one second. The scale is logarithmic: a line up is ten times slower.");
        page.plot(percentile_plot(report),
                  "How many percent of the requests were answered within which time, all of the run together. The "
                  "right end is what the unluckiest saw.");
        page.plot(rate_plot(report),
                  "Whole answers, whatever their status. The shaded part is the warm-up, which counts nowhere else.");
        page.plot(failure_plot(report), "Requests without an answer, or with one that counts as a failure.");
    }
    add_tables(page, report);
    page.write(file);
}

}  // namespace rotagate::bench
