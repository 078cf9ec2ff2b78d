#include "proxy/proxied_socket.hpp"

#include <cerrno>

#include <boost/asio/error.hpp>
#include <sys/socket.h>

namespace rotagate::proxy {
namespace {

/// Feeds the header what has arrived. @return would_block: all of it was taken, and more is needed
error_code feed(int descriptor, ProxyHeader& header) {
    char bytes[512];
    while (header.state() == ProxyHeader::State::incomplete) {
        const ssize_t n = ::recv(descriptor, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return {errno, boost::system::system_category()};
        if (n == 0) return asio::error::eof;
        const std::size_t taken = header.take({bytes, static_cast<std::size_t>(n)});
        if (::recv(descriptor, bytes, taken, MSG_DONTWAIT) < 0) return {errno, boost::system::system_category()};
    }
    return {};
}

}  // namespace

Task<error_code> read_proxy_header(Socket& socket, ProxyHeader& header, Deadlines& deadlines,
                                   config::Duration timeout) {
    bool late = false;
    Deadline reading([&] {
        late = true;
        error_code ignored;
        socket.cancel(ignored);
    });
    deadlines.arm(reading, timeout);
    while (true) {
        error_code ec = feed(socket.native_handle(), header);
        if (ec != asio::error::would_block) co_return ec;
        Signal ready;
        socket.async_wait(Socket::wait_read, [&](error_code error) {
            ec = error;
            ready.notify();
        });
        co_await ready.wait();
        if (late) co_return asio::error::timed_out;
        if (ec) co_return ec;
    }
}

}  // namespace rotagate::proxy
