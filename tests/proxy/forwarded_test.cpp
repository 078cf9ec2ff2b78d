#include "proxy/forwarded.hpp"

#include <catch2/catch.hpp>

#include "proxy/http1.hpp"

using namespace rotagate;
using namespace rotagate::proxy;

namespace {

const std::vector<config::Network> trusted{{"10.0.0.0", 8}, {"2001:db8::", 33}, {"192.0.2.7", 32}};
const Peer proxy_peer{"10.0.0.1", true, true};

std::string text_of(const std::string& fields) { return "GET / HTTP/1.1\r\nHost: a:8443\r\n" + fields + "\r\n"; }

std::string client(const std::string& fields, const Peer& peer = proxy_peer) {
    RequestHead head;
    const std::string text = text_of(fields);
    REQUIRE_FALSE(http1::parse_request_head(text, head));
    return client_address(head, peer, trusted);
}

std::string told(const std::string& fields, const Peer& peer = proxy_peer) {
    RequestHead head;
    const std::string text = text_of(fields);
    REQUIRE_FALSE(http1::parse_request_head(text, head));
    Arena arena;
    Fields out;
    add_forwarding_fields(head, peer, client_origin(head, peer, trusted), arena, out);
    std::string written;
    for (const Field& field : out) written.append(field.name).append(": ").append(field.value).append("\n");
    return written;
}

std::string origin(const std::string& fields, const Peer& peer = proxy_peer) {
    RequestHead head;
    const std::string text = text_of(fields);
    REQUIRE_FALSE(http1::parse_request_head(text, head));
    const ClientOrigin found = client_origin(head, peer, trusted);
    return std::string(found.scheme).append("://").append(found.authority);
}

}  // namespace

SCENARIO("addresses belong to networks by their bits", "[forwarded]") {
    CHECK(in_networks("10.255.0.1", trusted));
    CHECK(in_networks("::ffff:10.0.0.1", trusted));
    CHECK(in_networks("2001:db8:7fff::1", trusted));
    CHECK(in_networks("192.0.2.7", trusted));
    CHECK(in_networks("10.0.0.1", {{"::ffff:10.0.0.0", 104}}));
    CHECK(in_networks("1.2.3.4", {{"0.0.0.0", 0}}));
    CHECK_FALSE(in_networks("2001:db8:8000::1", trusted));
    CHECK_FALSE(in_networks("11.0.0.1", trusted));
    CHECK_FALSE(in_networks("192.0.2.6", trusted));
    CHECK_FALSE(in_networks("1.2.3.4", {{"::", 0}}));
    CHECK_FALSE(in_networks("unix", trusted));
    CHECK_FALSE(in_networks("", trusted));
}

SCENARIO("the client is the last address that is not a trusted proxy", "[forwarded]") {
    CHECK(client("") == "10.0.0.1");
    CHECK(client("X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.9\r\n") == "2.2.2.2");
    CHECK(client("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n") == "2.2.2.2");
    CHECK(client("X-Forwarded-For: 10.0.0.8, 10.0.0.9\r\n") == "10.0.0.8");
    CHECK(client("X-Forwarded-For: [2001:DB9::1]:443\r\n") == "2001:db9::1");
    CHECK(client("X-Forwarded-For: 2.2.2.2:1234\r\n") == "2.2.2.2");
    CHECK(client("Forwarded: for=1.1.1.1;proto=http, For=\"[2001:db9::2]:80\";by=x\r\n") == "2001:db9::2");
    CHECK(client("Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n") == "2.2.2.2");
}

SCENARIO("who is not trusted, or talks nonsense, names no other client", "[forwarded]") {
    CHECK(client("X-Forwarded-For: 1.1.1.1\r\n", {"9.9.9.9", false, true}) == "9.9.9.9");
    for (const char* nonsense : {"evil", "", "1.1.1.1.1", "1.1.1.1,", "<script>", "unknown", "[", "1.1.1.1 2.2.2.2"}) {
        CAPTURE(nonsense);
        CHECK(client("X-Forwarded-For: " + std::string(nonsense) + "\r\n") == "10.0.0.1");
    }
    CHECK(client("Forwarded: for=_hidden\r\n") == "10.0.0.1");
    CHECK(client("Forwarded: proto=http\r\n") == "10.0.0.1");
}

