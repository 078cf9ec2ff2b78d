#include "proxy/http1.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace rotagate::proxy;
using http1::parse_request_head;
using http1::parse_response_head;

namespace {

/// The status a request head is refused with; 0: it is accepted. `head` is left for a closer look.
unsigned refusal(const std::string& text, RequestHead& head) {
    const auto error = parse_request_head(text, head);
    return error ? error->status : 0;
}
unsigned refusal(const std::string& text) {
    RequestHead head;
    return refusal(text, head);
}
unsigned refused_with(const std::string& fields) { return refusal("POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"); }
unsigned refused_line(const std::string& line) { return refusal(line + "\r\nHost: a\r\n\r\n"); }
unsigned refused_host(const std::string& host) { return refusal("GET / HTTP/1.1\r\nHost:" + host + "\r\n\r\n"); }

/// An accepted request, with the text that its head views.
struct Request {
    explicit Request(std::string sent) : text(std::move(sent)) { REQUIRE(refusal(text, head) == 0); }
    std::string text;
    RequestHead head;
};

bool bad_response(const std::string& text, bool to_head = false) {
    ResponseHead head;
    return parse_response_head(text, to_head, head).has_value();
}
ResponseHead response(const std::string& text, bool to_head = false) {
    ResponseHead head;
    REQUIRE_FALSE(parse_response_head(text, to_head, head));
    return head;
}

}  // namespace

SCENARIO("a head ends at its empty line, however it arrives", "[http1]") {
    const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
    std::size_t scanned = 0;
    for (std::size_t arrived = 0; arrived < text.size() - 4; ++arrived) {
        const auto scan = http1::scan_head(std::string_view(text).substr(0, arrived), scanned);
        REQUIRE(scan.length == 0);
        REQUIRE_FALSE(scan.error);
    }
    CHECK(http1::scan_head(text, scanned).length == text.size() - 4);
}

SCENARIO("what can never become a head is refused before it is complete", "[http1]") {
    const auto error = [](std::string_view text) {
        std::size_t scanned = 0;
        const auto scan = http1::scan_head(text, scanned);
        return scan.error ? scan.error->reason : std::string_view();
    };
    CHECK(error("GET / HTTP/1.1\nHost: a") == "bare_line_feed");
    CHECK(error("\nGET / HTTP/1.1\r\n") == "not_http");
    CHECK(error("\r\n\r\nGET /") == "empty_lines");
    CHECK(error("\x16\x03\x01") == "not_http");
    CHECK(error(" GET / HTTP/1.1\r\n") == "not_http");
    CHECK(error("\r\nGET / HTTP/1.1\r\n\r\n").empty());
}

SCENARIO("a browser's request is read field by field", "[http1]") {
    RequestHead head;
    const std::string text =
        "\r\nGET /a?b HTTP/1.1\r\nHost: Example.org:8443\r\nCookie: a=b\r\nX-Empty:\r\nAccept: \t text/html \t\r\n\r\n";
    REQUIRE(refusal(text, head) == 0);
    CHECK(head.method == "GET");
    CHECK(head.target == "/a?b");
    CHECK(head.authority == "Example.org:8443");
    CHECK(head.host == "example.org");
    CHECK(head.fields.size() == 4);
    CHECK(find(head.fields, Known::cookie) == "a=b");
    CHECK(find(head.fields, Known::accept) == "text/html");
    CHECK(head.framing == Framing::none);
    CHECK(head.keep_alive);
}

