#include "bench/target.hpp"

#include <charconv>
#include <stdexcept>

#include <boost/url/parse.hpp>

namespace rotagate::bench {
namespace {

/// 0: not one that can be connected to.
std::uint16_t port_of(std::string_view digits, std::uint16_t usual) {
    std::uint16_t port = digits.empty() ? usual : 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), port);
    return port;
}

}  // namespace

Target Target::parse(std::string_view url) {
    const auto parsed = boost::urls::parse_uri({url.data(), url.size()});
    const bool known = parsed && (parsed->scheme() == "https" || parsed->scheme() == "http");
    Target target;
    target.secure = known && parsed->scheme() == "https";
    const std::uint16_t usual = target.secure ? 443 : 80;
    if (known) target.server.port = port_of({parsed->port().data(), parsed->port().size()}, usual);
    if (!known || parsed->encoded_host().empty() || parsed->has_userinfo() || target.server.port == 0)
        throw std::runtime_error("'" + std::string(url) + "' is no target; write https://HOST[:PORT][/PATH]");
    const auto host = parsed->encoded_host_address();
    target.server.host.assign(host.data(), host.size());
    const auto bracketed = parsed->encoded_host();
    target.authority.assign(bracketed.data(), bracketed.size());
    if (target.server.port != usual) target.authority += ":" + std::to_string(target.server.port);
    const auto path = parsed->encoded_target();
    target.path.assign(path.data(), path.size());
    if (!target.path.starts_with('/')) target.path.insert(0, 1, '/');
    return target;
}

}  // namespace rotagate::bench
