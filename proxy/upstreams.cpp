#include "proxy/upstreams.hpp"

#include <algorithm>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/container/small_vector.hpp>

#include "proxy/balance.hpp"

namespace rotagate::proxy {
namespace {

constexpr auto name_lifetime = std::chrono::seconds(10);  // getaddrinfo() does not tell the record's own

}  // namespace

std::string tls_name(const config::Upstream& upstream, const config::Address& server) {
    if (!upstream.tls) return {};
    return upstream.tls->server_name.empty() ? server.host : upstream.tls->server_name;
}

std::string host_field(const config::Upstream& upstream, const config::Address& server) {
    if (!server.is_unix()) return server.text();
    const std::string name = tls_name(upstream, server);
    return name.empty() ? "localhost" : name;
}

Connector::Connector(asio::io_context& loop, config::Address address, SSL_CTX* tls, std::string tls_name)
    : loop_(loop), address_(std::move(address)), tls_(tls), tls_name_(std::move(tls_name)) {
    error_code not_numeric;
    const auto ip = asio::ip::make_address(address_.host, not_numeric);
    if (address_.is_unix()) {
        endpoints_.emplace_back(asio::local::stream_protocol::endpoint(address_.unix_path));
    } else if (!not_numeric) {
        endpoints_.emplace_back(asio::ip::tcp::endpoint(ip, address_.port));
    } else {
        return;
    }
    resolved_at_ = std::chrono::steady_clock::time_point::max();
}

Task<error_code> Connector::resolve() {
    if (resolved_at_ == std::chrono::steady_clock::time_point::max()) co_return error_code();
    const auto now = std::chrono::steady_clock::now();
    if (!endpoints_.empty() && now - resolved_at_ < name_lifetime) co_return error_code();
    using Resolver = asio::ip::basic_resolver<asio::ip::tcp, Executor>;
    Resolver resolver(loop_);
    error_code ec;
    Resolver::results_type results;
    Signal resolved;
    resolver.async_resolve(address_.host, std::to_string(address_.port),
                           [&](error_code error, Resolver::results_type found) {
                               ec = error;
                               results = std::move(found);
                               resolved.notify();
                           });
    co_await resolved.wait();
    // A name server that is away for a while does not take the addresses from us that we know.
    if (ec) co_return endpoints_.empty() ? ec : error_code();
    endpoints_.clear();
    for (const auto& result : results) endpoints_.emplace_back(result.endpoint());
    resolved_at_ = now;
    co_return error_code();
}

void Connector::set_up(Socket& socket) {
    error_code not_tcp;
    socket.set_option(asio::ip::tcp::no_delay(true), not_tcp);
}

Task<session::Result<std::shared_ptr<Stream>>> Connector::connect(Deadlines& deadlines, config::Duration timeout) {
    error_code failure = co_await resolve();
    if (failure) co_return failure;
    const std::vector<Endpoint> endpoints = endpoints_;
    failure = asio::error::host_not_found;
    bool timed_out = false;
    for (const Endpoint& endpoint : endpoints) {
        Socket socket(loop_);
        Deadline connecting([&] {
            timed_out = true;
            error_code ignored;
            socket.close(ignored);
        });
        deadlines.arm(connecting, timeout);
        Signal connected;
        socket.async_connect(endpoint, [&](error_code error) {
            failure = error;
            connected.notify();
        });
        co_await connected.wait();
        connecting.disarm();
        if (timed_out) co_return asio::error::timed_out;
        if (failure) continue;
        set_up(socket);
        tls::Ssl ssl = tls_ ? tls::connect(tls_, tls_name_) : nullptr;
        const bool secured = ssl != nullptr;
        auto stream = std::make_shared<Stream>(loop_, std::move(socket), std::move(ssl), Buffer::upstream_size);
        if (secured) {
            Deadline shaking([&] { stream->abort(asio::error::timed_out); });
            deadlines.arm(shaking, timeout);
            failure = co_await stream->handshake();
            if (failure) continue;
        }
        co_return stream;
    }
    co_return failure;
}

/// One server: its connector, its idle connections.
class UpstreamPool::Server final : public StreamWatcher {
public:
    Server(asio::io_context& loop, const config::Upstream& upstream, const config::Address& address, SSL_CTX* tls,
           std::shared_ptr<ServerHealth> shared_health)
        : connector(loop, address, tls, tls_name(upstream, address)),
          name(address.text()),
          host(host_field(upstream, address)),
          health(std::move(shared_health)),
          max_idle(upstream.max_idle_connections) {}

