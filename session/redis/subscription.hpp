#pragma once

#include "session/redis/connection.hpp"

namespace rotagate::session::redis {

/// A connection that listens to one channel, until it is lost.
class Subscription final : private Connection::Owner {
public:
    /// @param greeting    what goes ahead of the subscription
    /// @param on_message  gets each message's text; it may destroy the subscription
    Subscription(asio::io_context& loop, asio::ssl::context* tls, const config::Address& server,
                 std::vector<Greeting> greeting, std::string_view channel,
                 std::function<void(std::string_view)> on_message);
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

    const config::Address& server() const { return connection_->server(); }
    bool ready() const { return connection_->ready() && !lost_; }
    /// Call it every now and then: asks the server for a sign of life when it is silent.
    /// @return whether the subscription is alive, or may become so
    bool alive(SteadyTime now);
    const std::string& why_lost() const { return why_lost_; }

private:
    void on_ready(Connection&) override {}
    void on_answer(Connection&, const CallPtr&, Reply) override {}
    void on_message(Connection&, Reply message) override;
    void on_lost(Connection&, std::vector<CallPtr>, const std::string& why) override;

    std::function<void(std::string_view)> on_message_;
    std::shared_ptr<Connection> connection_;
    SteadyTime pinged_at_{};
    bool lost_ = false;
    std::string why_lost_;
};

}  // namespace rotagate::session::redis
