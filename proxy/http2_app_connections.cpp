#include "proxy/http2_app_connections.hpp"

#include <algorithm>

#include "proxy/upstreams.hpp"

namespace rotagate::proxy::http2 {

AppConnections::AppConnections(const AppLoop& loop, Connector& connector, const config::Upstream& settings)
    : loop_(loop), connector_(connector), settings_(settings) {}

AppConnections::~AppConnections() {
    for (const auto& connection : connections_) {
        connection->on_rest({});
        connection->shut_down();
    }
}

std::shared_ptr<AppConnection> AppConnections::with_room() const {
    const auto found = std::ranges::find_if(connections_, [](const auto& one) { return one->has_room(); });
    return found == connections_.end() ? nullptr : *found;
}

Task<AppConnections::Opened> AppConnections::open() {
    if (opening_) {
        Waiter waiter;
        waiters_.push_back(waiter);
        co_await waiter.signal.wait();
        if (failure_) co_return failure_;
        co_return nullptr;
    }
    opening_ = true;
    Opened opened = co_await connect();
    opening_ = false;
    failure_ = opened ? error_code() : opened.error();
    // Some of those who waited may have to open another one, and others to wait for that.
    Waiters waited;
    waited.swap(waiters_);
    while (!waited.empty()) {
        Waiter& waiter = waited.front();
        waiter.unlink();
        waiter.signal.notify();
    }
    co_return opened;
}

Task<AppConnections::Opened> AppConnections::connect() {
    auto transport = co_await connector_.connect(loop_.deadlines, settings_.connect_timeout);
    if (!transport) co_return transport.error();
    const auto connection = std::make_shared<AppConnection>(loop_, std::move(*transport), settings_.connect_timeout,
                                                            settings_.response_timeout);
    connection->start();
    const error_code failure = co_await connection->introduction();
    if (failure) co_return failure;
    connections_.push_back(connection);
    connection->on_rest([this] { tidy(); });
    co_return connection;
}

/// Forgets those that have ended, and ends those that rest beyond what is kept.
void AppConnections::tidy() {
    std::erase_if(connections_, [](const auto& one) { return one->ended(); });
    std::size_t resting = 0;
    for (const auto& connection : connections_)
        if (connection->streams() == 0 && ++resting > settings_.max_idle_connections) connection->shut_down();
}

}  // namespace rotagate::proxy::http2
