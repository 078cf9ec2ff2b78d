#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/message.hpp"

/// Who the client is behind trusted proxies, and how the app is told (RFC 7239, and X-Forwarded-* as is usual).
namespace rotagate::proxy {

struct ClientCertificate;

/// The client as the connection sees it, before any X-Forwarded-For is believed.
struct Peer {
    std::string address;   ///< IP address without port; "unix" for a unix socket
    bool trusted = false;  ///< in trusted_proxies: its forwarding headers count
    bool https = false;
    std::shared_ptr<ClientCertificate> certificate{};  ///< null: it has shown none
};

/// Whether an address is in one of the networks. IPv4-mapped IPv6 addresses count as IPv4.
bool in_networks(std::string_view address, const std::vector<config::Network>& networks);

/// The client's address: the peer's, or, where the peer is trusted, the last in X-Forwarded-For (or Forwarded) that is
/// not a trusted proxy itself; the first, where all are. The peer's too where an entry up to there is not an address.
std::string client_address(const RequestHead& head, const Peer& peer, const std::vector<config::Network>& trusted);

/// Whether a node of X-Forwarded-For or Forwarded is an address in one of the networks.
bool in_networks_as_node(std::string_view node, const std::vector<config::Network>& networks);

/// Where the client is, as its address bar shows it.
struct ClientOrigin {
    std::string_view scheme, authority;
};
/// As the connection shows it, or, where the peer is trusted, as it tells: by X-Forwarded-Proto and -Host, or, where it
/// sends none of them nor X-Forwarded-For, by the first element of Forwarded that a trusted proxy has added. What is no
/// scheme of HTTP or no host does not count.
ClientOrigin client_origin(const RequestHead& head, const Peer& peer, const std::vector<config::Network>& trusted);

/// The nodes of X-Forwarded-For, or else of Forwarded ("unknown" where an element names none), the client's first.
using Nodes = boost::container::small_vector<std::string_view, 4>;
Nodes forwarded_nodes(const RequestHead& head);

/// Appends X-Forwarded-For, -Proto, -Host and Forwarded. What a trusted peer sent is continued, and its other
/// X-Forwarded-* fields pass, but for those that tell who the user is; what others sent does not count.
/// @param origin  of client_origin()
void add_forwarding_fields(const RequestHead& head, const Peer& peer, const ClientOrigin& origin, Arena& arena,
                           Fields& out);

}  // namespace rotagate::proxy
