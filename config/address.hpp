#pragma once

#include <string_view>

#include "config/config.hpp"
#include "config/reader.hpp"

/// The forms of network addresses.
namespace rotagate::config {

/// host:port, [v6]:port or unix:/path, of a server to connect to; the port is 1 to 65535.
Parsed<Address> server_address(std::string_view text);

/// IP:port to listen on; port 0 asks the system for a free one, "localhost" is 127.0.0.1.
Parsed<Address> listen_address(std::string_view text);

/// The same, or unix:/path.
Parsed<Address> admin_address(std::string_view text);

/// 10.0.0.0/8, fd00::/8, or a single IP address.
Parsed<Network> network(std::string_view text);

/// Whether only processes of this machine reach it: 127.0.0.0/8, ::1, or a unix socket.
bool is_local(const Address& address);

/// Whether a text is an IP address, without brackets.
bool is_ip_address(std::string_view text);

/// Whether a text is a host name: labels of letters, digits, "-" and "_", 253 bytes at most.
bool is_host_name(std::string_view text);

}  // namespace rotagate::config
