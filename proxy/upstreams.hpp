#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "proxy/connector.hpp"
#include "proxy/metrics.hpp"

namespace rotagate::proxy {

namespace http2 {
class AppConnection;
struct AppLoop;
}  // namespace http2

/// What the health checks find out about a server, shared by all event loops.
struct ServerHealth {
    std::atomic<bool> up{true};     ///< the balancing avoids it otherwise
    std::atomic<bool> alive{true};  ///< what /readyz tells: up, and reachable where no health check is configured
};

/// The servers of one upstream as one event loop sees them: balancing, and kept-alive connections.
class UpstreamPool {
public:
    class Server;
    /// A connection that is lent for one request. It is closed unless it is given back.
    class Lease {
    public:
        Lease(Server& server, std::shared_ptr<Stream> stream, bool reused);
        Lease(Lease&& other) noexcept
            : server_(other.server_), stream_(std::move(other.stream_)), reused_(other.reused_) {}
        Lease& operator=(Lease&&) = delete;
        ~Lease();

        Stream& stream() const { return *stream_; }
        bool reused() const {
            return reused_;
        }  ///< it served a request before: the server may have closed it meanwhile
        const std::string& server_name() const;
        const std::string& host() const;  ///< host_field() of its server
        /// For the next request: the answer is read to its end, and the server keeps the connection open.
        void give_back();

    private:
        Server* server_;
        std::shared_ptr<Stream> stream_;
        bool reused_;
    };

    /// A connection that is shared, for one request over HTTP/2. Its server counts as busy with that.
    class Place {
    public:
        Place(Server& server, std::shared_ptr<http2::AppConnection> connection);
        Place(Place&& other) noexcept
            : server_(std::exchange(other.server_, nullptr)), connection_(std::move(other.connection_)) {}
        Place& operator=(Place&&) = delete;
        ~Place();

        const std::shared_ptr<http2::AppConnection>& connection() const { return connection_; }
        const std::string& server_name() const;
        const std::string& host() const;

    private:
        Server* server_;
        std::shared_ptr<http2::AppConnection> connection_;
    };

    /// @param health  of each server
    /// @param tls     of upstream_context(); null: plain
    UpstreamPool(const http2::AppLoop& loop, const config::Upstream& settings,
                 const std::vector<std::shared_ptr<ServerHealth>>& health, tls::Context tls, LoopMetrics& metrics);
    ~UpstreamPool();

    /// What one request has tried so far.
    struct Attempt {
        std::string_view user;                                 ///< for user_hash
        boost::container::small_vector<std::size_t, 4> tried;  ///< servers
        bool fresh = false;      ///< no kept-alive connection: the last one turned out to be closed
        std::size_t server = 0;  ///< that choose() picked
    };
    /// Picks a server by the upstream's balancing. Returns false where all were tried.
    bool choose(Attempt& attempt);
    /// A kept-alive connection to that server, if there is one.
    std::optional<Lease> kept(const Attempt& attempt);
    /// A new connection to that server. Errors: Connector's.
    Task<session::Result<Lease>> connect(const Attempt& attempt);
    /// Where that server speaks HTTP/2: a place on a connection, a new one where it takes one. Errors: Connector's;
    /// bad_message (it does not speak it).
    Task<session::Result<Place>> place(const Attempt& attempt);

    const config::Upstream& settings() const { return settings_; }

private:
    config::Upstream settings_;
    tls::Context tls_;
    std::vector<std::unique_ptr<Server>> servers_;
    Deadlines& deadlines_;
    LoopMetrics& metrics_;
    std::size_t turn_ = 0;
};

}  // namespace rotagate::proxy
