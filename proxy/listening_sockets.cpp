#include "proxy/listening_sockets.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace rotagate::proxy {

namespace asio = boost::asio;

namespace {

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
constexpr int backlog = 4096;

}  // namespace

std::vector<Descriptor> open_listening_sockets(config::Address& address, std::size_t count) {
    asio::io_context unused;  // the event loops will have their own
    std::vector<Descriptor> sockets;
    while (sockets.size() < count) {
        asio::ip::tcp::acceptor acceptor(unused);
        const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(address.host), address.port);
        acceptor.open(endpoint.protocol());
        acceptor.set_option(asio::socket_base::reuse_address(true));
        acceptor.set_option(ReusePort(true));
        acceptor.bind(endpoint);
        acceptor.listen(backlog);
        address.port = acceptor.local_endpoint().port();
        sockets.emplace_back(acceptor.release());
    }
    return sockets;
}

}  // namespace rotagate::proxy
