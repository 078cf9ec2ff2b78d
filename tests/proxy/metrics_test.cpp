#include "proxy/metrics.hpp"

#include <catch2/catch.hpp>

using namespace rotagate::proxy;
using namespace std::chrono_literals;

namespace {

bool has_line(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

SCENARIO("the metrics of all loops are summed when somebody asks", "[metrics]") {
    Metrics metrics;
    LoopMetrics& first = metrics.add_loop();
    LoopMetrics& second = metrics.add_loop();
    GIVEN("requests on two loops") {
        RequestRecord request;
        request.status = 200;
        request.duration = 3ms;
        request.bytes_in = 5;
        request.bytes_out = 1024;
        first.record(request);
        second.record(request);
        request.status = 0;
        request.duration = 2min;
        second.record(request);
        const std::string text = metrics.text();
        THEN("they are counted by the class of their status") {
            CHECK(has_line(text, "# TYPE rotagate_requests_total counter"));
            CHECK(has_line(text, "rotagate_requests_total{class=\"2xx\"} 2"));
            CHECK(has_line(text, "rotagate_requests_total{class=\"none\"} 1"));
            CHECK(has_line(text, "rotagate_requests_total{class=\"5xx\"} 0"));
        }
        THEN("their durations are in cumulative buckets, in seconds") {
            CHECK(has_line(text, "rotagate_request_duration_seconds_bucket{le=\"0.0025\"} 0"));
            CHECK(has_line(text, "rotagate_request_duration_seconds_bucket{le=\"0.005\"} 2"));
            CHECK(has_line(text, "rotagate_request_duration_seconds_bucket{le=\"60\"} 2"));
            CHECK(has_line(text, "rotagate_request_duration_seconds_bucket{le=\"+Inf\"} 3"));
            CHECK(has_line(text, "rotagate_request_duration_seconds_count 3"));
            CHECK(has_line(text, "rotagate_request_duration_seconds_sum 120.006"));
        }
        THEN("body bytes are summed") {
            CHECK(has_line(text, "rotagate_bytes_in_total 15"));
            CHECK(has_line(text, "rotagate_bytes_out_total 3072"));
        }
    }
    GIVEN("a store that was asked on each loop") {
        first.store_duration.observe(40us);
        second.store_duration.observe(0us);
        const std::string text = metrics.text();
        THEN("its time is a histogram of its own") {
            CHECK(has_line(text, "rotagate_store_duration_seconds_bucket{le=\"0.0005\"} 2"));
            CHECK(has_line(text, "rotagate_store_duration_seconds_sum 4e-05"));
            CHECK(has_line(text, "rotagate_request_duration_seconds_count 0"));
        }
    }
    GIVEN("sessions that started, ended and were refused") {
        first.started[static_cast<std::size_t>(Reason::login)].add(2);
        second.ended[static_cast<std::size_t>(Reason::replay)].add();
        second.refused[static_cast<std::size_t>(Reason::forged)].add();
        second.refused[static_cast<std::size_t>(Reason::idle)].add();
        const std::string text = metrics.text();
        THEN("each has its reason as a label") {
            CHECK(has_line(text, "rotagate_sessions_started_total{reason=\"login\"} 2"));
            CHECK(has_line(text, "rotagate_sessions_ended_total{reason=\"replay\"} 1"));
            CHECK(has_line(text, "rotagate_refusals_total{reason=\"forged\"} 1"));
            CHECK(has_line(text, "rotagate_refusals_total{reason=\"idle\"} 1"));
        }
        THEN("a reason that belongs to a family is there before its first event") {
            CHECK(has_line(text, "rotagate_sessions_ended_total{reason=\"displaced\"} 0"));
            CHECK(has_line(text, "rotagate_refusals_total{reason=\"store_unavailable\"} 0"));
            CHECK(text.find("rotagate_sessions_ended_total{reason=\"login\"}") == std::string::npos);
        }
    }
    GIVEN("connections that come and go, and a gauge") {
        first.connections_accepted.add(3);
        first.connections_open.add(3);
        first.connections_open.sub();
        metrics.add_gauge("rotagate_sessions", "Sessions in the store.", [] { return 7.0; });
        const std::string text = metrics.text();
        THEN("they show what is there now") {
            CHECK(has_line(text, "rotagate_connections_accepted_total 3"));
            CHECK(has_line(text, "# TYPE rotagate_connections_open gauge"));
            CHECK(has_line(text, "rotagate_connections_open 2"));
            CHECK(has_line(text, "rotagate_sessions 7"));
        }
        THEN("one counter can be summed alone") {
            CHECK(metrics.sum([](const LoopMetrics& loop) { return loop.connections_accepted.value(); }) == 3);
        }
    }
    GIVEN("nothing at all") {
        THEN("the version is told") {
            CHECK(has_line(metrics.text(), "rotagate_build_info{version=\"" ROTAGATE_VERSION "\"} 1"));
        }
    }
}

TEST_CASE("every reason has a name of its own", "[metrics]") {
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < reason_count; ++i) {
        const std::string_view name = reason_name(static_cast<Reason>(i));
        CHECK(!name.empty());
        CHECK(std::find(names.begin(), names.end(), name) == names.end());
        names.push_back(name);
    }
}
