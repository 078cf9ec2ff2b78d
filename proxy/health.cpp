#include "proxy/health.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/basic_waitable_timer.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "proxy/http1.hpp"
#include "proxy/http2_app_connection.hpp"

namespace rotagate::proxy {
namespace {

constexpr config::Duration default_interval = std::chrono::seconds(2);  // where no health check is configured
constexpr const char* not_http = "what it answers is no HTTP/1.1";

std::string ailment_of(const ResponseHead& head) {
    const bool well = head.status >= 200 && head.status < 400;
    return well ? std::string() : fmt::format("status {}", head.status);
}

void log_change(const config::Upstream& upstream, const config::Address& server, std::string_view ailment) {
    if (ailment.empty()) {
        spdlog::info("upstream.up upstream={} server={}", upstream.name, server.text());
    } else {
        spdlog::warn("upstream.down upstream={} server={} error=\"{}\"", upstream.name, server.text(), ailment);
    }
}

}  // namespace

bool HealthState::observe(bool healthy) {
    streak_ = healthy == up_ ? 0 : streak_ + 1;
    if (streak_ < (up_ ? fall_ : rise_)) return up_;
    streak_ = 0;
    return up_ = healthy;
}

/// One server of a group, and when it is asked next.
struct HealthChecks::Checked {
    Checked(asio::io_context& loop, Connector its_connector, std::shared_ptr<ServerHealth> its_health)
        : connector(std::move(its_connector)), health(std::move(its_health)), timer(loop) {}

    Connector connector;
    std::shared_ptr<ServerHealth> health;
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor> timer;
};

/// The checks of one upstream. Each holds it until it has noticed that they have ended.
struct HealthChecks::Group {
    std::shared_ptr<const UpstreamState> state;
    tls::Context tls;
    std::vector<std::unique_ptr<Checked>> servers;
    bool ended = false;

    Group(asio::io_context& loop, std::shared_ptr<const UpstreamState> its_state, tls::Context its_tls)
        : state(std::move(its_state)), tls(std::move(its_tls)) {
        const config::Upstream& upstream = state->settings;
        for (std::size_t i = 0; i < upstream.servers.size(); ++i) {
            const config::Address& address = upstream.servers[i];
            servers.push_back(std::make_unique<Checked>(
                loop, Connector(loop, address, tls.get(), tls_name(upstream, address)), state->health[i]));
        }
    }
    void end() {
        ended = true;
        for (const auto& server : servers) server->timer.cancel();
    }
};

HealthChecks::HealthChecks(asio::io_context& loop, Deadlines& deadlines) : loop_(loop), deadlines_(deadlines) {}

HealthChecks::~HealthChecks() = default;

void HealthChecks::follow(std::vector<Snapshot::Upstream>& upstreams) {
    const auto before = std::exchange(groups_, {});
    for (Snapshot::Upstream& upstream : upstreams) {
        const auto known = std::ranges::find(before, upstream.state, &Group::state);
        if (known != before.end()) {
            groups_.push_back(*known);
            continue;
        }
        groups_.push_back(std::make_shared<Group>(loop_, upstream.state, std::move(upstream.tls)));
        for (const auto& server : groups_.back()->servers) tasks_.start(watch(groups_.back(), *server));
    }
    for (const auto& group : before)
        if (std::ranges::find(groups_, group) == groups_.end()) group->end();
}

std::vector<std::string> HealthChecks::dead_upstreams() const {
    std::vector<std::string> dead;
    for (const auto& group : groups_)
        if (std::ranges::none_of(group->state->health, [](const auto& server) { return server->alive.load(); }))
            dead.push_back(group->state->settings.name);
    return dead;
}

Task<> HealthChecks::watch(std::shared_ptr<Group> group, Checked& server) {
    const config::Upstream& upstream = group->state->settings;
    const auto& rules = upstream.health;
    HealthState state(rules ? rules->fall : 1, rules ? rules->rise : 1, server.health->alive);
    while (!group->ended) {
        const std::string ailment = co_await this->ailment(upstream, server);
        if (group->ended) break;
        const bool up = state.observe(ailment.empty());
        if (up != server.health->alive.exchange(up)) log_change(upstream, server.connector.address(), ailment);
        if (rules) server.health->up = up;
        server.timer.expires_after(rules ? rules->interval : default_interval);
        Signal passed;
        server.timer.async_wait([&](error_code) { passed.notify(); });
        co_await passed.wait();
    }
}

Task<std::string> HealthChecks::ailment(const config::Upstream& upstream, Checked& server) {
    const auto stream = co_await server.connector.connect(deadlines_, upstream.connect_timeout);
    if (!stream) co_return fmt::format("cannot connect: {}", stream.error().message());
    if (!upstream.health) co_return std::string();
    const auto patience =
        std::min(upstream.response_timeout, std::max(upstream.health->interval, upstream.connect_timeout));
    std::string ailment;
    if (upstream.protocol == config::Protocol::h2c) {
        ailment = co_await ailment_http2(upstream, server, *stream, patience);
    } else {
        ailment = co_await ailment_http1(upstream, server, **stream, patience);
    }
    if (!ailment.empty()) ailment = fmt::format("GET {}: {}", upstream.health->path, ailment);
    co_return ailment;
}

Task<std::string> HealthChecks::ailment_http1(const config::Upstream& upstream, const Checked& server, Stream& app,
                                              config::Duration patience) {
    Deadline waiting([&app] { app.abort(asio::error::timed_out); });
    deadlines_.arm(waiting, patience);
    const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                                            upstream.health->path, host_field(upstream, server.connector.address()));
    if (!app.send({request})) {
        if (const error_code ec = co_await app.flush()) co_return ec.message();
    }
    std::size_t scanned = 0;
    while (true) {
        const std::string_view input = app.input();
        const http1::Scan scan = http1::scan_head(input, scanned);
        ResponseHead head;
        if (scan.error) co_return not_http;
        if (scan.length > 0) {
            if (http1::parse_response_head(input.substr(0, scan.length), false, head)) co_return not_http;
            if (head.status >= 200 || head.status == 101) co_return ailment_of(head);
            app.consume(scan.length);
            scanned = 0;
            continue;
        }
        if (const error_code ec = co_await app.more(input.size())) co_return ec.message();
    }
}

Task<std::string> HealthChecks::ailment_http2(const config::Upstream& upstream, const Checked& server,
                                              std::shared_ptr<Stream> transport, config::Duration patience) {
    const http2::AppLoop loop{.context = loop_, .deadlines = deadlines_, .tasks = tasks_};
    const auto connection = std::make_shared<http2::AppConnection>(loop, std::move(transport), upstream.connect_timeout,
                                                                   upstream.connect_timeout);
    connection->start();
    if (const error_code ec = co_await connection->introduction()) co_return ec.message();
    ResponseHead head;
    Arena arena;
    RequestBody none;
    const http2::AppStream::Answer answer{head, arena, false};
    std::string ailment;
    {
        http2::AppStream app(connection, answer, none);
        Deadline waiting([&app] { app.abort(asio::error::timed_out); });
        deadlines_.arm(waiting, patience);
        const std::string host = host_field(upstream, server.connector.address());
        Fields fields;
        fields.push_back({"Host", host, Known::host});
        app.send({.method = "GET",
                  .target = upstream.health->path,
                  .fields = fields,
                  .te_trailers = false,
                  .has_body = false});
        error_code ec;
        while (!app.has_answer() && !(ec = co_await app.next_head())) app.take_interim();
        ailment = app.has_answer() ? ailment_of(head) : ec.message();
    }
    connection->shut_down();
    co_return ailment;
}

}  // namespace rotagate::proxy
