#include "proxy/headers.hpp"

#include <vector>

#include <catch2/catch.hpp>

#include "proxy/client_certificate.hpp"
#include "proxy/http1.hpp"

using namespace rotagate;
using namespace rotagate::proxy;

namespace {

struct Exchange {
    config::Route route;
    Peer peer{"192.0.2.1", false, true};
    std::optional<Identity> identity;
    std::string_view method = "GET", body;
    std::optional<std::string_view> cookies, set_cookie;
    bool session_route = true;
    ClientOrigin origin{"https", "Example.org"};

    /// The head that the app gets for a request with these fields, as text.
    std::string to_app(const std::string& fields) const {
        const std::string text = std::string(method) + " / HTTP/1.1\r\nHost: Example.org\r\n" + fields + "\r\n";
        RequestHead head;
        REQUIRE_FALSE(http1::parse_request_head(text, head));
        const RequestRules rules{
            route, peer, {"https", head.authority}, identity ? &*identity : nullptr, cookies, head.authority, "r1"};
        Arena arena;
        Fields out;
        app_request_fields(head, rules, arena, out);
        std::string written;
        http1::write_request_head(written, head.method, head.target, out);
        return written;
    }

    /// What the client gets of the app's fields.
    std::string to_client(const std::string& fields, const std::string& status = "200") const {
        const std::string asked = std::string(method) + " / HTTP/1.1\r\nHost: Example.org\r\n\r\n";
        const std::string text = "HTTP/1.1 " + status + " OK\r\n" + fields + "\r\n";
        RequestHead request;
        ResponseHead head;
        REQUIRE_FALSE(http1::parse_request_head(asked, request));
        REQUIRE_FALSE(http1::parse_response_head(text, false, head));
        const ResponseRules rules{route,      request,      origin, "127.0.0.1:9000", "__Host-session",
                                  set_cookie, session_route};
        Arena arena;
        Fields out;
        client_response_fields(head, rules, arena, out);
        std::string written;
        for (const Field& field : out) written.append(field.name).append(": ").append(field.value).append("\n");
        return written;
    }
};

const std::string ours =
    "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: Example.org\r\n"
    "Forwarded: for=192.0.2.1;host=Example.org;proto=https\r\nX-Request-Id: r1\r\n";

}  // namespace

SCENARIO("a client can neither send nor remove nor misspell what the gateway tells the app", "[headers]") {
    Exchange x;
    const std::string nothing_else = "GET / HTTP/1.1\r\nHost: Example.org\r\n" + ours + "\r\n";
    for (const std::string field : {"X-User-Id: admin",
                                    "x-user-id: admin",
                                    "X_User_Id: admin",
                                    "X.User.Id: admin",
                                    "X-User_Id: admin",
                                    "X-User-Org: o",
                                    "X-Session-Data: {}",
                                    "x_session_user: a",
                                    "X-Session-Anything: a",
                                    "X-Client-Cert-Subject: CN=root",
                                    "x_client_cert_subject: CN=root",
                                    "X-Client-Cert-Anything: a",
                                    "Client-Cert: :AAAA:",
                                    "Client_Cert_Chain: a",
                                    "X-Forwarded-For: 1.1.1.1",
                                    "X_Forwarded_For: 1.1.1.1",
                                    "X-Forwarded-Host: evil",
                                    "X-Forwarded-Proto: http",
                                    "X-Forwarded-Prefix: /e",
                                    "X-Forwarded-Uri: /e",
                                    "X-Forwarded-User: a",
                                    "X-Forwarded-Email: a@b",
                                    "X-Forwarded-Groups: g",
                                    "Forwarded: for=\"_x;host=evil\"",
                                    "X-Real-IP: 1.1.1.1",
                                    "X-Original-URL: /e",
                                    "X-Rewrite-URL: /e",
                                    "Client-IP: 1.1.1.1",
                                    "Client_IP: 1.1.1.1",
                                    "Proxy: http://e",
                                    "Remote-User: a",
                                    "X-Request-Id: r2",
                                    "TE: trailers",
                                    "Trailer: X",
                                    "Upgrade: h2c",
                                    "HTTP2-Settings: AAA",
                                    "Keep-Alive: 5",
                                    "Proxy-Connection: close",
                                    "Proxy-Authorization: Basic x",
                                    "Content_Length: 5",
                                    "Transfer.Encoding: chunked",
                                    "Cookie: a=b",
                                    "Connection: X-User-Id",
                                    "Connection: Host, X-Forwarded-For, X-Request-Id, Forwarded",
                                    "Connection: close\r\nExpect: 100-continue"}) {
        CAPTURE(field);
        CHECK(x.to_app(field + "\r\n") == nothing_else);
    }
}

