#include "proxy/admin_socket.hpp"

#include <cerrno>
#include <cstring>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <unistd.h>

namespace rotagate::proxy {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// Whether the path is a socket that nobody listens on.
bool is_left_behind(const std::string& path) {
    struct stat file;
    if (lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
    asio::io_context loop;
    asio::local::stream_protocol::socket probe{loop};
    error_code error;
    probe.connect(path, error);
    return error == asio::error::connection_refused;
}

}  // namespace

AdminSocket::AdminSocket(asio::io_context& loop, const config::Address& address) : address_{address}, acceptor_{loop} {
    if (address_.is_unix()) {
        listen_unix();
    } else {
        listen_tcp(loop);
    }
}

AdminSocket::~AdminSocket() { close(); }

void AdminSocket::listen_tcp(asio::io_context& loop) {
    using asio::ip::tcp;
    tcp::resolver resolver{loop};
    const auto found = resolver.resolve(address_.host, std::to_string(address_.port), tcp::resolver::passive);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(asio::socket_base::reuse_address{true});
    acceptor_.bind(endpoint);
    acceptor_.listen();
    tcp::endpoint bound;
    const Protocol::endpoint local = acceptor_.local_endpoint();
    std::memcpy(bound.data(), local.data(), local.size());
    address_.port = bound.port();
}

void AdminSocket::listen_unix() {
    const asio::local::stream_protocol::endpoint endpoint{address_.unix_path};
    acceptor_.open(endpoint.protocol());
    error_code error;
    acceptor_.bind(endpoint, error);
    if (error == asio::error::address_in_use && is_left_behind(address_.unix_path)) {
        unlink(address_.unix_path.c_str());
        acceptor_.bind(endpoint, error);
    }
    if (error) throw boost::system::system_error{error};
    // Before listen(): until then nobody can connect.
    if (chmod(address_.unix_path.c_str(), 0660) != 0 || stat(address_.unix_path.c_str(), &file_) != 0) {
        throw boost::system::system_error{error_code{errno, boost::system::system_category()}};
    }
    acceptor_.listen();
}

config::Address AdminSocket::address() const { return address_; }

void AdminSocket::close() {
    if (!acceptor_.is_open()) return;
    acceptor_.close();
    struct stat now;
    const bool ours = address_.is_unix() && lstat(address_.unix_path.c_str(), &now) == 0 &&
                      now.st_dev == file_.st_dev && now.st_ino == file_.st_ino;
    if (ours) unlink(address_.unix_path.c_str());
}

}  // namespace rotagate::proxy
