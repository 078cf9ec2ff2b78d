#include "proxy/websocket.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "proxy/grammar.hpp"

namespace rotagate::proxy::websocket {
namespace {

constexpr std::string_view version = "13";
constexpr std::string_view magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3
constexpr std::size_t key_bytes = 16, key_size = 24;                        // in base64

std::string base64(const unsigned char* bytes, std::size_t size) {
    std::string text((size + 2) / 3 * 4 + 1, '\0');  // OpenSSL adds a NUL
    text.resize(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes, static_cast<int>(size)));
    return text;
}

/// The value of a field that has to come once.
std::optional<std::string_view> only(const Fields& fields, Known known) {
    const auto is_it = [&](const Field& field) { return field.known == known; };
    return std::count_if(fields.begin(), fields.end(), is_it) == 1 ? find(fields, known) : std::nullopt;
}

bool is_key(std::string_view text) {
    constexpr auto digits = grammar::char_set([](unsigned c) { return grammar::is_alnum(c) || c == '+' || c == '/'; });
    return text.size() == key_size && text.ends_with("==") &&
           std::all_of(text.begin(), text.end() - 2, [&](char c) { return grammar::in(digits, c); });
}

/// "example.org" of "example.org:443" over https.
std::string_view without_own_port(std::string_view authority, std::string_view scheme) {
    const std::string_view own = same_name(scheme, "https") ? ":443" : ":80";
    if (authority.ends_with(own)) authority.remove_suffix(own.size());
    return authority;
}

bool is_own(std::string_view origin, const ClientOrigin& own) {
    const auto scheme_end = origin.find("://");
    if (scheme_end == std::string_view::npos) return false;  // "null"
    const std::string_view scheme = origin.substr(0, scheme_end);
    return same_name(scheme, own.scheme) && same_name(without_own_port(origin.substr(scheme_end + 3), scheme),
                                                      without_own_port(own.authority, own.scheme));
}

/// Whether every Origin may open WebSockets. None at all is no page of a browser, which always sends one.
bool is_welcome(const Fields& fields, const ClientOrigin& own, const std::vector<std::string>& origins) {
    return std::all_of(fields.begin(), fields.end(), [&](const Field& field) {
        if (field.known != Known::origin || is_own(field.value, own)) return true;
        return std::any_of(origins.begin(), origins.end(), [&](const std::string& welcome) {
            return welcome == "*" || same_name(welcome, field.value);
        });
    });
}

bool names_websocket(const Fields& fields) {
    const auto upgrade = only(fields, Known::upgrade);
    return upgrade && same_name(*upgrade, "websocket");
}

bool has_option(const Fields& fields, std::string_view option) {
    return std::any_of(fields.begin(), fields.end(), [&](const Field& field) {
        return field.known == Known::connection &&
               !grammar::each_item(field.value, ',', [&](std::string_view one) { return !same_name(one, option); });
    });
}

}  // namespace

Refusal refusal(const RequestHead& head, const ClientOrigin& origin, const config::WebSocket& rules) {
    if (!is_welcome(head.fields, origin, rules.origins)) return Refusal::foreign_origin;
    if (only(head.fields, Known::websocket_version) != version) return Refusal::bad_version;
    const bool has_key = head.websocket == WebSocket::upgrade;
    if (has_key && !is_key(only(head.fields, Known::websocket_key).value_or(""))) return Refusal::bad_key;
    return Refusal::none;
}

std::string_view key_for_app(const RequestHead& head, Arena& arena) {
    if (head.websocket == WebSocket::upgrade) return *find(head.fields, Known::websocket_key);
    std::array<unsigned char, key_bytes> bytes{};
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) throw std::runtime_error("no random bytes");
    return arena.keep(base64(bytes.data(), bytes.size()));
}

std::string accept_of(std::string_view key) {
    std::string text(key);
    text += magic;
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
        throw std::runtime_error("no SHA-1, which WebSockets need");
    return base64(digest.data(), size);
}

void add_upgrade(std::string_view key, Fields& fields) {
    const auto is_key_field = [](const Field& field) { return field.known == Known::websocket_key; };
    fields.erase(std::remove_if(fields.begin(), fields.end(), is_key_field), fields.end());
    fields.push_back({"Connection", "Upgrade", Known::connection});
    fields.push_back({"Upgrade", "websocket", Known::upgrade});
    fields.push_back({"Sec-WebSocket-Key", key, Known::websocket_key});
}

bool agrees(const ResponseHead& head, std::string_view key) {
    if (head.status != 101 || head.minor_version == 0 || !has_option(head.fields, "upgrade")) return false;
    // A body that is announced where none can be: who knows what follows.
    if (head.content_length > 0 || find(head.fields, Known::transfer_encoding)) return false;
    return names_websocket(head.fields) && only(head.fields, Known::websocket_accept) == accept_of(key);
}

}  // namespace rotagate::proxy::websocket
