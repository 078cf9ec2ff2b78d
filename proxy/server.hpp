#pragma once

#include <memory>

#include "config/config.hpp"

namespace rotagate::proxy {

/// Owns everything: listeners, event loops, store, upstreams, logs. Ownership is a tree with this at its root.
class Server {
public:
    /// Binds all addresses. Throws std::runtime_error with a message for the operator where it cannot start.
    explicit Server(config::Config config);
    ~Server();

    /// Runs until SIGTERM or SIGINT has drained the connections: no request in flight is cut.
    void run();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace rotagate::proxy
