#include "proxy/metrics.hpp"

#include <algorithm>
#include <limits>
#include <sstream>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace rotagate::proxy {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Loops = std::deque<LoopMetrics>;
using Reasons = std::array<Counter, reason_count>;

std::uint64_t sum(const Loops& loops, Counter LoopMetrics::*counter) {
    std::uint64_t total = 0;
    for (const LoopMetrics& loop : loops) total += (loop.*counter).value();
    return total;
}

MetricFamily single(std::string name, std::string help, MetricType type, double value) {
    ClientMetric metric;
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    return {std::move(name), std::move(help), type, {std::move(metric)}};
}

ClientMetric labelled(std::string label, std::string_view value, std::uint64_t count) {
    ClientMetric metric;
    metric.label.push_back({std::move(label), std::string{value}});
    metric.counter.value = static_cast<double>(count);
    return metric;
}

MetricFamily requests(const Loops& loops) {
    static constexpr std::array<std::string_view, 6> classes{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    MetricFamily family{"rotagate_requests_total",
                        "Requests by status class; none: the client left before an answer.",
                        MetricType::Counter,
                        {}};
    for (std::size_t i = 0; i < classes.size(); ++i) {
        std::uint64_t total = 0;
        for (const LoopMetrics& loop : loops) total += loop.requests_by_class[i].value();
        family.metric.push_back(labelled("class", classes[i], total));
    }
    return family;
}

/// The reasons that belong to the family, from `first` to `last`, are there from the start (a rate over a series that
/// appears with its first event misses that event); any other appears when it is counted.
MetricFamily by_reason(const Loops& loops, std::string name, std::string help, Reasons LoopMetrics::*counters,
                       Reason first, Reason last) {
    MetricFamily family{std::move(name), std::move(help), MetricType::Counter, {}};
    for (std::size_t i = 0; i < reason_count; ++i) {
        const auto reason = static_cast<Reason>(i);
        std::uint64_t total = 0;
        for (const LoopMetrics& loop : loops) total += (loop.*counters)[i].value();
        const bool expected = reason >= first && reason <= last;
        if (expected || total > 0) family.metric.push_back(labelled("reason", reason_name(reason), total));
    }
    return family;
}

MetricFamily histogram(const Loops& loops, std::string name, std::string help, Histogram LoopMetrics::*durations) {
    ClientMetric metric;
    std::uint64_t cumulative = 0, microseconds = 0;
    for (std::size_t i = 0; i <= Histogram::bounds.size(); ++i) {
        for (const LoopMetrics& loop : loops) cumulative += (loop.*durations).buckets[i].value();
        const double bound =
            i < Histogram::bounds.size() ? Histogram::bounds[i] : std::numeric_limits<double>::infinity();
        metric.histogram.bucket.push_back({cumulative, bound});
    }
    for (const LoopMetrics& loop : loops) microseconds += (loop.*durations).sum_microseconds.value();
    metric.histogram.sample_count = cumulative;
    metric.histogram.sample_sum = static_cast<double>(microseconds) / 1e6;
    return {std::move(name), std::move(help), MetricType::Histogram, {std::move(metric)}};
}

MetricFamily reloads(const Loops& loops) {
    MetricFamily family{"rotagate_config_reloads_total",
                        "Reloads of the configuration; failed: the one that was in force stayed so.",
                        MetricType::Counter,
                        {}};
    family.metric.push_back(labelled("result", "done", sum(loops, &LoopMetrics::reloads_done)));
    family.metric.push_back(labelled("result", "failed", sum(loops, &LoopMetrics::reloads_failed)));
    return family;
}

MetricFamily build_info() {
    ClientMetric metric;
    metric.label.push_back({"version", ROTAGATE_VERSION});
    metric.gauge.value = 1;
    return {"rotagate_build_info", "The version that runs; always 1.", MetricType::Gauge, {std::move(metric)}};
}

struct Plain {
    const char* name;
    const char* help;
    Counter LoopMetrics::*counter;
    MetricType type = MetricType::Counter;
};

constexpr Plain plain_metrics[] = {
    {"rotagate_store_calls_total", "Cookies that were presented to the store.", &LoopMetrics::store_calls},
    {"rotagate_connections_accepted_total", "Client connections accepted.", &LoopMetrics::connections_accepted},
    {"rotagate_connections_refused_total",
     "Client connections closed at once, over limits.connections or connections_per_client.",
     &LoopMetrics::connections_refused},
    {"rotagate_connections_open", "Client connections open now.", &LoopMetrics::connections_open, MetricType::Gauge},
    {"rotagate_proxy_headers_refused_total",
     "Connections closed since their PROXY header was missing, malformed or late.",
     &LoopMetrics::proxy_headers_refused},
    {"rotagate_tls_handshakes_failed_total", "TLS handshakes with clients that failed.",
     &LoopMetrics::tls_handshakes_failed},
    {"rotagate_upstream_connects_total", "Connections opened to apps.", &LoopMetrics::upstream_connects},
    {"rotagate_upstream_connect_failures_total", "Connections to apps that failed.",
     &LoopMetrics::upstream_connect_failures},
    {"rotagate_upstream_retries_total", "Requests that were sent again to an app.", &LoopMetrics::upstream_retries},
    {"rotagate_bytes_in_total", "Bytes of request bodies.", &LoopMetrics::bytes_in},
    {"rotagate_bytes_out_total", "Bytes of answer bodies.", &LoopMetrics::bytes_out},
    {"rotagate_tunnels_open", "WebSockets open now.", &LoopMetrics::tunnels_open, MetricType::Gauge},
};

}  // namespace

