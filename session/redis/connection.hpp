#pragma once

#include <deque>
#include <vector>

#include "session/redis/call.hpp"
#include "session/redis/wire.hpp"

namespace rotagate::session::redis {

/// What is said first on a new connection, one command after the other.
struct Greeting {
    enum class Answer {
        any,       ///< whatever it is
        no_error,  ///< an error means that the connection is of no use
        master,    ///< ROLE: the server has to be a master
    };
    std::string command;
    Answer answer = Answer::no_error;
};

/// A connection to one server. All calls of one turn of the loop leave in one write; answers come in their order. One
/// that is lost is lost for good: the owner makes another.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    /// Hears of everything; it may give up the connection in any of these.
    class Owner {
    public:
        virtual void on_ready(Connection& connection) = 0;
        virtual void on_answer(Connection& connection, const CallPtr& call, Reply reply) = 0;
        /// What came unasked: a message of a channel that the greeting subscribed to.
        virtual void on_message(Connection& connection, Reply message) = 0;
        /// @param unanswered  in their order; whether they were carried out is not known
        virtual void on_lost(Connection& connection, std::vector<CallPtr> unanswered, const std::string& why) = 0;

    protected:
        ~Owner() = default;
    };

    Connection(asio::io_context& loop, asio::ssl::context* tls, config::Address server, Owner& owner);
    /// @param greeting  once it is answered, the connection is ready
    void open(const std::vector<Greeting>& greeting);
    /// Only where it is ready.
    void send(const CallPtr& call);
    /// A command whose answer does not matter, ahead of the next call.
    void send_unanswered(std::string_view command);
    /// Has a connection with subscriptions show that it is alive, by on_message().
    void ping();
    /// Forgets the owner, and closes. @return what was not answered
    std::vector<CallPtr> close();

    const config::Address& server() const { return server_; }
    std::uint64_t number() const { return number_; }  ///< of this connection among all of the process; from 1
    bool ready() const { return ready_; }
    bool idle() const { return expected_.empty(); }
    SteadyTime heard_at() const { return heard_at_; }  ///< when something came last; before that, when it was opened
    /// Since when an answer is due; the most distant future: none is.
    SteadyTime waiting_since() const;

private:
    void flush();
    void read();
    void on_read(std::size_t n);
    void take(Reply reply);
    void greeted(Reply reply);
    void lose(const std::string& why);

    asio::io_context& loop_;
    std::unique_ptr<Wire> wire_;
    config::Address server_;
    Owner* owner_;
    const std::uint64_t number_;
    bool ready_ = false, flushing_ = false, flush_posted_ = false;
    std::deque<Greeting::Answer> greeting_;
    std::deque<CallPtr> expected_;  ///< null: the answer does not matter
    std::string out_, writing_;
    std::vector<char> in_;
    ReplyReader reader_;
    SteadyTime heard_at_ = std::chrono::steady_clock::now();
};

}  // namespace rotagate::session::redis
