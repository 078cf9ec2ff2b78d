#include "proxy/listening_sockets.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <fmt/format.h>

namespace rotagate::proxy {

namespace asio = boost::asio;

namespace {

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
constexpr int backlog = 4096;

}  // namespace

std::vector<Descriptor> open_listening_sockets(config::Address& address, std::size_t count, bool shared) {
    asio::io_context unused;  // the event loops will have their own
    std::vector<Descriptor> sockets;
    if (!shared && address.port != 0) {
        // Closed at once again, it fails where anybody listens.
        const asio::ip::tcp::acceptor alone(unused, {asio::ip::make_address(address.host), address.port}, true);
    }
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

std::string cannot_listen(const config::Address& address, const boost::system::error_code& why) {
    std::string_view cure;
    if (why == asio::error::address_in_use)
        cure = address.is_unix() ? "; stop what listens there (ss -lxp tells), remove the file, or write another one"
                                 : "; stop what listens there (ss -ltnp tells), or write another one";
    if (why == asio::error::access_denied)
        cure = address.is_unix() ? "; let this user write there" : "; ports below 1024 need CAP_NET_BIND_SERVICE";
    return fmt::format("cannot listen on {}: {}{}", address.text(), why.message(), cure);
}

}  // namespace rotagate::proxy
