#include "config/store_url.hpp"

#include <array>
#include <charconv>
#include <optional>

#include "config/address.hpp"
#include "config/text.hpp"

namespace rotagate::config {
namespace {

struct Scheme {
    std::string_view prefix;
    Redis::Kind kind;
    bool tls, unix_socket;
    std::string_view example;
};

constexpr std::array schemes{
    Scheme{"redis://", Redis::Kind::server, false, false, "redis://127.0.0.1:6379/0"},
    Scheme{"rediss://", Redis::Kind::server, true, false, "rediss://redis.internal:6379/0"},
    Scheme{"redis+unix://", Redis::Kind::server, false, true, "redis+unix:///run/redis.sock"},
    Scheme{"redis+sentinel://", Redis::Kind::sentinel, false, false, "redis+sentinel://h1:26379,h2:26379/mymaster"},
    Scheme{"rediss+sentinel://", Redis::Kind::sentinel, true, false, "rediss+sentinel://h1:26379,h2:26379/mymaster"},
    Scheme{"redis+cluster://", Redis::Kind::cluster, false, false, "redis+cluster://h1:6379,h2:6379"},
    Scheme{"rediss+cluster://", Redis::Kind::cluster, true, false, "rediss+cluster://h1:6379,h2:6379"},
};

const Scheme* scheme_of(std::string_view text) {
    for (const Scheme& scheme : schemes)
        if (text.starts_with(scheme.prefix)) return &scheme;
    return nullptr;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        unsigned byte = 0;
        const char* const end = text.data() + i + 3;
        if (std::from_chars(text.data() + i + 1, end, byte, 16).ptr != end) return std::nullopt;
        decoded += static_cast<char>(byte);
        i += 2;
    }
    return decoded;
}

bool read_credentials(std::string_view text, Redis& redis) {
    if (text.find(':') == std::string_view::npos) return false;
    const auto user = percent_decoded(take_until(text, ':'));
    const auto password = percent_decoded(text);
    if (!user || !password || password->empty()) return false;
    redis.user = *user;
    redis.password = *password;
    return true;
}

bool read_database(std::string_view text, Redis& redis) {
    const char* const end = text.data() + text.size();
    const auto [ptr, error] = std::from_chars(text.data(), end, redis.database);
    return ptr == end && (error == std::errc() || text.empty());
}

bool read_servers(std::string_view text, Redis& redis) {
    if (text.ends_with(',')) return false;
    while (!text.empty()) {
        auto server = server_address(take_until(text, ','));
        const auto* address = std::get_if<Address>(&server);
        if (!address || address->is_unix()) return false;
        redis.servers.push_back(*address);
    }
    return !redis.servers.empty() && (redis.kind != Redis::Kind::server || redis.servers.size() == 1);
}

/// HOST:PORT... and what follows: /DATABASE, or /MASTER[/DATABASE].
bool read_network(std::string_view text, Redis& redis) {
    if (!read_servers(take_until(text, '/'), redis)) return false;
    if (redis.kind == Redis::Kind::sentinel) {
        redis.master = take_until(text, '/');
        if (redis.master.empty()) return false;
    }
    if (text.empty()) return true;
    return redis.kind != Redis::Kind::cluster && read_database(text, redis);
}

bool read_unix(std::string_view text, Redis& redis) {
    const std::string path = "unix:" + std::string(take_until(text, '?'));
    auto address = server_address(path);
    if (!std::holds_alternative<Address>(address)) return false;
    redis.servers.push_back(std::get<Address>(address));
    return text.empty() || (text.starts_with("db=") && read_database(text.substr(3), redis));
}

}  // namespace

bool is_redis_url(std::string_view text) {
    const Scheme* scheme = scheme_of(text);
    return scheme && text.size() > scheme->prefix.size();
}

Parsed<Redis> redis_url(std::string_view text) {
    const Scheme* scheme = scheme_of(text);
    if (!scheme) return Refusal{"is not the URL of a Redis; write " + std::string(schemes.front().example)};
    const Refusal refusal{"cannot be read; write it like " + std::string(scheme->example) +
                          ", with USER:PASSWORD@ after the // where the server asks for them"};
    text.remove_prefix(scheme->prefix.size());
    Redis redis{.kind = scheme->kind, .servers = {}, .tls = scheme->tls};
    // A password may hold an unencoded "@" or "/": what follows the last "@" is the server.
    if (const auto at = text.rfind('@'); at != std::string_view::npos) {
        if (!read_credentials(text.substr(0, at), redis)) return refusal;
        text.remove_prefix(at + 1);
    }
    if (scheme->unix_socket ? !read_unix(text, redis) : !read_network(text, redis)) return refusal;
    return redis;
}

}  // namespace rotagate::config