SCENARIO("what others than trusted proxies tell is replaced", "[forwarded]") {
    CHECK(
        told("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Host: evil\r\nForwarded: for=1.1.1.1\r\nX-Forwarded-Port: 1\r\n",
             {"2001:db8::1", false, false}) ==
        "X-Forwarded-For: 2001:db8::1\nX-Forwarded-Proto: http\nX-Forwarded-Host: a:8443\n"
        "Forwarded: for=\"[2001:db8::1]\";host=\"a:8443\";proto=http\n");
}

SCENARIO("what a trusted proxy tells is continued, but for the user", "[forwarded]") {
    CHECK(
        told(
            "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: b\r\n"
            "X-Forwarded-Port: 80\r\nX-Forwarded-User: admin\r\nX-Forwarded-Groups: wheel\r\nForwarded: "
            "for=1.1.1.1\r\n") ==
        "X-Forwarded-Port: 80\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: "
        "b\n"
        "Forwarded: for=1.1.1.1;host=b;proto=http, for=2.2.2.2, for=10.0.0.1;host=\"a:8443\";proto=https\n");
    CHECK(told("X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: b, c\r\n") ==
          "X-Forwarded-For: 10.0.0.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: a:8443\n"
          "Forwarded: for=10.0.0.1;host=\"a:8443\";proto=https\n");
}

SCENARIO("both ways of telling say the same", "[forwarded]") {
    CHECK(told("X-Forwarded-For: 2001:db9::1, x\"y\r\nX-Forwarded-Host: b\r\n")
              .find("Forwarded: for=\"[2001:db9::1]\";host=b;proto=https, for=unknown, for=10.0.0.1;") !=
          std::string::npos);
    CHECK(told("Forwarded: for=1.1.1.1;by=z, proto=http\r\n").find("X-Forwarded-For: 1.1.1.1, unknown, 10.0.0.1\n") ==
          0);
}

SCENARIO("a trusted proxy tells where the client is", "[forwarded]") {
    CHECK(origin("") == "https://a:8443");
    CHECK(origin("X-Forwarded-Proto: http\r\nX-Forwarded-Host: b:81\r\n") == "http://b:81");
    CHECK(origin("X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: b, c\r\n") == "https://a:8443");
    CHECK(origin("Forwarded: for=1.1.1.1;Proto=HTTP;host=\"b:81\"\r\n") == "http://b:81");
    CHECK(origin("Forwarded: proto=gopher;host=\"b/c\"\r\n") == "https://a:8443");
    CHECK(origin("X-Forwarded-Proto: http\r\n", {"9.9.9.9", false, true}) == "https://a:8443");
    CHECK(origin("Forwarded: proto=http;host=b\r\n", {"9.9.9.9", false, true}) == "https://a:8443");
}

SCENARIO("of several elements of Forwarded the first that a trusted proxy added tells", "[forwarded]") {
    CHECK(origin("Forwarded: for=1.1.1.1;proto=http;host=b, for=10.0.0.9;proto=https;host=c\r\n") == "http://b");
    CHECK(origin("Forwarded: for=1.1.1.1;proto=http;host=b\r\nForwarded: for=\"10.0.0.9:80\";host=c\r\n") ==
          "http://b");
    CHECK(origin("Forwarded: host=made-up, for=1.1.1.1;proto=http, for=10.0.0.9;host=c\r\n") == "http://c");
    CHECK(origin("Forwarded: proto=http;host=made-up, for=_hidden\r\n") == "https://a:8443");
}

SCENARIO("a proxy that speaks X-Forwarded-* vouches for no Forwarded", "[forwarded]") {
    for (const std::string field : {"For: 1.1.1.1", "Host: a:8443", "Proto: https"}) {
        CHECK(origin("X-Forwarded-" + field + "\r\nForwarded: proto=http;host=made-up\r\n") == "https://a:8443");
        CHECK(told("X-Forwarded-" + field + "\r\nForwarded: for=6.6.6.6;host=made-up\r\n").find("made-up") ==
              std::string::npos);
    }
    CHECK(client("X-Forwarded-Proto: https\r\nForwarded: for=6.6.6.6\r\n") == "10.0.0.1");
}

SCENARIO("a list of nothing is nothing, however long", "[forwarded]") {
    const std::string commas(30'000, ',');
    CHECK(
        told("X-Forwarded-For: " + commas + "\r\n").ends_with("Forwarded: for=10.0.0.1;host=\"a:8443\";proto=https\n"));
    CHECK(told("Forwarded: " + commas + "\r\n").starts_with("X-Forwarded-For: 10.0.0.1\n"));
}
