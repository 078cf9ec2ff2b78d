#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>

#include <boost/container/small_vector.hpp>

/// Heads of requests and answers as values, the same for HTTP/1 and HTTP/2. All text is views: into the connection's
/// buffer, or into the exchange's arena; both live until the exchange ends.
namespace rotagate::proxy {

/// Of a head, whatever its protocol; more are refused.
constexpr std::size_t most_fields = 200;

/// Names that a rule of ours knows; found once, when the field is read.
enum class Known : std::uint8_t {
    other,
    connection,
    keep_alive,
    proxy_connection,
    te,
    trailer,
    transfer_encoding,
    upgrade,
    http2_settings,  // hop-by-hop
    proxy_authenticate,
    proxy_authorization,
    proxy_authentication_info,  // the last of them
    content_length,
    expect,
    host,
    cookie,
    set_cookie,
    location,
    cache_control,
    accept,
    date,
    server,
    via,
    sec_fetch_mode,
    sec_fetch_site,
    origin,
    authorization,
    refresh,
    content_location,
    clear_site_data,
    x_user_id,
    x_user_org,
    x_session,      // ours; x_session is every x-session-*
    x_client_cert,  // every x-client-cert-*
    forwarded,
    x_forwarded,
    x_request_id,
    x_real_ip,        // x_forwarded is every x-forwarded-*
    never_forwarded,  // Proxy, X-Original-URL, X-Rewrite-URL, Remote-User, Client-IP and the like (SECURITY I3)
    misspelt,         // folds to a name that we set or that frames a message, but is not spelt so (the fold rule)
    websocket_key,
    websocket_version,
    websocket_accept,
    shared_cache,  // CDN-Cache-Control, Surrogate-Control: would override Cache-Control in shared caches
};

struct Field {
    std::string_view name;
    std::string_view value;
    Known known = Known::other;
};
using Fields = boost::container::small_vector<Field, 32>;

/// How the end of a body is known.
enum class Framing : std::uint8_t { none, length, chunked, until_close };

/// How a request asks for a WebSocket.
enum class WebSocket : std::uint8_t {
    none,              ///< not at all
    upgrade,           ///< by HTTP/1.1's Upgrade (RFC 6455)
    extended_connect,  ///< by HTTP/2's CONNECT (RFC 8441), which counts as a GET here
};

struct RequestHead {
    std::string_view method;
    std::string_view target;     ///< origin-form as sent ("/a?b"), or "*"; absolute-form is reduced to it
    std::string_view authority;  ///< of Host, :authority or the absolute-form, as sent: "example.org:8443"
    std::string host;            ///< the same in lower case without port: what routes match and cookies are bound to
    unsigned minor_version = 1;  ///< HTTP/1.x; 1 for HTTP/2 too
    Fields fields;
    Framing framing = Framing::none;
    std::uint64_t content_length = 0;  ///< with Framing::length
    bool keep_alive = true;
    bool expect_continue = false;
    WebSocket websocket = WebSocket::none;
};

struct ResponseHead {
    unsigned status = 0;
    std::string_view reason;
    unsigned minor_version = 1;
    Fields fields;
    Framing framing = Framing::none;
    std::uint64_t content_length = 0;  ///< with Framing::length
    bool keep_alive = true;
};

/// Keeps composed text for as long as one exchange lives.
class Arena {
public:
    /// A copy that lives as long as the arena.
    std::string_view keep(std::string_view text) {
        if (text.empty()) return {};
        char* copy = static_cast<char*>(memory_.allocate(text.size(), 1));
        text.copy(copy, text.size());
        return {copy, text.size()};
    }
    /// The parts behind one another, in text that lives as long as the arena.
    std::string_view join(const std::string_view* parts, std::size_t count);
    std::string_view join(std::initializer_list<std::string_view> parts) { return join(parts.begin(), parts.size()); }
    void clear() { memory_.release(); }

private:
    std::byte first_[2048];
    std::pmr::monotonic_buffer_resource memory_{first_, sizeof first_};
};

/// The entry of Known for a header name, by the fold rule (SECURITY.md): one lookup.
Known classify(std::string_view name);

/// Equality of header names by the fold rule: "x_env" is "X-Env".
bool same_folded_name(std::string_view a, std::string_view b);

/// Equality of ASCII text in any case.
bool same_name(std::string_view a, std::string_view b);

/// The value of the first field of that kind, if there is one.
std::optional<std::string_view> find(const Fields& fields, Known known);

}  // namespace rotagate::proxy
