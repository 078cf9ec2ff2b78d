#include "proxy/upstreams.hpp"

#include <algorithm>

#include <boost/container/small_vector.hpp>

#include "proxy/balance.hpp"
#include "proxy/http2_app_connections.hpp"

namespace rotagate::proxy {

/// One server: its connector, its idle connections.
class UpstreamPool::Server final : public StreamWatcher {
public:
    Server(const http2::AppLoop& loop, const config::Upstream& upstream, const config::Address& address, SSL_CTX* tls,
           std::shared_ptr<ServerHealth> shared_health)
        : connector(loop.context, address, tls, tls_name(upstream, address)),
          name(address.text()),
          host(host_field(upstream, address)),
          health(std::move(shared_health)),
          max_idle(upstream.max_idle_connections),
          poller(asio::use_service<Poller>(loop.context)) {
        if (upstream.protocol == config::Protocol::h2c)
            http2 = std::make_unique<http2::AppConnections>(loop, connector, upstream);
    }

    ~Server() {
        for (const auto& kept : idle) kept.stream->unwatch(), kept.stream->close();
    }

    /// The latest of those whose events have been told since they were given back: the others may age until the server
    /// closes them. One that was given back in this very turn is looked at, since what its server sent on, unasked,
    /// would be taken for the answer to another request.
    std::shared_ptr<Stream> take_idle() {
        while (!idle.empty()) {
            const auto settled = [round = poller.round()](const Idle& kept) { return round >= kept.round + 2; };
            const auto behind = std::partition_point(idle.begin(), idle.end(), settled);
            const bool is_settled = behind != idle.begin();
            const auto found = is_settled ? std::prev(behind) : std::prev(idle.end());
            auto stream = std::move(found->stream);
            idle.erase(found);
            stream->unwatch();
            if (is_settled ? stream->quiet() : stream->quiet_now()) return stream;
            stream->close();
        }
        return nullptr;
    }

    void keep(std::shared_ptr<Stream> stream) {
        if (idle.size() >= max_idle) return;
        idle.push_back({std::move(stream), poller.round()});
        idle.back().stream->watch(*this);
    }

    // Whatever a server says without being asked, the connection can no longer be trusted to be in step.
    void on_idle_event(Stream& stream) override {
        std::erase_if(idle, [&](const Idle& kept) { return kept.stream.get() == &stream; });
    }

    Connector connector;
    std::string name, host;
    std::shared_ptr<ServerHealth> health;
    std::size_t max_idle, active = 0;
    struct Idle {
        std::shared_ptr<Stream> stream;
        std::uint64_t round;  ///< of the poller, in which it was given back
    };
    Poller& poller;
    std::vector<Idle> idle;                        ///< in the order of their rounds
    std::unique_ptr<http2::AppConnections> http2;  ///< null: it is spoken to over HTTP/1
};

namespace {

/// Who waits for a connection counts as much as who has one, or all that come meanwhile would go to the same server.
class Counted {
public:
    explicit Counted(std::size_t& active) : active_(active) { ++active_; }
    Counted(const Counted&) = delete;
    ~Counted() { --active_; }

private:
    std::size_t& active_;
};

}  // namespace

UpstreamPool::Lease::Lease(Server& server, std::shared_ptr<Stream> stream, bool reused)
    : server_(&server), stream_(std::move(stream)), reused_(reused) {
    ++server_->active;
}

UpstreamPool::Lease::~Lease() {
    if (!stream_) return;
    --server_->active;
    stream_->close();
}

UpstreamPool::Place::Place(Server& server, std::shared_ptr<http2::AppConnection> connection)
    : server_(&server), connection_(std::move(connection)) {
    ++server_->active;
}

UpstreamPool::Place::~Place() {
    if (server_) --server_->active;
}

const std::string& UpstreamPool::Place::server_name() const { return server_->name; }
const std::string& UpstreamPool::Place::host() const { return server_->host; }

const std::string& UpstreamPool::Lease::server_name() const { return server_->name; }
const std::string& UpstreamPool::Lease::host() const { return server_->host; }

void UpstreamPool::Lease::give_back() {
    --server_->active;
    server_->keep(std::move(stream_));
    stream_ = nullptr;
}

UpstreamPool::UpstreamPool(const http2::AppLoop& loop, const config::Upstream& settings,
                           const std::vector<std::shared_ptr<ServerHealth>>& health, tls::Context tls,
                           LoopMetrics& metrics)
    : settings_(settings), tls_(std::move(tls)), deadlines_(loop.deadlines), metrics_(metrics) {
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
    const Counted waiting(server.active);
    metrics_.upstream_connects.add();
    auto stream = co_await server.connector.connect(deadlines_, settings_.connect_timeout);
    if (stream) co_return Lease(server, std::move(*stream), false);
    metrics_.upstream_connect_failures.add();
    co_return stream.error();
}

Task<session::Result<UpstreamPool::Place>> UpstreamPool::place(const Attempt& attempt) {
    Server& server = *servers_[attempt.server];
    const Counted waiting(server.active);
    http2::AppConnections& connections = *server.http2;
    while (true) {
        if (const auto connection = connections.with_room()) co_return Place(server, connection);
        const bool opens = !connections.opening();
        if (opens) metrics_.upstream_connects.add();
        const auto opened = co_await connections.open();
        if (!opened) {
            if (opens) metrics_.upstream_connect_failures.add();
            co_return opened.error();
        }
        // An app that takes no request on a new connection is waited for there; others may have been faster, too.
        if (*opened && !(*opened)->has_room() && (*opened)->streams() == 0) co_return Place(server, *opened);
    }
}

}  // namespace rotagate::proxy
