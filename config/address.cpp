#include "config/address.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <arpa/inet.h>
#include <sys/un.h>

namespace rotagate::config {
namespace {

constexpr std::size_t longest_socket_path = sizeof(sockaddr_un::sun_path) - 1;

struct IpBytes {
    std::array<unsigned char, 16> bytes{};
    unsigned bits = 0;  ///< 32 or 128
};

std::optional<IpBytes> ip_bytes(std::string_view text) {
    const std::string terminated(text);
    IpBytes ip;
    if (inet_pton(AF_INET, terminated.c_str(), ip.bytes.data()) == 1) return ip.bits = 32, ip;
    if (inet_pton(AF_INET6, terminated.c_str(), ip.bytes.data()) == 1) return ip.bits = 128, ip;
    return std::nullopt;
}

std::optional<unsigned> number(std::string_view text, unsigned max) {
    unsigned value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, failed] = std::from_chars(text.data(), end, value);
    if (failed != std::errc{} || rest != end || value > max) return std::nullopt;
    return value;
}

/// @return none where the text is not host:port with a port of 0 to 65535
std::optional<Address> host_and_port(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto port = number(text.substr(colon + 1), 65535);
    std::string_view host = text.substr(0, colon);
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets) host = host.substr(1, host.size() - 2);
    const bool is_v6 = host.find(':') != std::string_view::npos;
    if (!port || brackets != is_v6 || (is_v6 ? !is_ip_address(host) : !is_host_name(host))) return std::nullopt;
    // What looks like an IPv4 address but is none ("127.0.0.256") would be looked up as a name, to nobody's use.
    const bool digits_only = host.find_first_not_of("0123456789.") == std::string_view::npos;
    if (digits_only && !is_ip_address(host)) return std::nullopt;
    return Address{std::string(host), static_cast<std::uint16_t>(*port), {}};
}

constexpr std::string_view unix_prefix = "unix:";

Parsed<Address> unix_socket(std::string_view text) {
    const auto path = text.substr(unix_prefix.size());
    if (!path.starts_with('/') || path.ends_with('/'))
        return Refusal{"is not the path of a unix socket; write unix:/run/app.sock"};
    if (path.size() > longest_socket_path)
        return Refusal{"is too long for a unix socket; write a path of at most " + std::to_string(longest_socket_path) +
                       " bytes"};
    return Address{{}, 0, std::string(path)};
}

}  // namespace

std::string Address::text() const {
    if (is_unix()) return "unix:" + unix_path;
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool is_ip_address(std::string_view text) { return ip_bytes(text).has_value(); }

bool is_host_name(std::string_view text) {
    if (text.empty() || text.size() > 253) return false;
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto end = std::min(text.find('.', begin), text.size());
        const auto label = text.substr(begin, end - begin);
        const bool letters = std::all_of(label.begin(), label.end(), [](unsigned char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        });
        if (label.empty() || label.size() > 63 || !letters || label.front() == '-' || label.back() == '-') return false;
        begin = end + 1;
    }
    return true;
}

bool is_local(const Address& address) {
    if (address.is_unix() || address.host == "::1") return true;
    const auto ip = ip_bytes(address.host);
    return ip && ip->bits == 32 && ip->bytes[0] == 127;
}

Parsed<Address> server_address(std::string_view text) {
    if (text.starts_with(unix_prefix)) return unix_socket(text);
    const auto address = host_and_port(text);
    if (!address || address->port == 0)
        return Refusal{"is not a server's address; write host:port, [v6]:port or unix:/path (ports 1 to 65535)"};
    return *address;
}

Parsed<Address> listen_address(std::string_view text) {
    auto address = host_and_port(text);
    if (address && address->host == "localhost") address->host = "127.0.0.1";
    if (!address || !is_ip_address(address->host))
        return Refusal{
            "is not an address to listen on; write 0.0.0.0:8443, [::]:8443 or 127.0.0.1:8443 (ports 0 to 65535)"};
    return *address;
}

Parsed<Address> admin_address(std::string_view text) {
    return text.starts_with(unix_prefix) ? unix_socket(text) : listen_address(text);
}

Parsed<Network> network(std::string_view text) {
    const auto slash = text.find('/');
    const auto ip = ip_bytes(text.substr(0, slash));
    if (!ip) return Refusal{"is not a network; write 10.0.0.0/8, fd00::/8 or a single IP address"};
    const auto length = slash == std::string_view::npos ? ip->bits : number(text.substr(slash + 1), ip->bits);
    if (!length) return Refusal{"has no valid prefix length; write /0 to /" + std::to_string(ip->bits)};
    for (unsigned bit = *length; bit < ip->bits; ++bit)
        if (ip->bytes[bit / 8] & (0x80U >> (bit % 8)))
            return Refusal{"has bits beyond its prefix of " + std::to_string(*length) +
                           "; write the network's first address"};
    return Network{std::string(text.substr(0, slash)), *length};
}

}  // namespace rotagate::config
