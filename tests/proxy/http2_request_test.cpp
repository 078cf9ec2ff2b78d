#include "proxy/http2_request.hpp"

#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace rotagate::proxy;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// A request, and what reading it came to.
struct H2Request {
    explicit H2Request(const Pairs& fields, bool has_body = false, std::size_t limit = 1'000) {
        http2::RequestReader reader(head, arena, limit);
        for (const auto& [name, value] : fields) reader.add(name, value);
        hopeless = reader.hopeless();
        if (const auto error = reader.finish(true, has_body)) status = error->status;
    }
    RequestHead head;
    Arena arena;
    unsigned status = 0;  ///< 0: accepted
    bool hopeless = false;
};

/// The fields of an ordinary request, with one of them changed or added.
Pairs with(const std::string& name, const std::string& value) {
    Pairs fields{{":method", "POST"}, {":scheme", "https"}, {":path", "/a?b"}, {":authority", "Example.org:8443"}};
    for (auto& field : fields) {
        if (field.first != name) continue;
        field.second = value;
        return fields;
    }
    fields.emplace_back(name, value);
    return fields;
}
unsigned refusal(const std::string& name, const std::string& value) { return H2Request(with(name, value)).status; }

}  // namespace

SCENARIO("a request over HTTP/2 is the same value as over HTTP/1", "[http2]") {
    const H2Request request(with("x-any", "thing"), true);
    REQUIRE(request.status == 0);
    CHECK(request.head.method == "POST");
    CHECK(request.head.target == "/a?b");
    CHECK(request.head.authority == "Example.org:8443");
    CHECK(request.head.host == "example.org");
    CHECK(request.head.framing == Framing::chunked);
    REQUIRE(request.head.fields.size() == 1);
    CHECK(request.head.fields[0].name == "x-any");
    CHECK(request.head.fields[0].value == "thing");
}

SCENARIO("the body's framing follows from content-length and the end of the stream", "[http2]") {
    CHECK(H2Request(with("a", "b"), false).head.framing == Framing::none);
    const H2Request sized(with("content-length", "12"), true);
    CHECK(sized.head.framing == Framing::length);
    CHECK(sized.head.content_length == 12);
    CHECK(refusal("content-length", "0x1") == 400);
    CHECK(refusal("content-length", "-1") == 400);
    Pairs twice = with("content-length", "1");
    twice.emplace_back("content-length", "1");
    CHECK(H2Request(twice, true).status == 400);
}

SCENARIO("whom a request is for is unambiguous", "[http2]") {
    CHECK(refusal(":authority", "") == 400);
    CHECK(refusal(":authority", "user@example.org") == 400);
    CHECK(refusal(":authority", "a, b") == 400);
    CHECK(refusal("host", "example.org:8443") == 0);
    CHECK(refusal("host", "other.org") == 400);
    Pairs fields = with(":authority", "");
    fields.emplace_back("host", "example.org");
    const H2Request by_host(fields);
    CHECK(by_host.status == 0);
    CHECK(by_host.head.host == "example.org");
    fields.emplace_back("host", "example.org");
    CHECK(H2Request(fields).status == 400);
}

SCENARIO("what could be taken for something else is refused", "[http2]") {
    CHECK(refusal(":path", "") == 400);
    CHECK(refusal(":path", "*") == 400);
    CHECK(refusal(":path", "a") == 400);
    CHECK(refusal(":path", "https://example.org/") == 400);
    CHECK(refusal(":path", "/a b") == 400);
    CHECK(refusal(":path", "/\r\n\r\nGET /admin") == 400);
    CHECK(refusal(":method", "GET /") == 400);
    CHECK(refusal(":method", "CONNECT") == 405);
    CHECK(refusal(":method", "TRACE") == 405);
    CHECK(refusal(":scheme", "http") == 400);
    CHECK(refusal(":scheme", "https\r\n") == 400);
    CHECK(refusal("x", "a\r\nb: c") == 400);
    CHECK(refusal("x", std::string("a\0b", 3)) == 400);
    CHECK(refusal("x", " a") == 400);
    CHECK(refusal("x", "a\t") == 400);
    CHECK(refusal("x y", "a") == 400);
    CHECK(refusal("expect", "miracles") == 417);
}

SCENARIO("only a body can be waited for", "[http2]") {
    Pairs fields = with("expect", "100-continue");
    CHECK(H2Request(fields, true).head.expect_continue);
    CHECK_FALSE(H2Request(fields).head.expect_continue);
    fields.emplace_back("content-length", "0");
    CHECK_FALSE(H2Request(fields, true).head.expect_continue);
}

SCENARIO("heads over the limits are refused, and nothing more is kept of them", "[http2]") {
    CHECK(refusal("x", std::string(2'000, 'x')) == 431);
    CHECK_FALSE(H2Request(with("x", std::string(2'000, 'x'))).hopeless);
    CHECK(H2Request(with("x", std::string(4'000, 'x'))).hopeless);
    Pairs many = with("a", "");
    for (int i = 0; i < 200; ++i) many.emplace_back("a", "");
    CHECK(H2Request(many).status == 431);
    Pairs crumbs = with("cookie", "a=b");
    for (int i = 0; i < 1'000; ++i) crumbs.emplace_back("cookie", "a=b");
    CHECK(H2Request(crumbs, false, 100'000).status == 0);
}

SCENARIO("trailers have what the head has left of the limits", "[http2]") {
    RequestHead head;
    Arena arena;
    http2::RequestReader reader(head, arena, 1'000);
    reader.add("x", std::string(500, 'x'));
    std::vector<Field> trailers;
    CHECK(reader.add_trailer("x-sum", "1", trailers));
    CHECK(trailers.at(0).name == "x-sum");
    CHECK_FALSE(reader.add_trailer("x y", "1", trailers));
    CHECK_FALSE(reader.add_trailer("x", "a\r\nb", trailers));
    CHECK_FALSE(reader.add_trailer("x", std::string(500, 'x'), trailers));
    CHECK(trailers.size() == 1);
}

SCENARIO("CONNECT with a protocol asks for a WebSocket, and for nothing else", "[http2]") {
    const auto asked = [](const std::string& protocol, bool open = true, const Pairs& more = {}) {
        Pairs fields = with(":protocol", protocol);
        fields[0].second = "CONNECT";
        fields.insert(fields.end(), more.begin(), more.end());
        return H2Request(fields, open);
    };
    const H2Request request = asked("websocket");
    REQUIRE(request.status == 0);
    CHECK(request.head.websocket == WebSocket::extended_connect);
    CHECK(request.head.method == "GET");
    CHECK(request.head.target == "/a?b");
    CHECK(request.head.framing == Framing::none);
    CHECK(asked("connect-udp").status == 501);
    CHECK(asked("websocket", false).status == 400);
    CHECK(asked("websocket", true, {{"content-length", "5"}}).status == 400);
    CHECK(refusal(":method", "CONNECT") == 405);
}