SCENARIO("the app learns who the user is, once", "[headers]") {
    Exchange x;
    x.identity = Identity{"alice", "acme", "{\"cart\":3}"};
    const std::string head =
        x.to_app("X-User-Id: admin\r\nConnection: close, x-user-id, X-Session-Data\r\nX-Session-Data: {}\r\n");
    CHECK(head == "GET / HTTP/1.1\r\nHost: Example.org\r\n" + ours +
                      "X-User-Id: alice\r\nX-User-Org: acme\r\nX-Session-Data: {\"cart\":3}\r\n\r\n");
    x.identity = Identity{"bob", "", std::nullopt};
    CHECK(x.to_app("") == "GET / HTTP/1.1\r\nHost: Example.org\r\n" + ours + "X-User-Id: bob\r\n\r\n");
}

SCENARIO("the app learns what certificate the client has shown", "[headers]") {
    Exchange x;
    x.peer.certificate = std::make_shared<ClientCertificate>(
        ClientCertificate{.subject = "CN=alice,O=Acme", .user = "alice", .session = {}});
    x.identity = Identity{"alice", "", std::nullopt};
    CHECK(x.to_app("Connection: X-Client-Cert-Subject\r\nX-Client-Cert-Subject: CN=root\r\n") ==
          "GET / HTTP/1.1\r\nHost: Example.org\r\n" + ours +
              "X-Client-Cert-Subject: CN=alice,O=Acme\r\nX-User-Id: alice\r\n\r\n");
    CHECK(x.to_client("X-Client-Cert-Subject: CN=alice\r\nX: 1\r\n") == "X: 1\nCache-Control: private\n");
}

SCENARIO("user ids are encoded outside printable ASCII", "[headers]") {
    CHECK(header_encoded("a b@c,d") == "a b@c,d");
    CHECK(header_encoded("50%") == "50%25");
    CHECK(header_encoded("caf\xc3\xa9\r\n\x7f") == "caf%C3%A9%0D%0A%7F");
}

SCENARIO("what is the app's own business passes", "[headers]") {
    Exchange x;
    x.cookies = "a=b";
    const std::string own =
        "Authorization: Basic x\r\nX-HTTP-Method-Override: PUT\r\nUser-Agent: u\r\nX-Twice: 1\r\nX-Twice: "
        "2\r\nX-User-Agent: v\r\n";
    CHECK(x.to_app(own + "Connection: X-Gone, Cookie\r\nX-Gone: 1\r\n") ==
          "GET / HTTP/1.1\r\nHost: Example.org\r\n" + own + "Cookie: a=b\r\n" + ours + "\r\n");
}

SCENARIO("the app gets the same body as was framed here", "[headers]") {
    Exchange x;
    const auto framing = [&](std::string_view method, const std::string& fields) {
        x.method = method;
        const std::string head = x.to_app(fields);
        const auto begin = head.find("Example.org\r\n") + 13;
        return head.substr(begin, head.find("X-Forwarded-For") - begin);
    };
    CHECK(framing("GET", "").empty());
    CHECK(framing("GET", "Content-Length: 44\r\nConnection: Content-Length\r\n") == "Content-Length: 44\r\n");
    CHECK(framing("POST", "Transfer-Encoding: Chunked\r\n") == "Transfer-Encoding: chunked\r\n");
    CHECK(framing("POST", "") == "Content-Length: 0\r\n");
    CHECK(framing("PUT", "Content-Length: 3\r\nExpect: 100-continue\r\n") ==
          "Content-Length: 3\r\nExpect: 100-continue\r\n");
}

SCENARIO("a route edits the request's fields, but not the gateway's", "[headers]") {
    Exchange x;
    x.route.request_headers.set = {
        {"X-Env", "production"}, {"X-User-Id", "root"}, {"X_User_Id", "root"}, {"Host", "evil"}};
    x.route.request_headers.remove = {"x-debug", "X-Forwarded-For"};
    CHECK(x.to_app("X-Debug: 1\r\nx-env: test\r\nX-Other: 1\r\n") ==
          "GET / HTTP/1.1\r\nHost: Example.org\r\nX-Other: 1\r\nX-Env: production\r\n" + ours + "\r\n");
}

