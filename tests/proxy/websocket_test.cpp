#include "proxy/websocket.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "proxy/http1.hpp"
#include "proxy/websocket_frames.hpp"

using namespace rotagate;
using namespace rotagate::proxy;
using websocket::Frames;
using websocket::Refusal;

namespace {

const std::string key = "dGhlIHNhbXBsZSBub25jZQ==",
                  good_accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";  // RFC 6455 section 1.3
const std::string offer = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
const std::string good = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n";

/// A request, with the text that its head views.
struct Handshake {
    explicit Handshake(const std::string& fields, const std::string& line = "GET / HTTP/1.1")
        : text(line + "\r\nHost: app.example\r\n" + fields + "\r\n") {
        REQUIRE_FALSE(http1::parse_request_head(text, head));
    }
    std::string text;
    RequestHead head;
};

bool is_offer(const std::string& fields, const std::string& line = "GET / HTTP/1.1") {
    return Handshake(fields, line).head.websocket == WebSocket::upgrade;
}

Refusal why_refused(const std::string& fields, const config::WebSocket& rules = {}) {
    const Handshake request(offer + fields);
    return websocket::refusal(request.head, {"https", "App.example:443"}, rules);
}
Refusal refused_origin(const std::string& origin, const config::WebSocket& rules = {}) {
    return why_refused(good + "Origin: " + origin + "\r\n", rules);
}

bool agrees(const std::string& text) {
    ResponseHead head;
    REQUIRE_FALSE(http1::parse_response_head(text, false, head));
    return websocket::agrees(head, key);
}

}  // namespace

SCENARIO("an upgrade to WebSocket is told from every other offer", "[websocket]") {
    CHECK(is_offer(offer));
    CHECK(is_offer("Connection: keep-alive, UPGRADE\r\nUpgrade: WebSocket\r\n"));
    CHECK(is_offer("Connection: upgrade\r\nUpgrade: h2c, websocket\r\n"));
    CHECK(is_offer("Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n"));
    CHECK(is_offer(offer + "Content-Length: 0\r\n"));
    CHECK_FALSE(is_offer("Upgrade: websocket\r\n"));
    CHECK_FALSE(is_offer("Connection: close\r\nUpgrade: websocket\r\n"));
    CHECK_FALSE(is_offer("Connection: Upgrade\r\n"));
    CHECK_FALSE(is_offer("Connection: Upgrade\r\nUpgrade: foo\r\n"));
    CHECK_FALSE(is_offer("Connection: Upgrade\r\nUpgrade: websocket/13\r\n"));
    CHECK_FALSE(is_offer(offer, "POST / HTTP/1.1"));
    CHECK_FALSE(is_offer(offer, "HEAD / HTTP/1.1"));
    CHECK_FALSE(is_offer(offer, "GET / HTTP/1.0"));
    CHECK_FALSE(is_offer(offer + "Content-Length: 5\r\n"));
    CHECK_FALSE(is_offer(offer + "Transfer-Encoding: chunked\r\n"));
    CHECK(Handshake(offer + "Content-Length: 0\r\n").head.framing == Framing::none);
}

SCENARIO("a handshake names the one version, and a key of 16 bytes", "[websocket]") {
    const auto key_field = [](const std::string& value) { return "Sec-WebSocket-Key: " + value + "\r\n"; };
    const auto version_field = [](const std::string& value) { return "Sec-WebSocket-Version: " + value + "\r\n"; };
    CHECK(why_refused(good) == Refusal::none);
    const std::string version = version_field("13");
    for (const std::string other : {"", "8", "13, 8", "013", "14"})
        CHECK(why_refused(version_field(other).append(key_field(key))) == Refusal::bad_version);
    CHECK(why_refused(key_field(key)) == Refusal::bad_version);
    CHECK(why_refused(good + version) == Refusal::bad_version);
    CHECK(why_refused(version) == Refusal::bad_key);
    for (const std::string other : {"", "x", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ",
                                    "dGhlIHNhbXBsZSBub25jZSE=", "dGhlIHNhbXBsZSBub25j-Q==", "dGhlIHNhbXBsZSBub25j=Q=="})
        CHECK(why_refused(version + key_field(other)) == Refusal::bad_key);
    CHECK(why_refused(good + key_field(key)) == Refusal::bad_key);
}

SCENARIO("pages of the same origin, and of those that the route lists, may open WebSockets", "[websocket]") {
    CHECK(refused_origin("https://app.example") == Refusal::none);
    CHECK(refused_origin("HTTPS://APP.example:443") == Refusal::none);
    for (const std::string foreign :
         {"http://app.example", "https://app.example:8443", "https://evil.example", "null", "",
          "https://app.example.evil.example", "https://evil.example/https://app.example",
          "https://app.example, https://evil.example", "app.example"})
        CHECK(refused_origin(foreign) == Refusal::foreign_origin);
    CHECK(refused_origin("https://app.example\r\nOrigin: https://evil.example") == Refusal::foreign_origin);

    const config::WebSocket listed{.origins = {"https://shop.example:8443"}};
    CHECK(refused_origin("https://shop.example:8443", listed) == Refusal::none);
    CHECK(refused_origin("https://shop.example", listed) == Refusal::foreign_origin);
    CHECK(refused_origin("null", {.origins = {"*"}}) == Refusal::none);
}