SCENARIO("a request line that two readers could take differently is refused", "[http1]") {
    CHECK(refused_line("GET / HTTP/1.1") == 0);
    CHECK(refused_line("GET  / HTTP/1.1") == 400);
    CHECK(refused_line("GET / HTTP/1.1 ") == 400);
    CHECK(refused_line("GET\t/ HTTP/1.1") == 400);
    CHECK(refused_line("GET /a b HTTP/1.1") == 400);
    CHECK(refused_line("GET / http/1.1") == 400);
    CHECK(refused_line("GET /") == 400);
    CHECK(refused_line("GET") == 400);
    CHECK(refused_line("G@T / HTTP/1.1") == 400);
    CHECK(refused_line("GET / HTTP/1.2") == 505);
    CHECK(refused_line("GET / HTTP/2.0") == 505);
    CHECK(refused_line("GET / HTTP/0.9") == 505);
    CHECK(refused_line("GET / HTTP/1.10") == 400);
    CHECK(refused_line(std::string("GET /\0 HTTP/1.1", 15)) == 400);
    CHECK(refused_line("GET /\x7f HTTP/1.1") == 400);
    CHECK(refused_line("GET a HTTP/1.1") == 400);
    CHECK(refused_line("GET * HTTP/1.1") == 400);
    CHECK(refused_line("OPTIONS * HTTP/1.1") == 0);
    CHECK(refused_line("CONNECT a:443 HTTP/1.1") == 405);
    CHECK(refused_line("TRACE / HTTP/1.1") == 405);
    CHECK(refusal("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
}

SCENARIO("line ends and field lines are strict", "[http1]") {
    CHECK(refused_with("X: a\nY: b\r\n") == 400);
    CHECK(refused_with("X: a\rY: b\r\n") == 400);
    CHECK(refused_with("X: a\r\r\n") == 400);
    CHECK(refused_with("X: a\r\n folded\r\n") == 400);
    CHECK(refused_with("X: a\r\n\tfolded\r\n") == 400);
    CHECK(refused_with(std::string("X: a\0b\r\n", 8)) == 400);
    CHECK(refused_with(std::string("X\0: a\r\n", 7)) == 400);
    CHECK(refused_with("X : a\r\n") == 400);
    CHECK(refused_with(": a\r\n") == 400);
    CHECK(refused_with("X\r\n") == 400);
    CHECK(refused_with("X\xc3\xa9: a\r\n") == 400);
    CHECK(refused_with("X: a\x7f\r\n") == 400);
    CHECK(refused_with("X: a long value with a control\x01 character in it\r\n") == 400);
    CHECK(refused_with("X: tab\tand caf\xc3\xa9 in a longer value\r\n") == 0);
    CHECK(refusal("GET / HTTP/1.1\r\n Host: a\r\n\r\n") == 400);
}

SCENARIO("heads with too many fields are refused", "[http1]") {
    std::string fields, options = "Connection: a";
    for (int i = 0; i < 200; ++i) fields += "X: y\r\n";
    for (int i = 0; i < 64; ++i) options += ",a";
    CHECK(refused_with(fields) == 431);
    CHECK(refused_with(fields.substr(6)) == 0);
    CHECK(refused_with(options + "\r\n") == 431);
}

SCENARIO("only a request with one way to read its length is accepted", "[http1][smuggling]") {
    RequestHead head;
    REQUIRE(refusal("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\n\r\n", head) == 0);
    CHECK(head.framing == Framing::length);
    CHECK(head.content_length == 44);
    REQUIRE(refusal("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunKed\r\n\r\n", head) == 0);
    CHECK(head.framing == Framing::chunked);

    CHECK(refused_with("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n") == 400);
    CHECK(refused_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") == 400);
    CHECK(refused_with("Transfer-Encoding : chunked\r\n") == 400);
    CHECK(refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    for (const char* coding : {"\"chunked\"", "chunked;q=1", "", ",chunked", "chunked,", "chunked, identity",
                               "\vchunked", "\x0c chunked", "chunked, chunked", "chunked\x0b"}) {
        CAPTURE(coding);
        CHECK(refused_with("Transfer-Encoding: " + std::string(coding) + "\r\n") == 400);
    }
    CHECK(refused_with(std::string("Transfer-Encoding: chunked\0\r\n", 29)) == 400);
    for (const char* coding : {"xchunked", "gzip", "identity, chunked", "gzip, chunked"}) {
        CAPTURE(coding);
        CHECK(refused_with("Transfer-Encoding: " + std::string(coding) + "\r\n") == 501);
    }
    for (const char* length : {"+5", "-0", "0x5", "5 5", "5,5", "5, 6", "05", "00", "\xd9\xa5", "18446744073709551621",
                               "9223372036854775808", "", "5;", "5\x0b", "5.0"}) {
        CAPTURE(length);
        CHECK(refused_with("Content-Length: " + std::string(length) + "\r\n") == 400);
    }
    CHECK(refused_with("Content-Length: 5\r\nContent-Length: 5\r\n") == 400);
    CHECK(refused_with("Content-Length: 5\r\nContent-Length: 6\r\n") == 400);
    CHECK(refused_with("Content-Length: 0\r\n") == 0);
}

SCENARIO("a misspelt framing field frames nothing", "[http1][smuggling]") {
    RequestHead head;
    REQUIRE(refusal("POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\nTransfer.Encoding: chunked\r\n\r\n", head) ==
            0);
    CHECK(head.framing == Framing::none);
    CHECK(head.fields[1].known == Known::misspelt);
    CHECK(head.fields[2].known == Known::misspelt);
}

SCENARIO("a request names exactly one host", "[http1]") {
    CHECK(refusal("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(refusal("GET / HTTP/1.0\r\n\r\n") == 0);
    CHECK(refused_with("Host: a\r\n") == 400);
    for (const char* host :
         {"",           " ",   " a, b",  " a@b", " a/b", " a:99999", " a:",          " a:1x", " [::1", " [::1]x",
          " [1.2.3.4]", " []", " u:p@a", " a b", " .a",  " a..b",    " caf\xc3\xa9", " a?b",  " a#b",  " %61"}) {
        CAPTURE(host);
        CHECK(refused_host(host) == 400);
    }
    for (const char* host : {" a", " a.", " 127.0.0.1:80", " [::1]:8443", " xn--caf-dma.example", " my_host:0"}) {
        CAPTURE(host);
        CHECK(refused_host(host) == 0);
    }
    RequestHead head;
    refusal("GET / HTTP/1.1\r\nHost: [2001:DB8::1]:8443\r\n\r\n", head);
    CHECK(head.host == "[2001:db8::1]");
    refusal("GET / HTTP/1.1\r\nHost: A.example.:1\r\n\r\n", head);
    CHECK(head.host == "a.example");
}

SCENARIO("an absolute target must name the host of Host", "[http1]") {
    CHECK(refusal("GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal("GET http://u@a/ HTTP/1.1\r\nHost: u@a\r\n\r\n") == 400);
    CHECK(refusal("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal("GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    const Request absolute("GET HTTPS://A:1/b?c HTTP/1.1\r\nHost: a:1\r\n\r\n");
    CHECK(absolute.head.target == "/b?c");
    CHECK(absolute.head.authority == "a:1");
    const Request without_path("GET http://a HTTP/1.0\r\n\r\n");
    CHECK(without_path.head.target == "/");
    CHECK(without_path.head.host == "a");
    CHECK(Request("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n").head.target == "*");
}

SCENARIO("100-continue is the only expectation, and needs a body", "[http1]") {
    RequestHead head;
    REQUIRE(refusal("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n", head) == 0);
    CHECK(head.expect_continue);
    REQUIRE(refusal("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", head) == 0);
    CHECK_FALSE(head.expect_continue);
    REQUIRE(refusal("PUT / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\nExpect: x\r\n\r\n", head) == 0);
    CHECK_FALSE(head.expect_continue);
    CHECK(refused_with("Expect: x\r\n") == 417);
    CHECK(refused_with("Expect: 100-continue\r\nExpect: 100-continue\r\n") == 417);
}

SCENARIO("the connection stays open as its version and Connection say", "[http1]") {
    const auto stays = [](const std::string& version, const std::string& connection) {
        RequestHead head;
        REQUIRE(refusal("GET / HTTP/" + version + "\r\nHost: a\r\nConnection: " + connection + "\r\n\r\n", head) == 0);
        return head.keep_alive;
    };
    CHECK(stays("1.1", ""));
    CHECK(stays("1.1", "X-A, keep-alive"));
    CHECK_FALSE(stays("1.1", "x, Close"));
    CHECK_FALSE(stays("1.0", "x"));
    CHECK(stays("1.0", "Keep-Alive"));
    CHECK_FALSE(stays("1.0", "keep-alive, close"));
    CHECK(refused_with("Connection: a b\r\n") == 400);
}

SCENARIO("an answer's body ends where its head says", "[http1]") {
    CHECK(response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n").content_length == 3);
    CHECK(response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").framing == Framing::chunked);
    const auto open_ended = response("HTTP/1.1 200 OK\r\n\r\n");
    CHECK(open_ended.framing == Framing::until_close);
    CHECK_FALSE(open_ended.keep_alive);
    const auto to_head = response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true);
    CHECK(to_head.framing == Framing::none);
    CHECK(to_head.keep_alive);
    CHECK(response("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n").keep_alive);
    CHECK(response("HTTP/1.1 103 Early Hints\r\n\r\n").framing == Framing::none);
    const auto no_content = response("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n");
    CHECK(no_content.framing == Framing::none);
    CHECK_FALSE(no_content.keep_alive);
    CHECK_FALSE(response("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n").keep_alive);
}

SCENARIO("an app's status line may lack its reason, and no more", "[http1]") {
    CHECK(response("HTTP/1.1 200\r\n\r\n").status == 200);
    CHECK(response("HTTP/1.1 200 \r\n\r\n").reason.empty());
    CHECK(response("HTTP/1.1 599 Odd one\r\n\r\n").reason == "Odd one");
    for (const char* line :
         {"HTTP/1.1 99", "HTTP/1.1 600 x", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1  200 OK", "HTTP/1.2 200 OK",
          "HTTP/2 200 OK", "http/1.1 200 OK", "HTTP/1.1 200\tOK", "HTTP/1.1 200 O\x01K", "", "\r\nHTTP/1.1 200 OK"}) {
        CAPTURE(line);
        CHECK(bad_response(std::string(line) + "\r\n\r\n"));
    }
}

SCENARIO("what old apps send, and can be read in one way only, is taken", "[http1]") {
    const std::string text = "HTTP/1.1 200 OK\r\nX-A \t: b\r\nContent-Length: 0042\r\n\r\n";
    const auto spaced = response(text);
    REQUIRE(spaced.fields.size() == 2);
    CHECK(spaced.fields[0].name == "X-A");
    CHECK(spaced.fields[0].value == "b");
    CHECK(spaced.content_length == 42);
    CHECK(spaced.keep_alive);
    for (const char* connection : {"Keep-Alive; timeout=5", "\"close\"", "a b"}) {
        CAPTURE(connection);
        CHECK_FALSE(
            response(std::string("HTTP/1.1 200 OK\r\nConnection: ") + connection + "\r\nContent-Length: 2\r\n\r\n")
                .keep_alive);
    }
}

SCENARIO("an answer that could be read in two ways is refused", "[http1][smuggling]") {
    const auto bad = [](const std::string& fields) { return bad_response("HTTP/1.1 200 OK\r\n" + fields + "\r\n"); };
    CHECK(bad("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"));
    CHECK(bad("Content-Length: 3\r\nContent-Length: 3\r\n"));
    CHECK(bad("Content-Length: x\r\n"));
    CHECK(bad("Content-Length : 3\r\n"));
    CHECK(bad("Transfer-Encoding : chunked\r\n"));
    CHECK(bad("X A: b\r\n"));
    CHECK(bad("Transfer-Encoding: gzip, chunked\r\n"));
    CHECK(bad("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"));
    CHECK(bad("X: a\r\n folded\r\n"));
    CHECK(bad("X: a\nY: b\r\n"));
    CHECK(bad("X: a\rb\r\n"));
    CHECK(bad(std::string("X: a\0\r\n", 7)));
    CHECK(bad_response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

SCENARIO("heads are written as they are read", "[http1]") {
    std::string out;
    http1::write_request_head(out, "GET", "/a", {{"Host", "b"}, {"X", ""}});
    CHECK(out == "GET /a HTTP/1.1\r\nHost: b\r\nX: \r\n\r\n");
    out.clear();
    http1::write_response_head(out, 404, "", {{"A", "b"}});
    CHECK(out == "HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n");
    out.clear();
    http1::write_response_head(out, 299, "Own words", {});
    CHECK(out == "HTTP/1.1 299 Own words\r\n\r\n");
    out.clear();
    http1::write_response_head(out, 299, "", {});
    CHECK(out == "HTTP/1.1 299 \r\n\r\n");
}
