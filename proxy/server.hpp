#pragma once

#include <functional>
#include <memory>

#include "config/load.hpp"

namespace rotagate::proxy {

/// Owns everything: listeners, event loops, store, upstreams, logs. Ownership is a tree with this at its root.
class Server {
public:
    /// Binds all addresses. Throws std::runtime_error with a message for the operator where it cannot start.
    /// @param load  reads the configuration anew, for a reload
    Server(config::Config config, std::function<config::Loaded()> load);
    ~Server();

    /// Runs until SIGTERM or SIGINT has drained the connections: no request in flight is cut. SIGHUP has the
    /// configuration read again: it comes into force as a whole, or, where anything of it cannot, not at all.
    void run();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace rotagate::proxy
