#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// Every setting of rotagate.yaml as a typed value: its default, its unit, its meaning.
/// `load.hpp` fills it from a file; example.yaml is the annotated reference.
namespace rotagate::config {

using Duration = std::chrono::milliseconds;
using namespace std::chrono_literals;

inline constexpr std::size_t KiB = 1024;
inline constexpr std::size_t MiB = 1024 * KiB;
inline constexpr std::size_t GiB = 1024 * MiB;

/// A TCP endpoint, or the path of a unix socket.
struct Address {
    std::string host;        ///< IP address or name, without brackets; empty for a unix socket
    std::uint16_t port = 0;  ///< 0 asks the system for a free port (listeners only)
    std::string unix_path;   ///< of "unix:/run/app.sock"; empty for TCP

    bool is_unix() const { return !unix_path.empty(); }
    std::string text() const;  ///< "127.0.0.1:80", "[::1]:80" or "unix:/run/app.sock"
    bool operator==(const Address&) const = default;
};

/// An address range such as 10.0.0.0/8; a single address is the range of its full length.
struct Network {
    std::string address;
    unsigned prefix_length = 0;  ///< bits, up to 32 or 128
    bool operator==(const Network&) const = default;
};

// ---- listen ---------------------------------------------------------------------------------------------------------

/// Certificates that clients are asked to show.
struct ClientCertificates {
    std::filesystem::path ca;  ///< PEM: who may have signed them
    bool required = true;      ///< false: a client may show none
    bool operator==(const ClientCertificates&) const = default;
};

struct Certificate {
    std::filesystem::path cert;                 ///< PEM, the chain, leaf first
    std::filesystem::path key;                  ///< PEM; refused when others may read it
    std::filesystem::path ocsp;                 ///< DER, an OCSP response about it, which is stapled; empty: none
    std::optional<ClientCertificates> clients;  ///< of those who ask for its hosts; absent: they are asked for none
};

enum class TlsVersion { tls1_2, tls1_3 };

struct ServerTls {
    std::vector<Certificate> certificates;  ///< chosen by SNI; the first is the default
    TlsVersion min_version = TlsVersion::tls1_2;
};

struct Listener {
    Address address;
    std::optional<ServerTls> tls;    ///< absent: plain HTTP
    bool http2 = true;               ///< offer HTTP/2 by ALPN
    bool proxy_protocol = false;     ///< require a PROXY protocol header
    bool redirect_to_https = false;  ///< answer every request with 308
};

/// What seals TLS session tickets, for all listeners.
struct TlsTickets {
    std::vector<std::filesystem::path> key_files;  ///< the first seals, all open; empty: random keys that rotate
    Duration rotation = 12h;  ///< age of a random key when the next takes its place; it opens tickets as long again
};

// ---- session --------------------------------------------------------------------------------------------------------

enum class SameSite { lax, strict, none };

struct Cookie {
    std::string name = "__Host-session";
    SameSite same_site = SameSite::lax;
    std::string domain;                            ///< empty: a host-only cookie
    std::vector<std::filesystem::path> key_files;  ///< the first seals, all open; empty: a random key for this process
};

enum class OnReplay {
    end_session,  ///< the session of the replayed cookie
    end_user,     ///< all sessions of its user
    report,       ///< none: only the security event
};

struct Rotation {
    Duration grace = 10s;  ///< G of the rotation rules: what the network may delay a request or an answer
    bool strict = false;   ///< a cookie is superseded when its successor is issued, not when that is presented
};

/// Sessions in Redis, for several gateways.
struct Redis {
    enum class Kind { server, sentinel, cluster };
    Kind kind = Kind::server;
    std::vector<Address> servers;  ///< the server itself; or the sentinels that know it; or some nodes of the cluster
    bool tls = false;              ///< verified
    std::string user;              ///< of the access control list; empty: the default user
    std::string password;          ///< empty: none
    unsigned database = 0;
    std::string master;        ///< the name by which sentinels know the server
    unsigned replicas = 0;     ///< that must confirm a login or a revocation before it counts
    std::filesystem::path ca;  ///< PEM; empty: the system's authorities
    bool operator==(const Redis&) const = default;
};

struct Session {
    std::string store = "memory";  ///< or "lmdb:" and a folder; as it may be shown, without a password
    std::optional<Redis> redis;    ///< present: that is where sessions are
    Duration store_timeout = 1s;   ///< a store that answers later counts as unavailable
    Cookie cookie;
    Duration idle_timeout = 60min;          ///< a session without a request ends after this
    Duration permanent_timeout = 31 * 24h;  ///< the same for sessions that were started as permanent
    Duration absolute_timeout = 0s;         ///< a session ends this long after its start; 0: never for that reason
    std::size_t max_sessions_per_user = 0;  ///< beyond it the oldest is ended; 0: no limit
    OnReplay on_replay = OnReplay::end_session;
    Rotation rotation;
};

// ---- upstreams ------------------------------------------------------------------------------------------------------

enum class Protocol {
    http1,  ///< HTTP/1.1
    h2c,    ///< HTTP/2 in the clear, with prior knowledge: gRPC
};

enum class Balance { round_robin, least_connections, user_hash };

struct UpstreamTls {
    std::filesystem::path ca;  ///< PEM; empty: the system's authorities
    std::string server_name;   ///< for SNI and verification; empty: the host of the server's address
    bool operator==(const UpstreamTls&) const = default;
};

struct Health {
    std::string path;  ///< asked with GET; 200 to 399 is healthy
    Duration interval = 2s;
    unsigned fall = 3;  ///< failures in a row until a server counts as down
    unsigned rise = 2;  ///< successes in a row until it counts as up again
    bool operator==(const Health&) const = default;
};

struct Upstream {
    std::string name;
    std::vector<Address> servers;
    Protocol protocol = Protocol::http1;
    std::optional<UpstreamTls> tls;  ///< present: the servers are spoken to over TLS, verified; not with h2c
    Balance balance = Balance::round_robin;
    std::optional<Health> health;
    Duration connect_timeout = 2s;          ///< TCP and TLS together
    Duration response_timeout = 60s;        ///< until the answer begins, and between any two pieces of it
    std::size_t max_idle_connections = 64;  ///< kept per event loop
    bool operator==(const Upstream&) const = default;
};

// ---- routes ---------------------------------------------------------------------------------------------------------

enum class Access {
    open,      ///< `public`: the session is not looked at
    optional,  ///< a session counts if there is one
    required,  ///< without a session: on_unauthenticated
};

enum class HostHeader { preserve, upstream };

struct Match {
    std::string host;                  ///< lower case, without a port; empty: any
    std::string path;                  ///< ends in "/": a prefix; else exact; canonical
    std::vector<std::string> methods;  ///< empty: any
};

/// What a client without a valid session gets on a route that requires one.
struct OnUnauthenticated {
    unsigned status = 401;
    std::string redirect;  ///< for page loads; "{uri}" is the percent-encoded path and query; empty: none
};

/// Who the user of a request is.
enum class UserFrom {
    session,      ///< the session's
    certificate,  ///< the one that the client's certificate names; it starts the session, and nobody else's counts
};

struct HeaderEdits {
    std::vector<std::pair<std::string, std::string>> set;  ///< replaces any value there is
    std::vector<std::string> remove;
};

/// Whose pages, of other origins, may read what the gateway answers itself.
struct Cors {
    std::vector<std::string> origins;  ///< "https://app.example.org", as browsers write it
    bool credentials = false;          ///< also where the request carries cookies
};

struct WebSocket {
    /// Whose pages may open WebSockets besides those of the same origin: "https://app.example.org"; "*" is any.
    std::vector<std::string> origins;
    Duration idle_timeout = 10min;  ///< one on which nothing passes, either way; 0: never for that reason
};

/// How many requests one client may make.
struct RateLimit {
    std::size_t requests = 0;  ///< at once, and in each `per`
    Duration per{};
};

struct Route {
    Match match;
    std::string upstream;  ///< a name of `upstreams`
    Access access = Access::required;
    bool session_control = false;  ///< `sessions: control`: the app's X-Session-* headers count here
    UserFrom user_from = UserFrom::session;
    OnUnauthenticated on_unauthenticated;
    std::string strip_prefix;  ///< of `rewrite`; empty: none
    HostHeader host = HostHeader::preserve;
    HeaderEdits request_headers;
    HeaderEdits response_headers;
    bool session_data = false;  ///< send X-Session-Data
    bool activity = true;       ///< false: requests here do not renew the idle timeout
    std::optional<Cors> cors;   ///< absent: no page of another origin is told anything
    WebSocket websocket;
    std::optional<RateLimit> rate_limit;  ///< of each client's address
    bool encoded_slashes = false;         ///< `encoded_slashes: allow`: forward %2f untouched
    bool any_encoding = false;            ///< `path_encoding: any`: forward triplets that are no UTF-8 untouched
};

// ---- the rest -------------------------------------------------------------------------------------------------------

struct Admin {
    Address address;
    std::filesystem::path token_file;  ///< required where the address is neither loopback nor a unix socket
};

struct Limits {
    std::size_t header_bytes = 32 * KiB;  ///< of a request head, request line included
    std::uint64_t body_bytes = 0;         ///< of a request body; 0: none
    Duration header_timeout = 10s;        ///< from the first byte of a head to its end
    Duration idle_timeout = 75s;          ///< a keep-alive connection without a request
    std::size_t connections = 20000;      ///< of clients, all event loops together
    /// Of those that come from one IP address, or from one /64 network of IPv6, and not from a trusted proxy; 0: none.
    std::size_t connections_per_client = 0;
    Duration drain_timeout{};  ///< from SIGTERM to the end of what is still under way then; 0: none
};

enum class LogLevel { debug, info, warn, error };
enum class LogFormat { json, text };

struct Log {
    LogLevel level = LogLevel::info;
    std::string access = "stdout";  ///< stdout | off | a file's path
    std::string security = "stdout";
    LogFormat format = LogFormat::json;
};

struct Config {
    std::vector<Listener> listen;
    std::vector<Network> trusted_proxies;
    TlsTickets tls_tickets;
    Session session;
    std::vector<Upstream> upstreams;
    std::vector<Route> routes;
    std::optional<Admin> admin;
    Limits limits;
    Log log;
    unsigned threads = 0;  ///< event loops; 0: one per core
};

}  // namespace rotagate::config
