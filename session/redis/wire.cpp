#include "session/redis/wire.hpp"

#include <stdexcept>

#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

namespace rotagate::session::redis {
namespace {

using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;
using Secured = asio::ssl::stream<Socket>;
using Resolver = asio::ip::basic_resolver<asio::ip::tcp, Executor>;

/// The socket and whatever is around it. Operations that are under way keep it; what they end in is dropped once the
/// wire is gone.
template <class Stream>
struct Channel : std::enable_shared_from_this<Channel<Stream>> {
    template <class... Arguments>
    explicit Channel(asio::io_context& loop, Arguments&... arguments) : resolver(loop), stream(loop, arguments...) {}

    Socket& socket() {
        if constexpr (std::is_same_v<Stream, Socket>) {
            return stream;
        } else {
            return stream.next_layer();
        }
    }
    /// Calls `done` with what an operation ended in, unless the wire is gone.
    auto guarded(Wire::Done done) {
        return [self = this->shared_from_this(), done = std::move(done)](error_code ec, std::size_t n = 0) {
            if (!self->closed) done(ec, n);
        };
    }
    void connect(std::vector<asio::generic::stream_protocol::endpoint> endpoints, Wire::Done done) {
        auto targets = std::make_shared<decltype(endpoints)>(std::move(endpoints));
        asio::async_connect(socket(), *targets,
                            [self = this->shared_from_this(), targets, done = std::move(done)](
                                error_code ec, const asio::generic::stream_protocol::endpoint&) mutable {
                                if (self->closed) return;
                                if (ec) return done(ec, 0);
                                self->connected(std::move(done));
                            });
    }
    void connected(Wire::Done done) {
        error_code not_tcp;
        socket().set_option(asio::ip::tcp::no_delay(true), not_tcp);
        if constexpr (std::is_same_v<Stream, Socket>) {
            error_code failed;
            stream.non_blocking(true, failed);
            done(failed, 0);
        } else {
            stream.async_handshake(asio::ssl::stream_base::client, guarded(std::move(done)));
        }
    }

    Resolver resolver;
    Stream stream;
    bool closed = false;
};

template <class Stream>
class ChannelWire final : public Wire {
public:
    template <class... Arguments>
    explicit ChannelWire(asio::io_context& loop, Arguments&... arguments)
        : channel_(std::make_shared<Channel<Stream>>(loop, arguments...)) {}
    ~ChannelWire() override {
        channel_->closed = true;
        channel_->resolver.cancel();
        error_code ignored;
        channel_->socket().close(ignored);
    }
    ChannelWire(const ChannelWire&) = delete;
    ChannelWire& operator=(const ChannelWire&) = delete;

    void connect(const config::Address& server, Done done) override {
        if (server.is_unix())
            return channel_->connect({asio::local::stream_protocol::endpoint(server.unix_path)}, done);
        if constexpr (!std::is_same_v<Stream, Socket>) {
            error_code no_address;  // an address is no name for SNI (RFC 6066 section 3)
            asio::ip::make_address(server.host, no_address);
            if (no_address) SSL_set_tlsext_host_name(channel_->stream.native_handle(), server.host.c_str());
            channel_->stream.set_verify_callback(asio::ssl::host_name_verification(server.host));
        }
        channel_->resolver.async_resolve(
            server.host, std::to_string(server.port),
            [channel = channel_, done = std::move(done)](error_code ec, const Resolver::results_type& found) mutable {
                if (channel->closed) return;
                if (ec) return done(ec, 0);
                std::vector<asio::generic::stream_protocol::endpoint> endpoints;
                for (const auto& result : found) endpoints.emplace_back(result.endpoint());
                channel->connect(std::move(endpoints), std::move(done));
            });
    }
    void read(std::span<char> into, Done done) override {
        channel_->stream.async_read_some(asio::buffer(into.data(), into.size()), channel_->guarded(std::move(done)));
    }
    bool write(std::string_view bytes, Done done) override {
        if constexpr (std::is_same_v<Stream, Socket>) {
            error_code for_later;  // an error comes again
            bytes.remove_prefix(channel_->stream.write_some(asio::buffer(bytes), for_later));
            if (bytes.empty()) return true;
        }
        asio::async_write(channel_->stream, asio::buffer(bytes), channel_->guarded(std::move(done)));
        return false;
    }

private:
    std::shared_ptr<Channel<Stream>> channel_;
};

}  // namespace

std::unique_ptr<Wire> make_wire(asio::io_context& loop, asio::ssl::context* tls) {
    if (tls) return std::make_unique<ChannelWire<Secured>>(loop, *tls);
    return std::make_unique<ChannelWire<Socket>>(loop);
}

std::unique_ptr<asio::ssl::context> tls_context(const config::Redis& settings) {
    if (!settings.tls) return nullptr;
    auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
    error_code ec;
    if (settings.ca.empty()) {
        context->set_default_verify_paths(ec);
    } else {
        context->load_verify_file(settings.ca.string(), ec);
    }
    if (ec)
        throw std::runtime_error(settings.ca.string() + ": cannot use these authorities for the Redis store: " +
                                 ec.message() + "; write session.redis.ca: FILE with certificates in PEM");
    context->set_verify_mode(asio::ssl::verify_peer);
    SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
    return context;
}

}  // namespace rotagate::session::redis
