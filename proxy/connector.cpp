#include "proxy/connector.hpp"

#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/intrusive/list.hpp>

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

using Resolver = asio::ip::basic_resolver<asio::ip::tcp, Executor>;

struct Connector::Waiter
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    Signal signal;
};

/// A look-up of a name under way, and who waits for it. It may outlive its connector.
struct Connector::Lookup {
    explicit Lookup(asio::io_context& loop) : resolver(loop) {}

    Resolver resolver;
    bool running = false;
    error_code failure;
    boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>> waiters;
    std::vector<Endpoint> endpoints;  ///< what was found last
    std::chrono::steady_clock::time_point asked_at{};
};

Connector::Connector(asio::io_context& loop, config::Address address, SSL_CTX* tls, std::string tls_name)
    : loop_(loop),
      address_(std::move(address)),
      tls_(tls),
      tls_name_(std::move(tls_name)),
      lookup_(std::make_shared<Lookup>(loop)) {
    error_code not_numeric;
    const auto ip = asio::ip::make_address(address_.host, not_numeric);
    if (address_.is_unix()) {
        lookup_->endpoints.emplace_back(asio::local::stream_protocol::endpoint(address_.unix_path));
    } else if (!not_numeric) {
        lookup_->endpoints.emplace_back(asio::ip::tcp::endpoint(ip, address_.port));
    } else {
        is_name_ = true;
    }
}

Connector::~Connector() {
    if (lookup_) lookup_->resolver.cancel();
}

/// Looks the name up where that was done too long ago, one look-up at a time: the system's are slow when name servers
/// are away, and come one after the other.
void Connector::look_up() {
    const auto now = std::chrono::steady_clock::now();
    Lookup& lookup = *lookup_;
    if (lookup.running || (lookup.asked_at.time_since_epoch().count() > 0 && now - lookup.asked_at < name_lifetime &&
                           !lookup.endpoints.empty()))
        return;
    lookup.running = true;
    lookup.resolver.async_resolve(address_.host, std::to_string(address_.port),
                                  [state = lookup_](error_code ec, const Resolver::results_type& found) {
                                      state->running = false;
                                      state->failure = ec;
                                      state->asked_at = std::chrono::steady_clock::now();
                                      // A name server that is away for a while does not take the addresses from us that
                                      // we know.
                                      if (!ec) {
                                          state->endpoints.clear();
                                          for (const auto& result : found)
                                              state->endpoints.emplace_back(result.endpoint());
                                      }
                                      while (!state->waiters.empty()) {
                                          Waiter& waiter = state->waiters.front();
                                          waiter.unlink();
                                          waiter.signal.notify();
                                      }
                                  });
}

/// Waits for the first look-up of a name; what is known after that is used while it is looked up again.
Task<error_code> Connector::resolve(Deadlines& deadlines, config::Duration timeout) {
    if (!is_name_) co_return error_code();
    look_up();
    if (!lookup_->endpoints.empty()) co_return error_code();
    Waiter waiter;
    bool late = false;
    Deadline waiting([&] {
        late = true;
        waiter.unlink();
        waiter.signal.notify();
    });
    deadlines.arm(waiting, timeout);
    lookup_->waiters.push_back(waiter);
    co_await waiter.signal.wait();
    if (late) co_return asio::error::timed_out;
    co_return lookup_->endpoints.empty() ? lookup_->failure : error_code();
}

void Connector::set_up(Socket& socket) {
    error_code not_tcp;
    socket.set_option(asio::ip::tcp::no_delay(true), not_tcp);
    error_code never;
    socket.native_non_blocking(true, never);
}

Task<session::Result<std::shared_ptr<Stream>>> Connector::connect(Deadlines& deadlines, config::Duration timeout) {
    error_code failure = co_await resolve(deadlines, timeout);
    if (failure) co_return failure;
    const std::vector<Endpoint> endpoints = lookup_->endpoints;
    failure = asio::error::host_not_found;
    // An address that swallows what is sent there leaves time for the others.
    if (endpoints.size() > 1) timeout /= static_cast<int>(endpoints.size());
    for (const Endpoint& endpoint : endpoints) {
        bool timed_out = false;
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
        if (timed_out) failure = asio::error::timed_out;
        if (failure) continue;
        set_up(socket);
        tls::Ssl ssl = tls_ ? tls::connect(tls_, tls_name_) : nullptr;
        const bool secured = ssl != nullptr;
        auto stream =
            std::make_shared<Stream>(loop_, Descriptor(socket.release()), std::move(ssl), Buffer::upstream_size);
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

}  // namespace rotagate::proxy
