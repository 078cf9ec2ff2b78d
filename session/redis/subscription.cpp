#include "session/redis/subscription.hpp"

#include "session/redis/command.hpp"

namespace rotagate::session::redis {
namespace {

using namespace std::chrono_literals;

constexpr auto ping_after = 1s;  // of silence
constexpr auto dead_after = 3s;  // of silence: two pings have stayed without an answer

}  // namespace

Subscription::Subscription(asio::io_context& loop, asio::ssl::context* tls, const config::Address& server,
                           std::vector<Greeting> greeting, std::string_view channel,
                           std::function<void(std::string_view)> on_message)
    : on_message_(std::move(on_message)),
      connection_(std::make_shared<Connection>(loop, tls, server, static_cast<Connection::Owner&>(*this))) {
    greeting.push_back({.command = command({"SUBSCRIBE", channel})});
    connection_->open(greeting);
}

Subscription::~Subscription() { connection_->close(); }

bool Subscription::alive(SteadyTime now) {
    if (lost_) return false;
    const auto silence = now - connection_->heard_at();
    if (silence >= dead_after) {
        on_lost(*connection_, {}, "it is silent");
        return false;
    }
    if (connection_->ready() && silence >= ping_after && now - pinged_at_ >= ping_after) {
        pinged_at_ = now;
        connection_->ping();
    }
    return true;
}

void Subscription::on_message(Connection&, Reply message) {
    if (message.size() == 3 && message[0].text() == "message") on_message_(message[2].text());
}

void Subscription::on_lost(Connection&, std::vector<CallPtr>, const std::string& why) {
    lost_ = true;
    why_lost_ = why;
}

}  // namespace rotagate::session::redis