SCENARIO("a route's edits reach whatever an app may take for the same field", "[headers]") {
    Exchange x;
    x.route.request_headers.set = {{"X-Env", "production"}};
    x.route.request_headers.remove = {"X-Debug", "x_trace"};
    x.cookies = "a=b";
    CHECK(
        x.to_app("x_env: evil\r\nX.ENV: evil\r\nX-Debug: 1\r\nx~debug: 1\r\nX-Trace: 1\r\nX-Envy: 1\r\nXEnv: 1\r\n") ==
        "GET / HTTP/1.1\r\nHost: Example.org\r\nX-Envy: 1\r\nXEnv: 1\r\nCookie: a=b\r\nX-Env: production\r\n" + ours +
            "\r\n");
    x.session_route = false;
    x.route.response_headers.remove = {"X-Debug"};
    CHECK(x.to_client("X_Debug: 1\r\nx-debug: 1\r\n") == "X_Debug: 1\n");
}

SCENARIO("an app's control and hop-by-hop fields never reach the client", "[headers]") {
    Exchange x;
    x.session_route = false;
    CHECK(x.to_client(
              "X-Session-User: alice\r\nx_session_end: user\r\nX-Session-Other: 1\r\nX-User-Id: a\r\nX_User_Id: a\r\n"
              "Keep-Alive: 5\r\nConnection: X-Gone\r\nX-Gone: 1\r\nTrailer: X\r\nUpgrade: x\r\nContent-Length: 3\r\n"
              "Set-Cookie: __Host-session=x\r\nSet-Cookie: =__HOST-SESSION=x\r\nServer: app\r\nSet-Cookie: a=b\r\n"
              "Set-Cookie: c=d\r\nX-Request-Id: theirs\r\n") ==
          "Server: app\nSet-Cookie: a=b\nSet-Cookie: c=d\nX-Request-Id: theirs\n");
}

SCENARIO("an app cannot clear the session cookie", "[headers]") {
    Exchange x;
    x.session_route = false;
    CHECK(x.to_client("Clear-Site-Data: \"cache\", \"cookies\", \"storage\"\r\n") ==
          "Clear-Site-Data: \"cache\", \"storage\"\n");
    CHECK(x.to_client("Clear-Site-Data: \"*\"\r\n").empty());
}

SCENARIO("no shared cache may keep an answer that carries the session", "[headers]") {
    Exchange x;
    x.set_cookie = "__Host-session=s";
    const std::string cookie = "Set-Cookie: __Host-session=s\n";
    CHECK(x.to_client("") == "Cache-Control: private\n" + cookie);
    CHECK(x.to_client("Cache-Control: public, max-age=60, s-maxage=90\r\nVary: Accept\r\n") ==
          "Vary: Accept\nCache-Control: private, max-age=60\n" + cookie);
    CHECK(x.to_client("Cache-Control: max-age=60, x=\"open\r\n") ==
          "Cache-Control: private, max-age=60, x=\"open\n" + cookie);
    CHECK(x.to_client("Cache-Control: no-store\r\n") == "Cache-Control: no-store\n" + cookie);
    CHECK(x.to_client("Cache-Control: Private\r\nCache-Control: PUBLIC\r\n") == "Cache-Control: Private\n" + cookie);
    CHECK(x.to_client("Cache-Control: private=\"a, b\", no-cache\r\n") ==
          "Cache-Control: private, no-cache\n" + cookie);
    CHECK(x.to_client("Cache-Control: must-understand, no-store\r\n") ==
          "Cache-Control: private, must-understand, no-store\n" + cookie);
    CHECK(x.to_client(
              "CDN-Cache-Control: max-age=9\r\nSurrogate-Control: max-age=9\r\nFoo-CDN-Cache-Control: max-age=9\r\n") ==
          "Cache-Control: private\n" + cookie);
    x.route.response_headers.set = {{"Cache-Control", "public, max-age=5"}};
    CHECK(x.to_client("Cache-Control: no-store\r\n") == "Cache-Control: private, max-age=5\n" + cookie);
    x.session_route = false;
    x.set_cookie.reset();
    CHECK(x.to_client("CDN-Cache-Control: max-age=9\r\n") ==
          "CDN-Cache-Control: max-age=9\nCache-Control: public, max-age=5\n");
}

