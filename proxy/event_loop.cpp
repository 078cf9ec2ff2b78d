#include "proxy/event_loop.hpp"

#include <cstring>
#include <ctime>
#include <stdexcept>

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <spdlog/spdlog.h>

#include "proxy/connection.hpp"

namespace rotagate::proxy {
namespace {

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
// The answers of a session that has ended are cut within a second: half of it for short ones, this, and word of the
// end.
constexpr unsigned ticks_between_looks = std::chrono::milliseconds(250) / Deadlines::tick_length;

std::shared_ptr<Site> make_site(const config::Config& settings,
                                const std::vector<std::unique_ptr<UpstreamPool>>& pools) {
    auto site = std::make_shared<Site>(settings);
    for (const config::Route& route : site->config.routes)
        for (const auto& pool : pools)
            if (pool->settings().name == route.upstream) site->pools.push_back(pool.get());
    site->audience = settings.session.cookie.name + '\n' + settings.session.cookie.domain;
    return site;
}

}  // namespace

EventLoop::EventLoop(Shared& its_shared, session::SessionStores& stores, LoopMetrics& its_metrics)
    : shared(its_shared),
      own_store(stores.on(context)),
      store(*own_store),
      sealer(its_shared.keys),
      metrics(its_metrics),
      connections_(std::make_unique<Connections>()),
      ticker_(context) {
    for (std::size_t i = 0; i < shared.config.upstreams.size(); ++i)
        pools_.push_back(
            std::make_unique<UpstreamPool>(context, shared.config.upstreams[i], shared.health[i], deadlines, metrics));
    site = make_site(shared.config, pools_);
    std::uint64_t seed = 0;
    if (RAND_bytes(reinterpret_cast<unsigned char*>(&seed), sizeof seed) != 1)
        throw std::runtime_error("no random bytes: " + tls::last_error());
    random_.seed(seed);
}

EventLoop::~EventLoop() = default;

std::uint16_t EventLoop::listen(const config::Listener& settings, std::uint16_t port) {
    Acceptor acceptor(context);
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(settings.address.host), port);
    acceptor.open(endpoint.protocol());
    acceptor.set_option(asio::socket_base::reuse_address(true));
    acceptor.set_option(ReusePort(true));
    acceptor.bind(endpoint);
    acceptor.listen(4096);
    const std::uint16_t bound = acceptor.local_endpoint().port();
    auto tls =
        settings.tls ? std::make_shared<const tls::ServerContexts>(*settings.tls, settings.http2, shared.tls) : nullptr;
    listening_.push_back(std::make_unique<Listening>(Listening{&settings, std::move(tls), std::move(acceptor)}));
    return bound;
}

void EventLoop::run() {
    for (const auto& listening : listening_) tasks.start(accept(*listening));
    tick();
    context.run();
}

Task<> EventLoop::accept(Listening& listening) {
    while (listening.acceptor.is_open()) {
        asio::ip::tcp::endpoint remote;
        error_code ec;
        Signal done;
        const auto finish = [&](error_code error) {
            ec = error;
            done.notify();
        };
        asio::basic_stream_socket<asio::ip::tcp, Executor> socket(context);
        listening.acceptor.async_accept(socket, remote, finish);
        co_await done.wait();
        if (ec == asio::error::operation_aborted) co_return;
        if (ec) {  // out of descriptors or memory: let others finish first
            spdlog::error("accept.failed address={} error=\"{}\"", listening.settings->address.text(), ec.message());
            asio::steady_timer pause(context, std::chrono::milliseconds(100));
            pause.async_wait(finish);
            co_await done.wait();
            continue;
        }
        metrics.connections_accepted.add();
        if (++shared.connections > shared.config.limits.connections) {
            --shared.connections;
            metrics.connections_refused.add();
            continue;  // closes it
        }
        socket.set_option(asio::ip::tcp::no_delay(true), ec);
        Peer peer;
        const auto address = remote.address();
        peer.address = address.is_v6() && address.to_v6().is_v4_mapped()
                           ? asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string()
                           : address.to_string();
        peer.https = listening.tls != nullptr;
        peer.trusted = in_networks(peer.address, site->config.trusted_proxies);
        Socket generic(std::move(socket));
        auto connection = std::make_shared<Connection>(*this, listening, std::move(generic), std::move(peer));
        tasks.start(connection->run());
    }
}

void EventLoop::tick() {
    deadlines.tick(std::chrono::steady_clock::now());
    if (++ticks_ % ticks_between_looks == 0) look_after_connections();
    if (draining_ && connections_->empty()) return context.stop();
    ticker_.expires_after(Deadlines::tick_length);
    ticker_.async_wait([this](error_code ec) {
        if (!ec) tick();
    });
}

void EventLoop::look_after_connections() {
    for (auto at = connections_->begin(); at != connections_->end();) (at++)->look_after();
}

void EventLoop::drain() {
    asio::post(context, [this] {
        draining_ = true;
        error_code ignored;
        for (const auto& listening : listening_) listening->acceptor.close(ignored);
        for (auto at = connections_->begin(); at != connections_->end();) (at++)->drain();
    });
}

RequestId EventLoop::request_id() {
    static constexpr auto hex = [] {
        constexpr char digits[] = "0123456789abcdef";
        std::array<std::array<char, 2>, 256> table{};
        for (unsigned byte = 0; byte < table.size(); ++byte) table[byte] = {digits[byte >> 4U], digits[byte & 15U]};
        return table;
    }();
    RequestId id;
    for (std::size_t at = 0; at < id.size(); at += 16) {
        std::uint64_t bits = random_();
        for (std::size_t i = 0; i < 16; i += 2, bits >>= 8U) std::memcpy(&id[at + i], hex[bits & 255U].data(), 2);
    }
    return id;
}

std::string_view EventLoop::http_date() {
    const auto now = std::chrono::system_clock::now();
    if (now >= date_until_) {
        date_until_ = std::chrono::floor<std::chrono::seconds>(now) + std::chrono::seconds(1);
        const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
        std::tm utc{};
        gmtime_r(&seconds, &utc);
        char text[40];
        date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc));
    }
    return date_;
}

}  // namespace rotagate::proxy