SCENARIO("what an app agrees to is the upgrade that was asked for", "[websocket]") {
    CHECK(websocket::accept_of(key) == good_accept);
    const std::string line = "HTTP/1.1 101 Switching Protocols\r\n",
                      accepted = "Sec-WebSocket-Accept: " + good_accept + "\r\n";
    const std::string upgrade = "Upgrade: WebSocket\r\n", connection = "Connection: upgrade\r\n";
    CHECK(agrees(line + upgrade + connection + accepted + "\r\n"));
    CHECK(agrees(line + upgrade + "Connection: keep-alive, Upgrade\r\n" + accepted + "\r\n"));
    CHECK_FALSE(agrees("HTTP/1.0 101 S\r\n" + upgrade + connection + accepted + "\r\n"));
    CHECK_FALSE(agrees("HTTP/1.1 200 OK\r\n" + upgrade + connection + accepted + "\r\n"));
    CHECK_FALSE(agrees(line + connection + accepted + "\r\n"));
    CHECK_FALSE(agrees(line + upgrade + accepted + "\r\n"));
    CHECK_FALSE(agrees(line + upgrade + connection + "\r\n"));
    CHECK_FALSE(agrees(line + "Upgrade: h2c\r\n" + connection + accepted + "\r\n"));
    CHECK_FALSE(agrees(line + upgrade + "Upgrade: h2c\r\n" + connection + accepted + "\r\n"));
    CHECK_FALSE(agrees(line + upgrade + connection + "Sec-WebSocket-Accept: x" + good_accept + "\r\n\r\n"));
    CHECK_FALSE(agrees(line + upgrade + connection + accepted + accepted + "\r\n"));
    CHECK_FALSE(agrees(line + upgrade + connection + accepted + "Content-Length: 5\r\n\r\n"));
    CHECK_FALSE(agrees(line + upgrade + connection + accepted + "Transfer-Encoding: chunked\r\n\r\n"));
}

SCENARIO("over HTTP/2 the gateway has a key of its own for the app", "[websocket]") {
    Arena arena;
    RequestHead head;
    head.websocket = WebSocket::extended_connect;
    head.fields = {{"sec-websocket-key", key, Known::websocket_key}, {"sec-websocket-protocol", "chat"}};
    const auto own = websocket::key_for_app(head, arena);
    CHECK(own.size() == key.size());
    CHECK(own != websocket::key_for_app(head, arena));
    websocket::add_upgrade(own, head.fields);
    CHECK(find(head.fields, Known::websocket_key) == own);
    CHECK(find(head.fields, Known::upgrade) == "websocket");
    CHECK(head.fields.size() == 4);
}

namespace {

/// A frame as RFC 6455 section 5.2 has it, its payload a row of x.
std::string frame(unsigned opcode, std::size_t size, bool masked, bool final = true) {
    const auto byte = [](std::size_t value) { return static_cast<char>(value & 0xffU); };
    std::string text{byte((final ? 0x80U : 0U) | opcode)};
    const std::size_t mask = masked ? 0x80U : 0U;
    if (size < 126) {
        text += byte(mask | size);
    } else if (size < 65536) {
        text += {byte(mask | 126U), byte(size >> 8U), byte(size)};
    } else {
        text += byte(mask | 127U);
        for (int shift = 56; shift >= 0; shift -= 8) text += byte(size >> static_cast<unsigned>(shift));
    }
    if (masked) text += "\x81\x7e\x7f\x01";
    return text.append(size, 'x');
}

}  // namespace

SCENARIO("frames are told apart, in whatever pieces they come", "[websocket]") {
    const bool masked = GENERATE(false, true);
    const std::size_t piece = GENERATE(1, 2, 3, 7, 100'000);
    std::string text;
    std::vector<std::size_t> ends;
    for (const std::size_t size : {0, 1, 125, 126, 127, 300, 65535, 65536, 0}) {
        text += frame(2, size, masked);
        ends.push_back(text.size());
    }
    Frames frames;
    std::vector<std::size_t> found;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t taken = frames.take(std::string_view(text).substr(at, piece));
        REQUIRE(taken > 0);
        at += taken;
        if (frames.between()) found.push_back(at);
    }
    CHECK(found == ends);
}

SCENARIO("amid the fragments of a message a control frame may stand, amid a frame nothing", "[websocket]") {
    Frames frames;
    CHECK(frames.between());
    frames.take_all(frame(1, 5, false, false));
    CHECK(frames.between());
    const std::string next = frame(0, 200, false);
    frames.take_all(next.substr(0, 1));
    CHECK_FALSE(frames.between());
    frames.take_all(next.substr(1, 100));
    CHECK_FALSE(frames.between());
    CHECK(frames.take(next.substr(101) + frame(1, 3, false)) == next.size() - 101);
    CHECK(frames.between());
}

SCENARIO("messages are told from what keeps a connection alive, and from its end", "[websocket]") {
    Frames frames;
    frames.take_all(frame(9, 4, true) + frame(10, 4, true));
    CHECK_FALSE(frames.took_message());
    frames.take_all(frame(1, 4, true));
    CHECK(frames.took_message());
    CHECK_FALSE(frames.took_message());
    frames.take_all(frame(0, 4, true).substr(0, 7));
    CHECK(frames.took_message());
    CHECK_FALSE(frames.closed());
    frames.take_all("xxx" + frame(8, 2, true));
    CHECK(frames.closed());
    CHECK_FALSE(frames.took_message());
}

SCENARIO("a length that no frame can have is no way out", "[websocket]") {
    Frames frames;
    frames.take_all(std::string("\x82\x7f") + std::string(8, '\xff') + std::string(100'000, 'x'));
    CHECK_FALSE(frames.between());
}

SCENARIO("a close frame tells why, masked where a client sends it", "[websocket]") {
    using websocket::CloseCode;
    CHECK(websocket::close_frame(CloseCode::going_away, "bye") ==
          "\x88\x05\x03\xe9"
          "bye");
    CHECK(websocket::close_frame(CloseCode::policy_violation, "", std::array<char, 4>{1, 2, 3, 4}) ==
          std::string("\x88\x82\x01\x02\x03\x04\x02\xf2", 8));
}