    ~Server() {
        for (const auto& stream : idle) stream->unwatch(), stream->close();
    }

    std::shared_ptr<Stream> take_idle() {
        if (idle.empty()) return nullptr;
        auto stream = std::move(idle.back());  // the latest: the others may age until the server closes them
        idle.pop_back();
        stream->unwatch();
        return stream;
    }

    void keep(std::shared_ptr<Stream> stream) {
        if (idle.size() >= max_idle) return;
        idle.push_back(std::move(stream));
        idle.back()->watch(*this);
    }

    // Whatever a server says without being asked, the connection can no longer be trusted to be in step.
    void on_idle_event(Stream& stream) override {
        std::erase_if(idle, [&](const auto& other) { return other.get() == &stream; });
    }

    Connector connector;
    std::string name, host;
    std::shared_ptr<ServerHealth> health;
    std::size_t max_idle, active = 0;
    std::vector<std::shared_ptr<Stream>> idle;
};

UpstreamPool::Lease::Lease(Server& server, std::shared_ptr<Stream> stream, bool reused)
    : server_(&server), stream_(std::move(stream)), reused_(reused) {
    ++server_->active;
}

UpstreamPool::Lease::~Lease() {
    if (!stream_) return;
    --server_->active;
    stream_->close();
}

const std::string& UpstreamPool::Lease::server_name() const { return server_->name; }
const std::string& UpstreamPool::Lease::host() const { return server_->host; }

void UpstreamPool::Lease::give_back() {
    --server_->active;
    server_->keep(std::move(stream_));
    stream_ = nullptr;
}

UpstreamPool::UpstreamPool(asio::io_context& loop, const config::Upstream& settings,
                           const std::vector<std::shared_ptr<ServerHealth>>& health, Deadlines& deadlines,
                           LoopMetrics& metrics)
    : settings_(settings), deadlines_(deadlines), metrics_(metrics) {
    if (settings.tls) tls_ = tls::upstream_context(*settings.tls);
    for (std::size_t i = 0; i < settings.servers.size(); ++i)
        servers_.push_back(std::make_unique<Server>(loop, settings_, settings.servers[i], tls_.get(), health[i]));
}

UpstreamPool::~UpstreamPool() = default;

bool UpstreamPool::choose(Attempt& attempt) {
    boost::container::small_vector<Candidate, 8> candidates;
    for (const auto& server : servers_)
        candidates.push_back({.up = server->health->up.load(std::memory_order_relaxed), .active = server->active});
    for (const std::size_t server : attempt.tried) candidates[server].tried = true;
    const auto chosen = choose_server(settings_.balance, candidates, turn_++, attempt.user);
    attempt.server = chosen.value_or(0);
    return chosen.has_value();
}

std::optional<UpstreamPool::Lease> UpstreamPool::kept(const Attempt& attempt) {
    Server& server = *servers_[attempt.server];
    auto stream = attempt.fresh ? nullptr : server.take_idle();
    if (!stream) return std::nullopt;
    return std::make_optional<Lease>(server, std::move(stream), true);
}

Task<session::Result<UpstreamPool::Lease>> UpstreamPool::connect(const Attempt& attempt) {
    Server& server = *servers_[attempt.server];
    metrics_.upstream_connects.add();
    auto stream = co_await server.connector.connect(deadlines_, settings_.connect_timeout);
    if (stream) co_return Lease(server, std::move(*stream), false);
    metrics_.upstream_connect_failures.add();
    co_return stream.error();
}

}  // namespace rotagate::proxy
