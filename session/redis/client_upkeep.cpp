// What the client does besides calls: it finds out who has what, reconnects, gives up what takes too long.
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>

#include <spdlog/spdlog.h>

#include "session/redis/client.hpp"
#include "session/redis/command.hpp"

namespace rotagate::session::redis {
namespace {

using namespace std::chrono_literals;

constexpr auto tick_length = 25ms;
constexpr auto patience_with_question = 500ms;  // then another is asked

}  // namespace

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
        return no_topology(asked, answer.is_error() ? answer.text() : "it knows no master");
    }
    unanswered_questions_ = 0;
    use_topology();
}

void Client::no_topology(const config::Address& asked, std::string_view why) {
    if (std::has_single_bit(++unanswered_questions_))
        spdlog::warn("redis.no_topology server={} error=\"{}\" attempt={}", asked.text(), why, unanswered_questions_);
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
    const auto patience_with_node = std::min<std::chrono::milliseconds>(deployment_.timeout / 2, 500ms);
    if (!connection.ready()) {
        if (now - connection.heard_at() >= deployment_.timeout) drop(connection, "it does not answer");
    } else if (connection.waiting_since() <= now - 2 * deployment_.timeout) {
        drop(connection, "it has not answered for twice the session.store_timeout");
    } else if (topology_.cluster() && connection.waiting_since() <= now - patience_with_node) {
        topology_.doubt();  // a replica may have its slots by now, and calls that wait here are to be sent there
    } else if (connection.idle() && now - connection.heard_at() >= 1s) {
        const auto ping = std::make_shared<Sign>();
        ping->wire = command({"PING"});
        connection.send(ping);
    }
}

}  // namespace rotagate::session::redis
