#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/deadlines.hpp"
#include "proxy/snapshot.hpp"

namespace rotagate::proxy {

/// The rule of `fall` and `rise` over the results of checks.
class HealthState {
public:
    /// @param up  what it begins with
    HealthState(unsigned fall, unsigned rise, bool up = true) : fall_(fall), rise_(rise), up_(up) {}
    /// @return whether the server counts as up now
    bool observe(bool healthy);

private:
    unsigned fall_, rise_, streak_ = 0;  // results in a row that speak against the state
    bool up_;
};

/// Checks the servers of all upstreams, each by itself: with `health` by its path, else, for /readyz only, by
/// connecting.
class HealthChecks {
public:
    /// @param deadlines  of that loop; somebody ticks it
    HealthChecks(asio::io_context& loop, Deadlines& deadlines);
    ~HealthChecks();
    /// Checks these from here on. What was checked before goes on undisturbed, and what is not among them ends.
    /// @param upstreams  the contexts of those that are new are taken out
    void follow(std::vector<Snapshot::Upstream>& upstreams);
    /// Names of upstreams without a live server.
    std::vector<std::string> dead_upstreams() const;

private:
    struct Checked;
    struct Group;
    Task<> watch(std::shared_ptr<Group> group, Checked& server);
    /// @return what is wrong with it, in words; empty: nothing
    Task<std::string> ailment(const config::Upstream& upstream, Checked& server);
    Task<std::string> ailment_http1(const config::Upstream& upstream, const Checked& server, Stream& app,
                                    config::Duration patience);
    Task<std::string> ailment_http2(const config::Upstream& upstream, const Checked& server,
                                    std::shared_ptr<Stream> transport, config::Duration patience);

    asio::io_context& loop_;
    Deadlines& deadlines_;
    std::vector<std::shared_ptr<Group>> groups_;
    Tasks tasks_;  // the last: destroyed before what they use
};

}  // namespace rotagate::proxy
