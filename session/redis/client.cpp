#include "session/redis/client.hpp"

#include <algorithm>
#include <charconv>

#include <spdlog/spdlog.h>

#include "session/redis/backoff.hpp"
#include "session/redis/command.hpp"
#include "session/redis/scripts.hpp"

namespace rotagate::session::redis {
namespace {

using namespace std::chrono_literals;

/// A call for whose answer nobody waits but the client itself.
struct Sign final : Call {
    Sign() { awaited = false; }
    void finish(Result<Reply>) override {}
};

constexpr auto tick_length = 25ms;
constexpr auto in_a_moment = 20ms;              // until a server that is busy, loading or electing is asked again
constexpr auto patience_with_question = 500ms;  // then another is asked
constexpr std::size_t most_waiting = 100'000;   // calls; each is a request that somebody waits for

}  // namespace

Client::Client(asio::io_context& loop, const Deployment& deployment, std::function<void()> on_connected)
    : loop_(loop),
      deployment_(deployment),
      on_connected_(std::move(on_connected)),
      topology_(deployment.settings),
      ticker_(loop) {
    tick();
}

Client::~Client() {
    if (question_) question_->close();
    for (auto& [name, server] : servers_) {
        if (server.plain.connection) server.plain.connection->close();
        if (server.confirming.connection) server.confirming.connection->close();
    }
}

void Client::call(CallPtr call) {
    if (call->deadline == SteadyTime{}) call->deadline = std::chrono::steady_clock::now() + deployment_.timeout;
    auto place = by_deadline_.end();
    while (place != by_deadline_.begin() && std::prev(place)->deadline > call->deadline) --place;
    by_deadline_.insert(place, *call);
    route(call);
}

/// Sends a call to the server that has its keys, or keeps it until there is one.
void Client::route(const CallPtr& call) {
    const config::Address* server = topology_.owner(call->slot);
    if (Connection* connection = server ? usable(*server, call->confirming) : nullptr) {
        if (call->only_over == 0 || call->only_over == connection->number()) return connection->send(call);
        return fail(call);  // what it would speak of is lost
    }
    if (waiting_.size() >= most_waiting) return fail(call);
    call->again_at = {};
    waiting_.push_back(call);
}

Connection* Client::usable(const config::Address& server, bool confirming) {
    Server& lines = servers_[server];
    lines.wants_confirming |= confirming;
    Line& line = confirming ? lines.confirming : lines.plain;
    if (!line.connection && std::chrono::steady_clock::now() >= line.next_try) connect(server, line, confirming);
    return line.connection && line.connection->ready() ? line.connection.get() : nullptr;
}

// ---- answers --------------------------------------------------------------------------------------------------------

void Client::on_answer(Connection& connection, const CallPtr& call, Reply reply) {
    if (&connection == question_.get()) return on_topology(reply, connection.server());
    if (reply.is_error()) return on_error(connection, call, reply.text());
    if (!std::exchange(call->awaited, false)) return;
    call->unlink();
    call->answered_over = connection.number();
    call->finish(reply);
}

void Client::on_error(Connection& connection, const CallPtr& call, std::string_view error) {
    const Diagnosis diagnosis = diagnose(error);
    switch (diagnosis.trouble) {
        case Trouble::no_script:
            if (!call->script) break;
            connection.send_unanswered(call->script->load);
            return connection.send(call);
        case Trouble::moved:
        case Trouble::ask:
            return redirect(call, connection, diagnosis);
        case Trouble::later:
            return again(call, in_a_moment);
        case Trouble::demoted:
            topology_.doubt();
            again(call, in_a_moment);
            return drop(connection, std::string(error));
        case Trouble::denied:
        case Trouble::failed:
            break;
    }
    spdlog::error("redis.refused server={} error=\"{}\"", connection.server().text(), error);
    fail(call);
}

void Client::redirect(const CallPtr& call, const Connection& from, Diagnosis diagnosis) {
    if (diagnosis.node.host.empty()) diagnosis.node.host = from.server().host;
    if (diagnosis.trouble == Trouble::moved) {
        topology_.moved(diagnosis.slot, diagnosis.node);
        return route(call);
    }
    Connection* importing = usable(diagnosis.node, call->confirming);
    if (!importing) return again(call, in_a_moment);
    importing->send_unanswered(command({"ASKING"}));
    importing->send(call);
}

void Client::again(const CallPtr& call, std::chrono::milliseconds after) {
    if (!call->awaited) return;
    call->again_at = std::chrono::steady_clock::now() + after;
    waiting_.push_back(call);
}

void Client::fail(const CallPtr& call) {
    if (!std::exchange(call->awaited, false)) return;
    call->unlink();
    call->finish(SessionErrc::unavailable);
}

// ---- connections ----------------------------------------------------------------------------------------------------

std::vector<Greeting> Client::credentials(Greeting::Answer wanted) const {
    const config::Redis& settings = deployment_.settings;
    if (settings.password.empty()) return {};
    const std::string auth = settings.user.empty() ? command({"AUTH", settings.password})
                                                   : command({"AUTH", settings.user, settings.password});
    return {{.command = auth, .answer = wanted}};
}

void Client::connect(const config::Address& server, Line& line, bool confirming) {
    const config::Redis& settings = deployment_.settings;
    std::vector<Greeting> greeting = credentials(Greeting::Answer::no_error);
    if (settings.database != 0) greeting.push_back({.command = command({"SELECT", std::to_string(settings.database)})});
    // Sentinels may not have noticed yet that their master is none any more.
    if (settings.kind == config::Redis::Kind::sentinel)
        greeting.push_back({.command = command({"ROLE"}), .answer = Greeting::Answer::master});
    for (const std::string_view script : deployment_.scripts)
        greeting.push_back({.command = command({"SCRIPT", "LOAD", script}), .answer = Greeting::Answer::any});
    greeting.push_back({.command = command({"CLIENT", "SETNAME", confirming ? "rotagate-confirming" : "rotagate"}),
                        .answer = Greeting::Answer::any});
    line.connection = std::make_shared<Connection>(loop_, deployment_.tls, server, owner());
    line.connection->open(std::move(greeting));
}

Client::Line* Client::line_of(const Connection& connection) {
    const auto server = servers_.find(connection.server());
    if (server == servers_.end()) return nullptr;
    for (Line* line : {&server->second.plain, &server->second.confirming})
        if (line->connection.get() == &connection) return line;
    return nullptr;
}

void Client::on_ready(Connection& connection) {
    if (&connection == question_.get()) {
        auto call = std::make_shared<Sign>();
        call->wire = topology_.question();
        return connection.send(call);
    }
    Line* line = line_of(connection);
    if (!line) return;
    if (line->failures > 0) spdlog::info("redis.connected server={}", connection.server().text());
    line->failures = 0;
    on_connected_();
    retry(SteadyTime::max());
}

void Client::on_lost(Connection& connection, std::vector<CallPtr> unanswered, const std::string& why) {
    if (&connection == question_.get()) {
        spdlog::warn("redis.no_topology server={} error=\"{}\"", connection.server().text(), why);
        return question_.reset();
    }
    Line* line = line_of(connection);
    topology_.doubt();
    if (line) {
        ++line->failures;
        line->connection.reset();
        const auto wait = backoff(line->failures);
        line->next_try = std::chrono::steady_clock::now() + wait;
        const bool denied = diagnose(why).trouble == Trouble::denied;
        if ((line->failures & (line->failures - 1)) == 0)  // the 1st, 2nd, 4th, 8th, ... time
            spdlog::log(denied ? spdlog::level::err : spdlog::level::warn,
                        "redis.lost server={} error=\"{}\" attempt={} wait_ms={}{}", connection.server().text(), why,
                        line->failures, wait.count(),
                        denied ? " cure=\"put the right user and password into session.store\"" : "");
    }
    for (const CallPtr& call : unanswered) {
        if (call->only_over != 0) {
            fail(call);
        } else {
            again(call, 0ms);
        }
    }
}

void Client::drop(Connection& connection, const std::string& why) {
    const auto self = connection.shared_from_this();
    on_lost(*self, self->close(), why);
}

// ---- who has what ---------------------------------------------------------------------------------------------------

void Client::ask_for_topology() {
    next_question_ = std::chrono::steady_clock::now() + 100ms;
    const bool sentinel = deployment_.settings.kind == config::Redis::Kind::sentinel;
    question_ = std::make_shared<Connection>(loop_, deployment_.tls, topology_.somebody(), owner());
    // Sentinels mostly ask for no password, and refuse one.
    question_->open(credentials(sentinel ? Greeting::Answer::any : Greeting::Answer::no_error));
}

void Client::on_topology(Reply answer, const config::Address& asked) {
    const auto question = std::exchange(question_, nullptr);
    question->close();
    if (!topology_.learn(answer, asked)) {
        const std::string_view said = answer.is_error() ? answer.text() : "it knows no master";
        spdlog::warn("redis.no_topology server={} error=\"{}\"", asked.text(), said);
        return;
    }
    use_topology();
}

/// Leaves the servers that are none of ours any more: what went to them would be lost. Connects to those that are.
void Client::use_topology() {
    const auto current = topology_.servers();
    const auto is_current = [&](const config::Address& server) {
        return std::find(current.begin(), current.end(), server) != current.end();
    };
    for (auto& [address, server] : servers_) {
        if (is_current(address)) continue;
        for (Line* line : {&server.plain, &server.confirming})
            if (line->connection) drop(*line->connection, "another has its place now");
    }
    std::erase_if(servers_, [&](const auto& server) { return !is_current(server.first); });
    for (const config::Address& server : current) usable(server, false);
    topology_.believe();
    retry(SteadyTime::max());
}

/// A sentinel says: NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT.
void Client::on_promotion(std::string_view message) {
    std::array<std::string_view, 5> words;
    for (std::string_view& word : words) {
        const auto end = std::min(message.find(' '), message.size());
        word = message.substr(0, end);
        message.remove_prefix(std::min(end + 1, message.size()));
    }
    if (words[0] != deployment_.settings.master) return;
    std::uint16_t port = 0;
    std::from_chars(words[4].data(), words[4].data() + words[4].size(), port);
    spdlog::info("redis.promoted master={}:{}", words[3], port);
    topology_.promoted({.host = std::string(words[3]), .port = port, .unix_path = {}});
    use_topology();
}

// ---- what time brings -----------------------------------------------------------------------------------------------

void Client::tick() {
    const auto now = std::chrono::steady_clock::now();
    expire(now);
    retry(now);
    reconnect(now);
    watch(now);
    ticker_.expires_after(tick_length);
    ticker_.async_wait([this, alive = std::weak_ptr(alive_)](error_code ec) {
        if (!ec && !alive.expired()) tick();
    });
}

/// Gives up the calls whose time is over. Their answers may still come, and keep their places.
void Client::expire(SteadyTime now) {
    while (!by_deadline_.empty() && by_deadline_.front().deadline <= now) fail(by_deadline_.front().shared_from_this());
}

void Client::retry(SteadyTime now) {
    for (const CallPtr& call : std::exchange(waiting_, {})) {
        if (!call->awaited) continue;
        if (call->again_at > now) {
            waiting_.push_back(call);
        } else {
            route(call);
        }
    }
}

void Client::reconnect(SteadyTime now) {
    if (servers_.empty()) {
        if (const config::Address* server = topology_.any()) usable(*server, false);
    }
    for (auto& [address, server] : servers_) {
        if (!server.plain.connection && now >= server.plain.next_try) connect(address, server.plain, false);
        if (server.wants_confirming && !server.confirming.connection && now >= server.confirming.next_try)
            connect(address, server.confirming, true);
    }
    if (question_ && now - question_->heard_at() >= patience_with_question) {
        const auto question = question_;
        on_lost(*question, question->close(), "it does not answer");
    }
    if (!question_ && topology_.asks() && now >= next_question_) ask_for_topology();
}

void Client::watch(SteadyTime now) {
    for (auto& [address, server] : servers_) {
        watch_line(server.plain, now);
        watch_line(server.confirming, now);
    }
    if (deployment_.settings.kind != config::Redis::Kind::sentinel) return;
    if (promotions_ && !promotions_->alive(now)) {
        promotions_.reset();
        topology_.doubt();  // one may have been missed
        next_promotions_ = now + 200ms;
    }
    if (!promotions_ && now >= next_promotions_)
        promotions_.emplace(loop_, deployment_.tls, topology_.somebody(), credentials(Greeting::Answer::any),
                            "+switch-master", [this](std::string_view message) { on_promotion(message); });
}

/// Leaves a connection that does not answer, and has a silent one show that it is alive.
void Client::watch_line(Line& line, SteadyTime now) {
    if (!line.connection) return;
    Connection& connection = *line.connection;
    if (!connection.ready()) {
        if (now - connection.heard_at() >= deployment_.timeout) drop(connection, "it does not answer");
    } else if (connection.waiting_since() <= now - 2 * deployment_.timeout) {
        drop(connection, "it has not answered for twice the session.store_timeout");
    } else if (connection.idle() && now - connection.heard_at() >= 1s) {
        const auto ping = std::make_shared<Sign>();
        ping->wire = command({"PING"});
        connection.send(ping);
    }
}

}  // namespace rotagate::session::redis
