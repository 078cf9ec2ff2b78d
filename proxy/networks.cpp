#include <algorithm>
#include <cstring>
#include <optional>

#include <arpa/inet.h>

#include "proxy/forwarded.hpp"

namespace rotagate::proxy {
namespace {

/// An IPv4 address has `bits` 32 and uses the first four bytes.
struct Ip {
    unsigned char bytes[16] = {};
    unsigned bits = 0;
};

std::optional<Ip> read_ip(std::string_view text) {
    char terminated[INET6_ADDRSTRLEN];
    if (text.size() >= sizeof terminated) return std::nullopt;
    *std::copy(text.begin(), text.end(), terminated) = '\0';
    Ip ip;
    if (inet_pton(AF_INET, terminated, ip.bytes) == 1) {
        ip.bits = 32;
        return ip;
    }
    if (inet_pton(AF_INET6, terminated, ip.bytes) != 1) return std::nullopt;
    constexpr unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const bool is_mapped = std::memcmp(ip.bytes, mapped, sizeof mapped) == 0;
    if (is_mapped) std::copy(ip.bytes + 12, ip.bytes + 16, ip.bytes);
    ip.bits = is_mapped ? 32 : 128;
    return ip;
}

bool contains(const config::Network& network, const Ip& ip) {
    const auto base = read_ip(network.address);
    if (!base || base->bits != ip.bits) return false;
    const bool mapped = ip.bits == 32 && network.address.find(':') != std::string::npos;
    if (mapped && network.prefix_length < 96) return false;
    const unsigned length = std::min(mapped ? network.prefix_length - 96 : network.prefix_length, ip.bits);
    const unsigned whole = length / 8, rest = length % 8;
    if (std::memcmp(ip.bytes, base->bytes, whole) != 0) return false;
    return rest == 0 || ((ip.bytes[whole] ^ base->bytes[whole]) >> (8 - rest)) == 0;
}

/// The address of a node of X-Forwarded-For or Forwarded, with or without brackets and port, in its usual text.
std::optional<std::string> node_address(std::string_view node) {
    if (node.starts_with('[')) {
        node = node.substr(1, node.find(']') - 1);
    } else if (std::count(node.begin(), node.end(), ':') == 1) {
        node = node.substr(0, node.find(':'));
    }
    const auto ip = read_ip(node);
    if (!ip) return std::nullopt;
    char text[INET6_ADDRSTRLEN];
    return inet_ntop(ip->bits == 32 ? AF_INET : AF_INET6, ip->bytes, text, sizeof text);
}

}  // namespace

bool in_networks(std::string_view address, const std::vector<config::Network>& networks) {
    const auto ip = read_ip(address);
    return ip && std::any_of(networks.begin(), networks.end(), [&](const auto& net) { return contains(net, *ip); });
}

bool in_networks_as_node(std::string_view node, const std::vector<config::Network>& networks) {
    const auto address = node_address(node);
    return address && in_networks(*address, networks);
}

std::string client_address(const RequestHead& head, const Peer& peer, const std::vector<config::Network>& trusted) {
    if (!peer.trusted) return peer.address;
    const Nodes nodes = forwarded_nodes(head);
    std::string client = peer.address;
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
        const auto address = node_address(*node);
        if (!address) return peer.address;
        client = *address;
        if (!in_networks(client, trusted)) break;
    }
    return client;
}

}  // namespace rotagate::proxy
