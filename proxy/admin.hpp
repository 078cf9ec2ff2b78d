#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/config.hpp"
#include "proxy/access_log.hpp"
#include "proxy/admin_gate.hpp"
#include "proxy/metrics.hpp"
#include "session/store.hpp"

namespace rotagate::proxy {

/// What the admin address needs of the rest; all must outlive it.
struct AdminParts {
    session::SessionStore& store;
    Metrics& metrics;
    LoopMetrics& loop_metrics;  ///< of the thread that runs the admin address
    SecurityLog& security_log;
    /// Names of upstreams without a live server.
    std::function<std::vector<std::string>()> dead_upstreams;
};

/// The admin address (SPEC section 6): HTTP/1.1 and JSON on an event loop of its own, by Boost.Beast.
/// Not for browsers: requests with an Origin, with a Host that is not the address itself (DNS rebinding), or without
/// the token where one is configured, are refused.
class Admin {
public:
    /// Listens. Throws boost::system::system_error where the address cannot be bound, std::runtime_error where the
    /// token file cannot be read.
    Admin(boost::asio::io_context& loop, const config::Admin& settings, AdminParts parts);
    ~Admin();
    void stop();
    /// Has other rules of access count from here on; on the event loop's thread.
    void set_gate(AdminGate gate);
    std::string address() const;  ///< where it listens, with the port that it got

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace rotagate::proxy