void Histogram::observe(std::chrono::microseconds duration) {
    const double seconds = std::chrono::duration<double>(duration).count();
    const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), seconds) - bounds.begin();
    buckets[static_cast<std::size_t>(bucket)].add();
    sum_microseconds.add(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)));
}

std::string_view reason_name(Reason reason) {
    switch (reason) {
        case Reason::login:
            return "login";
        case Reason::logout:
            return "logout";
        case Reason::logout_user:
            return "logout_user";
        case Reason::idle:
            return "idle";
        case Reason::absolute:
            return "absolute";
        case Reason::displaced:
            return "displaced";
        case Reason::replaced:
            return "replaced";
        case Reason::revoked_session:
            return "revoked_session";
        case Reason::revoked_user:
            return "revoked_user";
        case Reason::revoked_org:
            return "revoked_org";
        case Reason::revoked_all:
            return "revoked_all";
        case Reason::replay:
            return "replay";
        case Reason::forged:
            return "forged";
        case Reason::malformed:
            return "malformed";
        case Reason::unknown_session:
            return "unknown_session";
        case Reason::ambiguous_cookie:
            return "ambiguous_cookie";
        case Reason::store_unavailable:
            return "store_unavailable";
        case Reason::invalid_login:
            return "invalid_login";
        case Reason::certificate_mismatch:
            return "certificate_mismatch";
        case Reason::too_many_requests:
            return "too_many_requests";
    }
    return "";
}

void LoopMetrics::record(const RequestRecord& request) {
    const std::size_t status_class = request.status / 100;
    requests_by_class[status_class < requests_by_class.size() ? status_class : 0].add();
    if (!request.tunnel) request_duration.observe(request.duration);
    bytes_in.add(request.bytes_in);
    bytes_out.add(request.bytes_out);
}

LoopMetrics& Metrics::add_loop() { return loops_.emplace_back(); }

void Metrics::add_gauge(std::string name, std::string help, std::function<double()> read) {
    gauges_.push_back({std::move(name), std::move(help), std::move(read)});
}

std::string Metrics::text() const {
    std::vector<MetricFamily> families;
    families.push_back(build_info());
    families.push_back(requests(loops_));
    families.push_back(histogram(loops_, "rotagate_request_duration_seconds",
                                 "From the last byte of a request's head to the last of its answer.",
                                 &LoopMetrics::request_duration));
    families.push_back(histogram(loops_, "rotagate_store_duration_seconds",
                                 "How long the store took to check a cookie.", &LoopMetrics::store_duration));
    families.push_back(by_reason(loops_, "rotagate_sessions_started_total", "Sessions started.", &LoopMetrics::started,
                                 Reason::login, Reason::login));
    families.push_back(by_reason(loops_, "rotagate_sessions_ended_total", "Sessions ended, by reason.",
                                 &LoopMetrics::ended, Reason::logout, Reason::replay));
    families.push_back(by_reason(loops_, "rotagate_refusals_total", "Cookies and logins refused, by reason.",
                                 &LoopMetrics::refused, Reason::replay, Reason::too_many_requests));
    for (const Plain& plain : plain_metrics) {
        const auto value = static_cast<double>(proxy::sum(loops_, plain.counter));
        families.push_back(single(plain.name, plain.help, plain.type, value));
    }
    families.push_back(reloads(loops_));
    for (const Gauge& gauge : gauges_)
        families.push_back(single(gauge.name, gauge.help, MetricType::Gauge, gauge.read()));
    std::ostringstream out;
    prometheus::TextSerializer{}.Serialize(out, families);
    return std::move(out).str();
}

std::uint64_t Metrics::sum(const std::function<std::uint64_t(const LoopMetrics&)>& read) const {
    std::uint64_t total = 0;
    for (const LoopMetrics& loop : loops_) total += read(loop);
    return total;
}

}  // namespace rotagate::proxy
