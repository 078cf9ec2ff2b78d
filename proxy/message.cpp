#include "proxy/message.hpp"

#include <algorithm>
#include <array>

#include "proxy/grammar.hpp"

namespace rotagate::proxy {
namespace {

/// How names that merely fold to this one are taken.
enum class Variants : std::uint8_t {
    pass,      ///< they are other names, of no concern
    misspelt,  ///< Known::misspelt
    alike,     ///< the same entry: the name is refused in every spelling
};
using enum Variants;

struct Name {
    std::string_view folded;
    Known known;
    Variants variants = pass;
};

constexpr Name names[] = {
    {"connection", Known::connection, misspelt},
    {"keep-alive", Known::keep_alive, misspelt},
    {"proxy-connection", Known::proxy_connection, misspelt},
    {"te", Known::te, misspelt},
    {"trailer", Known::trailer, misspelt},
    {"transfer-encoding", Known::transfer_encoding, misspelt},
    {"upgrade", Known::upgrade, misspelt},
    {"http2-settings", Known::http2_settings, misspelt},
    {"proxy-authenticate", Known::proxy_authenticate, misspelt},
    {"proxy-authorization", Known::proxy_authorization, misspelt},
    {"proxy-authentication-info", Known::proxy_authentication_info, misspelt},
    {"content-length", Known::content_length, misspelt},
    {"expect", Known::expect, misspelt},
    {"host", Known::host, misspelt},
    {"cookie", Known::cookie, misspelt},
    {"set-cookie", Known::set_cookie, misspelt},
    {"location", Known::location},
    {"cache-control", Known::cache_control},
    {"accept", Known::accept},
    {"date", Known::date},
    {"server", Known::server},
    {"via", Known::via},
    {"sec-fetch-mode", Known::sec_fetch_mode},
    {"sec-fetch-site", Known::sec_fetch_site},
    {"origin", Known::origin},
    {"authorization", Known::authorization},
    {"refresh", Known::refresh},
    {"content-location", Known::content_location},
    {"clear-site-data", Known::clear_site_data},
    {"sec-websocket-key", Known::websocket_key},
    {"sec-websocket-version", Known::websocket_version},
    {"sec-websocket-accept", Known::websocket_accept},
    {"x-user-id", Known::x_user_id, misspelt},
    {"x-user-org", Known::x_user_org, misspelt},
    {"forwarded", Known::forwarded, misspelt},
    {"x-request-id", Known::x_request_id, misspelt},
    // What proxies tell about the client's address, and what it asked for: a trusted one may, nobody else.
    {"x-real-ip", Known::x_real_ip, misspelt},
    {"x-client-ip", Known::x_real_ip, misspelt},
    {"true-client-ip", Known::x_real_ip, misspelt},
    {"x-cluster-client-ip", Known::x_real_ip, misspelt},
    {"cf-connecting-ip", Known::x_real_ip, misspelt},
    {"x-original-forwarded-for", Known::x_real_ip, misspelt},
    {"x-original-host", Known::x_real_ip, misspelt},
    {"x-original-method", Known::x_real_ip, misspelt},
    {"x-envoy-external-address", Known::x_real_ip, misspelt},
    {"fastly-client-ip", Known::x_real_ip, misspelt},
    {"forwarded-for", Known::x_real_ip, misspelt},
    {"front-end-https", Known::x_real_ip, misspelt},
    {"x-url-scheme", Known::x_real_ip, misspelt},
    {"x-host", Known::x_real_ip, misspelt},
    {"x-http-host-override", Known::x_real_ip, misspelt},
    {"x-forwarded", Known::x_real_ip, misspelt},
    {"x-forward-for", Known::x_real_ip, misspelt},
    {"proxy-client-ip", Known::x_real_ip, misspelt},
    {"x-scheme", Known::x_real_ip, misspelt},
    {"x-proto", Known::x_real_ip, misspelt},
    {"x-https", Known::x_real_ip, misspelt},
    {"x-proxied-https", Known::x_real_ip, misspelt},
    // What they tell about the client's certificate (RFC 9440): likewise.
    {"client-cert", Known::x_real_ip, misspelt},
    {"client-cert-chain", Known::x_real_ip, misspelt},
    {"x-client-cert", Known::x_real_ip, misspelt},
    {"x-client-verify", Known::x_real_ip, misspelt},
    {"x-client-dn", Known::x_real_ip, misspelt},
    {"x-ssl-cert", Known::x_real_ip, misspelt},
    {"x-arr-clientcert", Known::x_real_ip, misspelt},
    // What makes an app serve another path, another user or through another proxy than was decided here. Gunicorn takes
    // a client's Script-Name for the prefix that it is mounted at, and cuts it off the path.
    {"proxy", Known::never_forwarded, alike},
    {"script-name", Known::never_forwarded, alike},
    {"x-script-name", Known::never_forwarded, alike},
    {"path-info", Known::never_forwarded, alike},
    {"path-translated", Known::never_forwarded, alike},
    {"x-sendfile-type", Known::never_forwarded, alike},
    {"x-accel-mapping", Known::never_forwarded, alike},
    {"x-original-url", Known::never_forwarded, alike},
    {"x-original-uri", Known::never_forwarded, alike},
    {"x-rewrite-url", Known::never_forwarded, alike},
    {"remote-user", Known::never_forwarded, alike},
    {"remote-addr", Known::never_forwarded, alike},
    {"auth-user", Known::never_forwarded, alike},
    {"x-auth-user", Known::never_forwarded, alike},
    {"remote-name", Known::never_forwarded, alike},
    {"remote-email", Known::never_forwarded, alike},
    {"remote-groups", Known::never_forwarded, alike},
    {"client-ip", Known::never_forwarded, alike},
    {"sm-user", Known::never_forwarded, alike},
    {"sm-userdn", Known::never_forwarded, alike},
    {"sm-universalid", Known::never_forwarded, alike},
    {"iv-user", Known::never_forwarded, alike},
    {"iv-groups", Known::never_forwarded, alike},
    {"iv-creds", Known::never_forwarded, alike},
    {"cf-access-authenticated-user-email", Known::never_forwarded, alike},
    {"x-anonymous-consumer", Known::never_forwarded, alike},
    {"x-middleware-subrequest", Known::never_forwarded, alike},
    // What caches obey rather than Cache-Control (RFC 9213, W3C Edge Architecture, Akamai, nginx,
    // LiteSpeed).
    {"cdn-cache-control", Known::shared_cache},
    {"surrogate-control", Known::shared_cache},
    {"edge-control", Known::shared_cache},
    {"x-accel-expires", Known::shared_cache},
    {"x-litespeed-cache-control", Known::shared_cache},
};

constexpr std::size_t longest_name = 40;
/// What other gateways tell of users and of certificates: Remote-User's kin, oauth2-proxy's, nginx's, Azure's,
/// Google's, Gitea's and Grafana's, Kong's, Amazon's, Pomerium's, Vouch's.
constexpr std::string_view foreign_families[] = {
    "x-remote-",        "x-auth-request-",  "x-ssl-client-", "x-ms-client-principal", "x-goog-authenticated-user-",
    "x-webauth-",       "x-authenticated-", "x-consumer-",   "x-credential-",         "x-amzn-oidc-",
    "x-pomerium-claim", "x-vouch-"};
constexpr std::string_view cdn_suffix = "-cdn-cache-control";

constexpr std::uint8_t hash(const char* text, std::size_t size) {
    // The analyzer does not see that fold() has written all of a name, which is never empty.
    // NOLINTBEGIN(clang-analyzer-core.*)
    const std::size_t first = static_cast<unsigned char>(text[0]);
    const std::size_t last = static_cast<unsigned char>(text[size - 1]);
    const std::size_t middle = static_cast<unsigned char>(text[size / 2]);
    return static_cast<std::uint8_t>(size * 7 + first * 3 + last * 29 + middle * 11);
    // NOLINTEND(clang-analyzer-core.*)
}

/// Positions in `names` plus one, by hash with linear probing; 0: free.
constexpr auto slots = [] {
    std::array<std::uint8_t, 256> table{};
    for (std::size_t i = 0; i < std::size(names); ++i) {
        std::uint8_t slot = hash(names[i].folded.data(), names[i].folded.size());
        while (table[slot] != 0) ++slot;
        table[slot] = static_cast<std::uint8_t>(i + 1);
    }
    return table;
}();

constexpr unsigned char odd = 0x80;  ///< marks what the fold rule changed, beyond letter case
constexpr auto fold_table = [] {
    std::array<unsigned char, 256> table{};
    for (unsigned c = 0; c < 256; ++c) {
        const bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
        table[c] = static_cast<unsigned char>(upper ? c | 0x20 : (lower || digit || c == '-') ? c : '-' | odd);
    }
    return table;
}();

/// Folds into `out`, and tells whether the name was spelt that way.
bool fold(std::string_view name, char* out) {
    unsigned char seen = 0;
    for (const char c : name) {
        const unsigned char folded = fold_table[static_cast<unsigned char>(c)];
        seen |= folded;
        *out++ = static_cast<char>(folded & ~odd);
    }
    return (seen & odd) == 0;
}

/// What a name is by how it begins; `other`: no family's. @param exact  it is spelt as it is folded
Known known_by_family(std::string_view folded, bool exact) {
    const auto is_of = [&](std::string_view family) { return folded.starts_with(family); };
    const auto spelt = [&](Known known) { return exact ? known : Known::misspelt; };
    switch (folded.front()) {
        case 'x':
            if (is_of("x-session-")) return spelt(Known::x_session);
            if (is_of("x-forwarded-")) return spelt(Known::x_forwarded);
            if (is_of("x-client-cert-")) return spelt(Known::x_client_cert);
            return std::ranges::any_of(foreign_families, is_of) ? Known::never_forwarded : Known::other;
        case 's':  // what mod_ssl, nginx and Tomcat's SSLValve know of the client's certificate
            return is_of("ssl-client-") ? spelt(Known::x_real_ip) : Known::other;
        case 'w':  // WebLogic's
            return is_of("wl-proxy-") ? spelt(Known::x_real_ip) : Known::other;
        case 't':
            return is_of("tailscale-user-") ? Known::never_forwarded : Known::other;
        case '-':  // $WSRU, $WSCC, ...: WebSphere's
            return is_of("-ws") ? Known::never_forwarded : Known::other;
        default:
            return Known::other;
    }
}

/// Names that are longer than any of ours: only those that begin like a family of ours matter.
Known classify_long(std::string_view name) {
    char buffer[longest_name];
    fold(name.substr(0, longest_name), buffer);
    const std::string_view folded(buffer, longest_name);
    if (const Known known = known_by_family(folded, false); known != Known::other) return known;
    return same_name(name.substr(name.size() - cdn_suffix.size()), cdn_suffix) ? Known::shared_cache : Known::other;
}

}  // namespace

Known classify(std::string_view name) {
    if (name.empty()) return Known::other;
    if (name.size() > longest_name) return classify_long(name);
    char buffer[longest_name];
    const bool exact = fold(name, buffer);
    const std::string_view folded(buffer, name.size());
    if (const Known known = known_by_family(folded, exact); known != Known::other) return known;
    for (std::uint8_t slot = hash(buffer, name.size()); slots[slot] != 0; ++slot) {
        const Name& entry = names[slots[slot] - 1];
        if (entry.folded != folded) continue;
        if (exact || entry.variants == alike) return entry.known;
        return entry.variants == misspelt ? Known::misspelt : Known::other;
    }
    return exact && folded.ends_with(cdn_suffix) ? Known::shared_cache : Known::other;
}

bool same_folded_name(std::string_view a, std::string_view b) {
    const auto folded = [](char c) { return fold_table[static_cast<unsigned char>(c)] & ~odd; };
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return folded(x) == folded(y); });
}

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return x == y || grammar::lower(x) == grammar::lower(y);
           });
}

std::optional<std::string_view> find(const Fields& fields, Known known) {
    const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.known == known; });
    if (found == fields.end()) return std::nullopt;
    return found->value;
}

std::string_view Arena::join(const std::string_view* parts, std::size_t count) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; ++i) size += parts[i].size();
    if (size == 0) return {};
    char* const text = static_cast<char*>(memory_.allocate(size, 1));
    char* end = text;
    for (std::size_t i = 0; i < count; ++i) end += parts[i].copy(end, parts[i].size());
    return {text, size};
}

}  // namespace rotagate::proxy
