#include "proxy/health.hpp"

#include <algorithm>

#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "proxy/http1.hpp"
#include "proxy/http2_app_connection.hpp"

namespace rotagate::proxy {
namespace {

constexpr config::Duration default_interval = std::chrono::seconds(2);  // where no health check is configured

}  // namespace

bool HealthState::observe(bool healthy) {
    streak_ = healthy == up_ ? 0 : streak_ + 1;
    if (streak_ < (up_ ? fall_ : rise_)) return up_;
    streak_ = 0;
    return up_ = healthy;
}

struct HealthChecks::Checked {
    const config::Upstream& upstream;
    Connector connector;
    std::shared_ptr<ServerHealth> health;
};

HealthChecks::HealthChecks(asio::io_context& loop, const std::vector<config::Upstream>& upstreams,
                           const HealthTable& table, Deadlines& deadlines)
    : loop_(loop), deadlines_(deadlines), upstreams_(upstreams), table_(table) {
    for (std::size_t i = 0; i < upstreams_.size(); ++i) {
        const config::Upstream& upstream = upstreams_[i];
        contexts_.push_back(upstream.tls ? tls::upstream_context(*upstream.tls) : nullptr);
        for (std::size_t j = 0; j < upstream.servers.size(); ++j) {
            const config::Address& address = upstream.servers[j];
            servers_.push_back(std::make_unique<Checked>(Checked{
                upstream, Connector(loop, address, contexts_.back().get(), tls_name(upstream, address)), table[i][j]}));
            tasks_.start(watch(*servers_.back()));
        }
    }
}

HealthChecks::~HealthChecks() = default;

std::vector<std::string> HealthChecks::dead_upstreams() const {
    std::vector<std::string> dead;
    for (std::size_t i = 0; i < upstreams_.size(); ++i)
        if (std::ranges::none_of(table_[i], [](const auto& server) { return server->alive.load(); }))
            dead.push_back(upstreams_[i].name);
    return dead;
}

Task<> HealthChecks::watch(Checked& server) {
    const auto& rules = server.upstream.health;
    HealthState state(rules ? rules->fall : 1, rules ? rules->rise : 1);
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor> timer(
        loop_);
    while (true) {
        const bool up = state.observe(co_await healthy(server));
        if (up != server.health->alive.exchange(up))
            spdlog::log(up ? spdlog::level::info : spdlog::level::warn, "upstream.{} upstream={} server={}",
                        up ? "up" : "down", server.upstream.name, server.connector.address().text());
        if (rules) server.health->up = up;
        timer.expires_after(rules ? rules->interval : default_interval);
        Signal passed;
        timer.async_wait([&](error_code) { passed.notify(); });
        co_await passed.wait();
    }
}

Task<bool> HealthChecks::healthy(Checked& server) {
    const auto stream = co_await server.connector.connect(deadlines_, server.upstream.connect_timeout);
    if (!stream) co_return false;
    if (!server.upstream.health) co_return true;
    if (server.upstream.protocol == config::Protocol::h2c) co_return co_await healthy_http2(server, *stream);
    Stream& app = **stream;
    Deadline waiting([&app] { app.abort(asio::error::timed_out); });
    deadlines_.arm(waiting, server.upstream.response_timeout);
    const std::string request =
        fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.upstream.health->path,
                    host_field(server.upstream, server.connector.address()));
    if (!app.send({request})) {
        if (co_await app.flush()) co_return false;
    }
    std::size_t scanned = 0;
    while (true) {
        const std::string_view input = app.input();
        const http1::Scan scan = http1::scan_head(input, scanned);
        ResponseHead head;
        if (scan.error) co_return false;
        if (scan.length > 0)
            co_return !http1::parse_response_head(input.substr(0, scan.length), false, head) && head.status >= 200 &&
                head.status < 400;
        const error_code ec = co_await app.more(input.size());
        if (ec) co_return false;
    }
}

Task<bool> HealthChecks::healthy_http2(const Checked& server, std::shared_ptr<Stream> transport) {
    const config::Upstream& upstream = server.upstream;
    const http2::AppLoop loop{.context = loop_, .deadlines = deadlines_, .tasks = tasks_};
    const auto connection =
        std::make_shared<http2::AppConnection>(loop, std::move(transport), upstream.connect_timeout);
    connection->start();
    if (co_await connection->introduction()) co_return false;
    ResponseHead head;
    Arena arena;
    RequestBody none;
    const http2::AppStream::Answer answer{head, arena, false};
    bool healthy = false;
    {
        http2::AppStream app(connection, answer, none);
        Deadline waiting([&app] { app.abort(asio::error::timed_out); });
        deadlines_.arm(waiting, upstream.response_timeout);
        const std::string host = host_field(upstream, server.connector.address());
        Fields fields;
        fields.push_back({"Host", host, Known::host});
        app.send({.method = "GET",
                  .target = upstream.health->path,
                  .fields = fields,
                  .te_trailers = false,
                  .has_body = false});
        while (!app.has_answer() && !co_await app.next_head()) app.take_interim();
        healthy = app.has_answer() && head.status < 400;
    }
    connection->shut_down();
    co_return healthy;
}

}  // namespace rotagate::proxy
