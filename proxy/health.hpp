#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/deadlines.hpp"
#include "proxy/upstreams.hpp"

namespace rotagate::proxy {

/// The rule of `fall` and `rise` over the results of checks.
class HealthState {
public:
    HealthState(unsigned fall, unsigned rise) : fall_(fall), rise_(rise) {}
    /// @return whether the server counts as up now
    bool observe(bool healthy);

private:
    unsigned fall_, rise_, streak_ = 0;  // results in a row that speak against the state
    bool up_ = true;
};

/// Checks the servers of all upstreams, each by itself: with `health` by its path, else, for /readyz only, by
/// connecting.
class HealthChecks {
public:
    /// Starts at once. @param deadlines  of that loop; somebody ticks it
    HealthChecks(asio::io_context& loop, const std::vector<config::Upstream>& upstreams, const HealthTable& table,
                 Deadlines& deadlines);
    ~HealthChecks();
    /// Names of upstreams without a live server.
    std::vector<std::string> dead_upstreams() const;

private:
    struct Checked;
    Task<> watch(Checked& server);
    Task<bool> healthy(Checked& server);
    Task<bool> healthy_http2(const Checked& server, std::shared_ptr<Stream> transport);

    asio::io_context& loop_;
    Deadlines& deadlines_;
    std::vector<config::Upstream> upstreams_;
    const HealthTable& table_;
    std::vector<tls::Context> contexts_;
    std::vector<std::unique_ptr<Checked>> servers_;
    Tasks tasks_;  // the last: destroyed before what they use
};

}  // namespace rotagate::proxy
