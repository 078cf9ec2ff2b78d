#pragma once

#include <string>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <sys/stat.h>

#include "config/config.hpp"

namespace rotagate::proxy {

/// Where the admin address listens: a TCP port, or a unix socket, whose file goes with it.
class AdminSocket {
public:
    using Protocol = boost::asio::generic::stream_protocol;
    using Acceptor = boost::asio::basic_socket_acceptor<Protocol>;

    /// Listens. A unix socket is for the process's user and group (mode 0660); a socket file that a process left behind
    /// is replaced, one that somebody listens on is not. Throws boost::system::system_error.
    AdminSocket(boost::asio::io_context& loop, const config::Address& address);
    ~AdminSocket();

    Acceptor& acceptor() { return acceptor_; }
    /// With the port that the system chose.
    config::Address address() const;
    /// Stops listening.
    void close();

private:
    void listen_tcp(boost::asio::io_context& loop);
    void listen_unix();

    config::Address address_;
    Acceptor acceptor_;
    struct stat file_ {};  ///< the unix socket's
};

}  // namespace rotagate::proxy
