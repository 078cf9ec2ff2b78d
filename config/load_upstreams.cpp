#include <algorithm>

#include "config/address.hpp"
#include "config/http_forms.hpp"
#include "config/sections.hpp"
#include "config/units.hpp"

namespace rotagate::config {
namespace {

bool is_upstream_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.';
    });
}

UpstreamTls read_upstream_tls(Reader yaml, const Upstream& upstream, const Files& files) {
    UpstreamTls tls;
    yaml.read("ca", tls.ca, files.authorities());
    yaml.read("server_name", tls.server_name, host_name);
    if (tls.server_name.starts_with('[')) tls.server_name = tls.server_name.substr(1, tls.server_name.size() - 2);
    const bool on_unix =
        std::any_of(upstream.servers.begin(), upstream.servers.end(), [](const Address& a) { return a.is_unix(); });
    if (on_unix && !yaml.has("server_name"))
        yaml.error("server_name", "is missing, and a unix socket has no name to verify; write server_name: HOST");
    yaml.reject_unknown();
    return tls;
}

Health read_health(Reader yaml) {
    Health health;
    yaml.require("path", health.path, request_path, "path: /healthz");
    yaml.read("interval", health.interval, between(100ms, 1h));
    yaml.read("fall", health.fall, count(1, 100));
    yaml.read("rise", health.rise, count(1, 100));
    yaml.reject_unknown();
    return health;
}

Upstream read_upstream(Reader yaml, const std::string& name, const Files& files) {
    Upstream upstream;
    upstream.name = name;
    yaml.read_list("servers", upstream.servers, server_address);
    if (!yaml.has("servers") || yaml.is_empty("servers")) yaml.missing("servers", "servers: [127.0.0.1:9000]");
    yaml.read("protocol", upstream.protocol, one_of<Protocol>({{"http1", Protocol::http1}, {"h2c", Protocol::h2c}}));
    if (upstream.protocol == Protocol::h2c && yaml.has("tls"))
        yaml.error("protocol",
                   "h2c is HTTP/2 in the clear, and the servers are spoken to over TLS; remove one of the two");
    if (auto tls = yaml.map("tls")) upstream.tls = read_upstream_tls(*tls, upstream, files);
    yaml.read("balance", upstream.balance,
              one_of<Balance>({{"round_robin", Balance::round_robin},
                               {"least_connections", Balance::least_connections},
                               {"user_hash", Balance::user_hash}}));
    if (auto health = yaml.map("health")) upstream.health = read_health(*health);
    yaml.read("connect_timeout", upstream.connect_timeout, between(10ms, 5min));
    yaml.read("response_timeout", upstream.response_timeout, between(10ms, 24h));
    yaml.read("max_idle_connections", upstream.max_idle_connections, count(0, 65536));
    yaml.reject_unknown();
    return upstream;
}

}  // namespace

std::vector<Upstream> read_upstreams(Reader yaml, const Files& files) {
    std::vector<Upstream> upstreams;
    for (const std::string& name : yaml.keys()) {
        if (!is_upstream_name(name))
            yaml.bad_key(name, "is not an upstream's name; write 1 to 64 letters, digits, \"-\", \"_\" or \".\"");
        auto upstream = yaml.map(name);
        upstreams.push_back(upstream ? read_upstream(*upstream, name, files) : Upstream{});
        upstreams.back().name = name;
    }
    return upstreams;
}

}  // namespace rotagate::config
