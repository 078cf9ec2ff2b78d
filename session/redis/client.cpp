// What becomes of calls, and of connections that come and go.
#include "session/redis/client.hpp"

#include <bit>

#include <spdlog/spdlog.h>

#include "session/redis/backoff.hpp"
#include "session/redis/command.hpp"
#include "session/redis/scripts.hpp"

namespace rotagate::session::redis {
namespace {

using namespace std::chrono_literals;

constexpr auto in_a_moment = 20ms;             // until a server that is busy, loading or electing is asked again
constexpr std::size_t most_waiting = 100'000;  // calls; each is a request that somebody waits for

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

const config::Address* Client::any_server() const {
    for (const auto& [address, server] : servers_)
        if (server.plain.connection && server.plain.connection->ready()) return &address;
    return topology_.any();
}

std::vector<unsigned> Client::slot_of_each() const {
    std::vector<unsigned> slots = topology_.slot_of_each();
    if (slots.empty()) slots.push_back(0);
    return slots;
}

void Client::call(const CallPtr& call) {
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
    if (!std::exchange(call->awaited, false)) return call->late(reply);
    call->unlink();
    call->answered_at = connection.heard_at();
    call->answered_over = connection.number();
    call->finish(reply);
}

void Client::on_error(Connection& connection, const CallPtr& call, std::string_view error) {
    const Diagnosis diagnosis = diagnose(error);
    switch (diagnosis.trouble) {
        case Trouble::no_script:
            if (!call->script) break;
            if (!call->awaited) return;
            connection.send_unanswered(call->script->load);
            return connection.send(call);
        case Trouble::moved:
        case Trouble::ask:
            if (topology_.cluster()) return redirect(call, connection, diagnosis);
            break;  // session.store names one server, and this is a cluster's
        case Trouble::later:
            return again(call, in_a_moment);
        case Trouble::isolated:
            topology_.doubt();
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
    if (diagnosis.trouble == Trouble::moved) topology_.moved(diagnosis.slot, diagnosis.node);
    if (!call->awaited) return;  // behind what may undo it
    if (diagnosis.trouble == Trouble::moved) return route(call);
    if (call->whole_slot) return again(call, in_a_moment);
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
    line.connection->open(greeting);
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
        no_topology(connection.server(), why);
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
        if (std::has_single_bit(line->failures))  // the 1st, 2nd, 4th, 8th, ... time
            spdlog::log(denied ? spdlog::level::err : spdlog::level::warn,
                        "redis.lost server={} error=\"{}\" attempt={} wait_ms={}{}", connection.server().text(), why,
                        line->failures, wait.count(),
                        denied ? " cure=\"put the right user and password into session.store\"" : "");
    }
    for (const CallPtr& call : unanswered) {
        if (call->only_over != 0) {
            fail(call);
        } else {
            call->repeated = true;
            again(call, 0ms);
        }
    }
}

void Client::drop(Connection& connection, const std::string& why) {
    const auto self = connection.shared_from_this();
    on_lost(*self, self->close(), why);
}

}  // namespace rotagate::session::redis
