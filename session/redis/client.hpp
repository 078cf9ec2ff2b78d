#pragma once

#include <list>
#include <map>
#include <optional>
#include <tuple>

#include <boost/asio/steady_timer.hpp>

#include "session/redis/connection.hpp"
#include "session/redis/subscription.hpp"
#include "session/redis/topology.hpp"
#include "session/redis/trouble.hpp"

namespace rotagate::session::redis {

/// A call for whose answer nobody waits but the client itself.
struct Sign final : Call {
    Sign() { awaited = false; }
    void finish(Result<Reply>) override {}
};

/// What all clients of a process share.
struct Deployment {
    const config::Redis& settings;
    config::Duration timeout;               ///< of a call, tries and waits together
    asio::ssl::context* tls = nullptr;      ///< null: plain
    std::vector<std::string_view> scripts;  ///< their texts, loaded on every new connection
};

/// Has calls answered by the server that has their keys, whatever happens to servers meanwhile: finds the master,
/// follows redirections, reconnects, tries again until the call's time is over. For one event loop.
class Client final : private Connection::Owner {
public:
    /// @param on_connected  a server is there (again); its clock may be another
    Client(asio::io_context& loop, const Deployment& deployment, std::function<void()> on_connected);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void call(const CallPtr& call);
    /// Where subscriptions go: a server that we are connected to, if there is one; null: not known.
    const config::Address* any_server() const;
    /// A slot of each server that has sessions; where none is known, any.
    std::vector<unsigned> slot_of_each() const;
    /// Whether the server is one of those that have the sessions now.
    bool uses(const config::Address& server) const { return servers_.contains(server); }
    /// The commands that let us in.
    std::vector<Greeting> credentials(Greeting::Answer wanted) const;

private:
    /// The connections to one server.
    struct Line {
        std::shared_ptr<Connection> connection;
        unsigned failures = 0;  ///< in a row
        SteadyTime next_try{};
    };
    struct Server {
        Line plain, confirming;
        bool wants_confirming = false;
    };
    struct ByAddress {
        bool operator()(const config::Address& a, const config::Address& b) const {
            return std::tie(a.port, a.host, a.unix_path) < std::tie(b.port, b.host, b.unix_path);
        }
    };

    void on_ready(Connection& connection) override;
    void on_answer(Connection& connection, const CallPtr& call, Reply reply) override;
    void on_message(Connection&, Reply) override {}
    void on_lost(Connection& connection, std::vector<CallPtr> unanswered, const std::string& why) override;

    Connection::Owner& owner() { return *this; }
    void route(const CallPtr& call);
    void on_error(Connection& connection, const CallPtr& call, std::string_view error);
    void again(const CallPtr& call, std::chrono::milliseconds after);
    void fail(const CallPtr& call);
    void redirect(const CallPtr& call, const Connection& from, Diagnosis diagnosis);
    void drop(Connection& connection, const std::string& why);
    Line* line_of(const Connection& connection);
    Connection* usable(const config::Address& server, bool confirming);
    void connect(const config::Address& server, Line& line, bool confirming);
    void ask_for_topology();
    void no_topology(const config::Address& asked, std::string_view why);
    void on_topology(Reply answer, const config::Address& asked);
    void use_topology();
    void on_promotion(std::string_view message);

    void tick();
    void expire(SteadyTime now);
    void retry(SteadyTime now);
    void reconnect(SteadyTime now);
    void watch(SteadyTime now);
    void watch_line(Line& line, SteadyTime now);

    asio::io_context& loop_;
    const Deployment& deployment_;
    std::function<void()> on_connected_;
    Topology topology_;
    std::map<config::Address, Server, ByAddress> servers_;
    boost::intrusive::list<Call, boost::intrusive::constant_time_size<false>> by_deadline_;
    std::list<CallPtr> waiting_;  ///< for a server, or for their next try
    std::shared_ptr<Connection> question_;
    SteadyTime next_question_{};
    unsigned unanswered_questions_ = 0;       ///< in a row
    std::optional<Subscription> promotions_;  ///< of sentinels
    SteadyTime next_promotions_{};
    asio::steady_timer ticker_;
    const std::shared_ptr<bool> alive_ =
        std::make_shared<bool>(true);  ///< for a tick that is on its way when this goes
};

}  // namespace rotagate::session::redis