SCENARIO("a route edits the answer's fields, but not the session cookie", "[headers]") {
    Exchange x;
    x.set_cookie = "__Host-session=s";
    x.route.response_headers.set = {{"Strict-Transport-Security", "max-age=1"}, {"Content-Length", "9"}};
    x.route.response_headers.remove = {"Server", "Set-Cookie"};
    CHECK(x.to_client("Server: app\r\nSet-Cookie: a=b\r\nstrict-transport-security: x\r\n") ==
          "Strict-Transport-Security: max-age=1\nCache-Control: private\nSet-Cookie: __Host-session=s\n");
    x.route.response_headers = {.set = {{"X-Request-Id", "edge"}}, .remove = {}};
    CHECK(x.to_client("X-Request-Id: app\r\n") ==
          "X-Request-Id: edge\nCache-Control: private\nSet-Cookie: __Host-session=s\n");
}

SCENARIO("answers without a body keep the length that the body would have", "[headers]") {
    Exchange x;
    x.session_route = false;
    CHECK(x.to_client("Content-Length: 3\r\n", "304") == "Content-Length: 3\n");
    CHECK(x.to_client("Content-Length: 3\r\n", "204").empty());
    x.method = "HEAD";
    CHECK(x.to_client("Content-Length: 003\r\n") == "Content-Length: 3\n");
}

SCENARIO("behind a body passes only what no head could say", "[headers]") {
    config::Route route;
    route.request_headers.remove = {"X-Debug"};
    route.response_headers.set = {{"X-Env", "production"}};
    std::vector<Field> trailers;
    for (const std::string_view name : {"grpc-status",
                                        "x-checksum",
                                        "x-debug",
                                        "x_debug",
                                        "x-env",
                                        "set-cookie",
                                        "x-session-user",
                                        "x_session_user",
                                        "x-user-id",
                                        "content-length",
                                        "transfer_encoding",
                                        "connection",
                                        "host",
                                        "cookie",
                                        "location",
                                        "cache-control",
                                        "authorization",
                                        "x-forwarded-for",
                                        "proxy",
                                        "te",
                                        "date"})
        trailers.push_back({name, "1", classify(name)});
    const auto names = [](const Fields& fields) {
        std::string text;
        for (const Field& field : fields) text.append(field.name).append(" ");
        return text;
    };
    Fields to_client, to_app;
    client_trailer_fields(trailers, route, to_client);
    app_trailer_fields(trailers, route, to_app);
    CHECK(names(to_client) == "grpc-status x-checksum x-debug x_debug ");
    CHECK(names(to_app) == "grpc-status x-checksum x-env ");
}

SCENARIO("a stripped prefix is put back into locations and cookies", "[headers]") {
    Exchange x;
    x.session_route = false;
    CHECK(x.to_client("Location: http://127.0.0.1:9000/a\r\n") == "Location: http://127.0.0.1:9000/a\n");
    x.route.strip_prefix = "/old";
    CHECK(x.to_client("Location: http://127.0.0.1:9000/a\r\nContent-Location: /b\r\nRefresh: 5; url=/c\r\nSet-Cookie: "
                      "d=e; Path=/\r\n") ==
          "Location: https://Example.org/old/a\nContent-Location: /old/b\nRefresh: 5; url=/old/c\nSet-Cookie: d=e; "
          "Path=/old\n");
    x.route.strip_prefix.clear();
    x.route.host = config::HostHeader::upstream;
    CHECK(x.to_client("Location: http://127.0.0.1:9000/a\r\n") == "Location: https://Example.org/a\n");
}

SCENARIO("a location behind a trusted proxy leads where the client is", "[headers]") {
    Exchange x;
    x.session_route = false;
    x.origin = {"https", "www.example.org"};
    x.route.strip_prefix = "/old";
    for (const std::string own : {"127.0.0.1:9000", "Example.org", "www.example.org"})
        CHECK(x.to_client("Location: http://" + own + "/a\r\n") == "Location: https://www.example.org/old/a\n");
    CHECK(x.to_client("Location: http://elsewhere.example/a\r\n") == "Location: http://elsewhere.example/a\n");
}
