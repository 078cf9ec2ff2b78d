#include "proxy/event_loop.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <stdexcept>

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <spdlog/spdlog.h>

#include "proxy/connection.hpp"
#include "proxy/http2_app_connection.hpp"
#include "proxy/proxied_socket.hpp"

namespace rotagate::proxy {
namespace {

// The answers of a session that has ended are cut within a second: half of it for short ones, this, and word of the
// end.
constexpr unsigned ticks_between_looks = std::chrono::milliseconds(250) / Deadlines::tick_length;

}  // namespace

EventLoop::EventLoop(Shared& its_shared, session::SessionStores& stores, LoopMetrics& its_metrics,
                     LoopSnapshot snapshot)
    : shared(its_shared),
      own_store(stores.on(context)),
      store(*own_store),
      sealer(*snapshot.keys),
      metrics(its_metrics),
      access_log(snapshot.access_log),
      security_log(snapshot.security_log),
      keys_(snapshot.keys),
      connections_(std::make_unique<Connections>()),
      ticker_(context) {
    std::uint64_t seed = 0;
    if (RAND_bytes(reinterpret_cast<unsigned char*>(&seed), sizeof seed) != 1)
        throw std::runtime_error("no random bytes: " + tls::last_error());
    random_.seed(seed);
    take_over(std::move(snapshot));
}

EventLoop::~EventLoop() {
    for (auto at = connections_->begin(); at != connections_->end();) (at++)->abandon();
}

void EventLoop::run() {
    tick();
    context.run();
}

// ---- the configuration in force -------------------------------------------------------------------------------------

void EventLoop::learn_keys(std::shared_ptr<const session::KeyRing> keys, std::function<void()> done) {
    asio::post(context, [this, keys = std::move(keys), done = std::move(done)] {
        sealer = session::CookieSealer(*keys);
        keys_ = keys;
        done();
    });
}

void EventLoop::reload(LoopSnapshot snapshot, std::function<void()> done) {
    asio::post(context, [this, next = std::make_shared<LoopSnapshot>(std::move(snapshot)), done = std::move(done)] {
        if (!draining_) take_over(std::move(*next));
        done();
    });
}

void EventLoop::take_over(LoopSnapshot snapshot) {
    take_over_upstreams(snapshot);
    if (snapshot.keys != keys_) sealer = session::CookieSealer(*snapshot.keys);
    keys_ = std::move(snapshot.keys);
    access_log = std::move(snapshot.access_log);
    security_log = std::move(snapshot.security_log);
    take_over_listeners(snapshot.listeners);
}

void EventLoop::take_over_upstreams(LoopSnapshot& snapshot) {
    std::vector<Site::Upstream> upstreams;
    for (LoopSnapshot::Upstream& wanted : snapshot.upstreams) {
        std::shared_ptr<UpstreamPool> pool;
        if (site) {
            const auto known = std::ranges::find(site->upstreams, wanted.state, &Site::Upstream::state);
            if (known != site->upstreams.end()) pool = known->pool;
        }
        const UpstreamState& state = *wanted.state;
        if (!pool)
            pool = std::make_shared<UpstreamPool>(http2::AppLoop{context, deadlines, tasks}, state.settings,
                                                  state.health, std::move(wanted.tls), metrics);
        upstreams.push_back({wanted.state, std::move(pool)});
    }
    site = std::make_shared<const Site>(snapshot.number, snapshot.config, std::move(upstreams));
    deadlines.forget_unused();
}

void EventLoop::take_over_listeners(std::vector<LoopSnapshot::Listener>& listeners) {
    const auto before = std::exchange(listening_, {});
    for (LoopSnapshot::Listener& wanted : listeners) {
        const auto same_id = [&](const auto& listening) { return listening->id == wanted.id; };
        const auto known = std::ranges::find_if(before, same_id);
        if (known == before.end()) {
            listen(wanted);
            continue;
        }
        (*known)->settings = std::move(wanted.settings);
        (*known)->tls = std::move(wanted.tls);
        listening_.push_back(*known);
    }
    for (const auto& listening : before)
        if (std::ranges::find(listening_, listening) == listening_.end()) close(*listening);
}

bool EventLoop::others_admit(const SSL* ssl, std::string_view host, int closeness) const {
    return std::ranges::all_of(listening_, [&](const auto& other) {
        return !other->tls || other->tls->closeness(host) <= closeness || other->tls->admits(ssl, host);
    });
}

void EventLoop::listen(LoopSnapshot::Listener& wanted) {
    const std::string name = wanted.settings.address.text();
    auto listening = std::make_shared<Listening>(
        Listening{.id = wanted.id, .settings = std::move(wanted.settings), .tls = std::move(wanted.tls)});
    listening->acceptor = std::make_unique<Acceptor>(
        context, std::move(wanted.socket), name,
        [this, weak = std::weak_ptr(listening)](Descriptor socket, const asio::ip::address& client) {
            if (auto known = weak.lock()) accepted(std::move(known), std::move(socket), client);
        });
    if (const error_code ec = listening->acceptor->start()) {  // no memory for it in the kernel
        spdlog::error("listen.failed address={} error=\"{}\"", name, ec.message());
        return;
    }
    listening_.push_back(std::move(listening));
}

void EventLoop::close(Listening& listening) {
    listening.acceptor->close();
    for (auto at = connections_->begin(); at != connections_->end();) {
        Connection& connection = *at++;
        if (&connection.listening() == &listening) connection.drain();
    }
}

// ---- connections ----------------------------------------------------------------------------------------------------

void EventLoop::accepted(std::shared_ptr<Listening> listening, Descriptor socket, const asio::ip::address& client) {
    metrics.connections_accepted.add();
    if (++shared.connections > site->config.limits.connections) {
        --shared.connections;
        metrics.connections_refused.add();
        return;  // closes it
    }
    Peer peer;
    peer.address = client.is_v6() && client.to_v6().is_v4_mapped()
                       ? asio::ip::make_address_v4(asio::ip::v4_mapped, client.to_v6()).to_string()
                       : client.to_string();
    peer.https = listening->tls != nullptr;
    if (listening->settings.proxy_protocol) {
        tasks.start(serve_proxied(std::move(listening), std::move(socket), std::move(peer)));
    } else {
        serve(std::move(listening), std::move(socket), peer);
    }
}

/// Where its connection counts among its client's; none: it has as many as it may have.
std::optional<ClientConnections::Place> EventLoop::place_for(const Peer& peer) {
    const std::size_t limit = site->config.limits.connections_per_client;
    // A trusted proxy's connections are those of all of its clients, and who comes by a unix socket is one's own.
    if (limit == 0 || peer.address == "unix" || in_networks(peer.address, site->config.trusted_proxies))
        return ClientConnections::Place();
    auto place = shared.clients.take(peer.address, limit);
    const auto now = std::chrono::steady_clock::now();
    if (!place && now >= tell_of_refusal_) {
        tell_of_refusal_ = now + std::chrono::seconds(1);
        spdlog::warn(
            "connections.refused client={} limit={} detail=\"over limits.connections_per_client; told once a second\"",
            peer.address, limit);
    }
    return place;
}

void EventLoop::serve(std::shared_ptr<Listening> listening, Descriptor socket, const Peer& peer) {
    std::optional<ClientConnections::Place> place = place_for(peer);
    if (!place) {
        --shared.connections;
        metrics.connections_refused.add();
        return;
    }
    auto connection =
        std::make_shared<Connection>(*this, std::move(listening), std::move(socket), peer, std::move(*place));
    tasks.start(connection->run());
}

/// A connection whose proxy tells first who its client is.
Task<> EventLoop::serve_proxied(std::shared_ptr<Listening> listening, Descriptor accepted, Peer peer) {
    Socket socket(context);
    ProxyHeader header;
    error_code ec;
    socket.assign({AF_INET, IPPROTO_TCP}, accepted.get(), ec);
    if (!ec) accepted.release();
    if (!ec) ec = co_await read_proxy_header(socket, header, deadlines, site->config.limits.header_timeout);
    if (ec || header.state() == ProxyHeader::State::malformed) {
        --shared.connections;
        metrics.proxy_headers_refused.add();
        spdlog::debug("proxy_protocol.refused address={} peer={} error=\"{}\"", listening->settings.address.text(),
                      peer.address, ec ? ec.message() : header.error());
        co_return;
    }
    if (!header.client().empty()) peer.address = header.client();
    serve(std::move(listening), Descriptor(socket.release()), peer);
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
        for (const auto& listening : listening_) listening->acceptor->close();
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
