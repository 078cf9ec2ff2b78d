#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/record.hpp"

namespace rotagate::proxy {

/// A number with one writing thread and any number of readers: no locked instruction on the data path.
class Counter {
public:
    void add(std::uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void sub(std::uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
    }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// Durations in fixed buckets.
struct Histogram {
    static constexpr std::array<double, 14> bounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                   0.25,   0.5,   1.0,    2.5,   10.0, 60.0};  ///< seconds, upper
    std::array<Counter, bounds.size() + 1> buckets;
    Counter sum_microseconds;
    void observe(std::chrono::microseconds duration);
};

/// Why sessions start, end and are refused; the same words in the security log and as labels.
enum class Reason : std::uint8_t {
    login,
    logout,
    logout_user,
    idle,
    absolute,
    displaced,
    replaced,
    revoked_session,
    revoked_user,
    revoked_org,
    revoked_all,
    replay,
    forged,
    malformed,
    unknown_session,
    ambiguous_cookie,
    store_unavailable,
    invalid_login,
    certificate_mismatch,
    too_many_requests,
};
inline constexpr std::size_t reason_count = 20;
std::string_view reason_name(Reason reason);

/// The counters of one event loop (the admin thread has its own, for revocations and expiries).
struct LoopMetrics {
    std::array<Counter, 6> requests_by_class;  ///< by status / 100; 0: no answer
    Histogram request_duration, store_duration;
    std::array<Counter, reason_count> started, ended, refused;
    Counter connections_accepted, connections_open, connections_refused;
    Counter tls_handshakes_failed;
    Counter proxy_headers_refused;  ///< missing, malformed or late
    Counter store_calls;            ///< presentations that reached the store: none for a forged cookie
    Counter upstream_connects, upstream_connect_failures, upstream_retries;
    Counter bytes_in, bytes_out;
    Counter reloads_done, reloads_failed;  ///< of the configuration; the main thread's alone
    Counter tunnels_open;

    /// A request that is over; `store_duration` and `store_calls` are counted where the store is asked.
    void record(const RequestRecord& request);
};

/// All loops' counters, summed when somebody asks.
class Metrics {
public:
    LoopMetrics& add_loop();  ///< before the loops run
    /// A value that is read when asked, such as the number of sessions.
    void add_gauge(std::string name, std::string help, std::function<double()> read);
    std::string text() const;  ///< Prometheus text format 0.0.4
    /// Sums one counter over the loops.
    std::uint64_t sum(const std::function<std::uint64_t(const LoopMetrics&)>& read) const;

private:
    struct Gauge {
        std::string name, help;
        std::function<double()> read;
    };
    std::deque<LoopMetrics> loops_;
    std::vector<Gauge> gauges_;
};

}  // namespace rotagate::proxy
