#include <catch2/catch.hpp>

#include "loading.hpp"

using namespace rotagate::config;
using namespace rotagate::config::test;

namespace {

/// The same for what stands in a route, from line 6 column 5 on.
template <std::size_t N>
void check_route_mistakes(const Mistake (&mistakes)[N]) {
    for (const auto& [yaml, message] : mistakes) CHECK(errors(route(yaml)) == Lines{"rotagate.yaml:6:" + message});
}

std::string route_at(const std::string& path) {
    return base + "routes: [{ match: { path: \"" + path + "\" }, upstream: shop }]\n";
}

}  // namespace

SCENARIO("a route names what it matches and an upstream that is there", "[config][rules]") {
    const Mistake mistakes[] = {
        {"routes: [{ upstream: shop }]\n", "5:10: routes[0].match: is missing; write match: { path: / }"},
        {"routes: [{ match: {}, upstream: shop }]\n",
         "5:19: routes[0].match.path: is missing; write path: / for every path"},
        {"routes: [{ match: { path: / } }]\n", "5:10: routes[0].upstream: is missing; write upstream: NAME"},
        {"routes: [{ match: { path: / }, upstream: shpo }]\n",
         "5:42: routes[0].upstream: 'shpo' is not one of the upstreams; did you mean shop?"},
        {"routes: [{ match: { path: / }, upstream: cart }]\n",
         "5:42: routes[0].upstream: 'cart' is not one of the upstreams; add it there, or write another one's name"},
        {"routes: [{ match: { path: /, methods: [] }, upstream: shop }]\n",
         "5:39: routes[0].match.methods: names no method, so that nothing can match; remove it for any method"},
        {"routes: [{ match: { path: /, methods: [get] }, upstream: shop }]\n",
         "5:40: routes[0].match.methods[0]: 'get' is not in upper case; methods are told apart by case"},
        {"routes: [{ match: { path: /, methods: [GET, TRACE] }, upstream: shop }]\n",
         "5:45: routes[0].match.methods[1]: 'TRACE' is never forwarded; remove it"},
        {"routes: [{ match: { path: /, host: A.example }, upstream: shop }]\n",
         "5:36: routes[0].match.host: 'A.example' has upper-case letters; write it in lower case"},
        {"routes: [{ match: { path: /, host: \"a.example:443\" }, upstream: shop }]\n",
         "5:36: routes[0].match.host: 'a.example:443' has a port or a bare IPv6 address; write the host alone, such as "
         "api.example.org or [::1]"},
        {"routes: [{ match: { path: /, host: \"*.example\" }, upstream: shop }]\n",
         "5:36: routes[0].match.host: '*.example' is not a host; write a name such as api.example.org (punycode, no "
         "wildcard)"},
    };
    check_mistakes(mistakes);
}

SCENARIO("a path to match is one that a canonical request can have", "[config][rules]") {
    const std::string dots = "write the path it leads to";
    const std::string encoded =
        "has an encoding that stays ambiguous (%2F, %5C, %00, %25); no request with it would match";
    const Mistake mistakes[] = {
        {"admin", "does not begin with \"/\"; write / and the path"},
        {"//a", "has \"//\", which no request's path has then; write one \"/\""},
        {"/a//", "has \"//\", which no request's path has then; write one \"/\""},
        {"/./a", "has a \".\" segment; " + dots},
        {"/a/..", "has a \"..\" segment; " + dots},
        {"/a/..;x/b", "has a \"..\" segment; " + dots},
        {"/%61dmin", "encodes \"a\" needlessly; write the character"},
        {"/%40admin", "encodes \"@\" needlessly; write the character"},
        {"/a%2fb", encoded},
        {"/a%5Cb", encoded},
        {"/a%00", encoded},
        {"/a%2561", encoded},
        {"/a%2", "has a \"%\" without two hex digits; write %25 for the character itself"},
        {"/a?b", "has a query or fragment; write the path alone"},
        {"/a#b", "has a query or fragment; write the path alone"},
        {"/a b", "has a character that routes have percent-encoded; write it as %XX"},
        {"/é", "has a character that routes have percent-encoded; write it as %XX"},
        {"/a\\\\b", "has a character that routes have percent-encoded; write it as %XX"},
    };
    for (const auto& [path, why] : mistakes) {
        const auto found = load(route_at(path)).errors;
        REQUIRE(found.size() == 1);
        CHECK(found[0].column == 27);
        CHECK(found[0].message.ends_with("' " + why));
    }
    for (const std::string path :
         {"/", "/a", "/a/", "/a;v=1/b", "/%C3%A9", "/a:b@c/(d)!$&'*+,=~_.-", "/...", "/.well-known/"})
        CHECK(errors(route_at(path)).empty());
}

SCENARIO("a route that can never match is found", "[config][rules]") {
    const std::string session = "session: { cookie: { key_files: [k] } }\n";
    const auto routes = [&](const std::string& first, const std::string& second) {
        return base + session + "routes:\n  - { match: { " + first + " }, upstream: shop }\n  - { match: { " + second +
               " }, upstream: shop }\n";
    };
    GIVEN("the same match twice") {
        const Lines twice{
            "rotagate.yaml:8:14: routes[1].match: can never match: routes[0] on line 7 has the same match; "
            "remove one"};
        CHECK(errors(routes("path: /a", "path: /a")) == twice);
        CHECK(errors(routes("host: a.b, path: /", "path: /, host: a.b")) == twice);
        CHECK(errors(routes("path: /, methods: [GET, POST]", "path: /, methods: [POST, GET]")) == twice);
    }
    GIVEN("an earlier match that is wider") {
        const Lines covered{
            "rotagate.yaml:8:14: routes[1].match: never matches: routes[0] on line 7 takes all of its "
            "requests; move it up"};
        for (const auto& [first, second] : std::vector<std::pair<std::string, std::string>>{
                 {"path: /", "path: /a"},
                 {"path: /a/", "path: /a/b/c"},
                 {"path: /a", "path: /a, host: x.y"},
                 {"path: /a/", "path: /a/b, methods: [GET]"},
                 {"path: /, methods: [GET]", "path: /a, methods: [GET]"}}) {
            CHECK(errors(routes(first, second)).empty());
            CHECK(warnings(routes(first, second)) == covered);
        }
    }
    GIVEN("earlier matches for more methods") {
        const auto covered = [](const std::string& by) {
            return Lines{"rotagate.yaml:9:14: routes[2].match: never matches: " + by +
                         " all of its requests; move it up"};
        };
        const auto told = [&](const std::string& methods) {
            return warnings(routes("path: /, methods: [GET, POST]", "path: /a/, methods: [PUT]") +
                            "  - { match: { path: /a/b, methods: [" + methods + "] }, upstream: shop }\n");
        };
        CHECK(told("GET") == covered("routes[0] on line 7 takes"));
        CHECK(told("HEAD, POST") == covered("routes[0] on line 7 takes"));
        CHECK(told("GET, PUT") == covered("routes[0] on line 7 and routes[1] on line 8 take"));
        CHECK(told("GET, DELETE").empty());
    }
    GIVEN("matches that only look alike") {
        for (const auto& [first, second] :
             std::vector<std::pair<std::string, std::string>>{{"path: /a", "path: /a/"},
                                                              {"path: /a/", "path: /a"},
                                                              {"path: /a", "path: /ab"},
                                                              {"path: /, host: x.y", "path: /"},
                                                              {"path: /, methods: [GET]", "path: /, methods: [POST]"},
                                                              {"path: /, methods: [GET]", "path: /"}}) {
            CHECK(errors(routes(first, second)).empty());
            CHECK(warnings(routes(first, second)).empty());
        }
    }
}

SCENARIO("sessions and a route's access must fit together", "[config][rules]") {
    const Mistake mistakes[] = {
        {"access: public, sessions: control",
         "31: routes[0].sessions: a public route has no session to control; write access: optional"},
        {"access: public, session_data: true",
         "35: routes[0].session_data: a public route has no session to send; write access: optional, or remove it"},
        {"access: open", "13: routes[0].access: 'open' is not one of public, optional or required"},
        {"on_unauthenticated: { status: 500 }",
         "35: routes[0].on_unauthenticated.status: '500' is not one of 401, 403 or 404"},
        {"on_unauthenticated: { status: 401, redirect: /login }",
         "50: routes[0].on_unauthenticated.redirect: stands beside a status; write one of them (what is no page load "
         "gets "
         "401 anyway)"},
        {"path_encoding: latin1", "20: routes[0].path_encoding: 'latin1' is not one of any or utf8"},
        {"encoded_slashes: yes", "22: routes[0].encoded_slashes: 'yes' is not one of allow or refuse"},
        {"host: client", "11: routes[0].host: 'client' is not one of preserve or upstream"},
    };
    check_route_mistakes(mistakes);
    CHECK(warnings(route("access: public, activity: false, on_unauthenticated: { status: 403 }")).size() == 3);
}

SCENARIO("a redirect leads to this site or to an https URL", "[config][rules]") {
    const std::string place =
        "is not a place to send users to; write a path such as \"/login?next={uri}\" or an https:// URL";
    const Mistake mistakes[] = {
        {"login", place},
        {"//evil.example", place},
        {"/\\\\evil.example", place},
        {"http://a.example/", place},
        {"javascript:alert(1)", place},
        {"/a b", place},
        {"/é", place},
        {"https:///x",
         "names no host; its host is not a host; write a name such as api.example.org (punycode, no wildcard)"},
        {"https://{uri}/",
         "names no host; its host is not a host; write a name such as api.example.org (punycode, no "
         "wildcard)"},
        {"https://a.example:/", "has no port behind its \":\"; write 1 to 65535"},
        {"https://a.example:99999/", "has no port behind its \":\"; write 1 to 65535"},
        {"/login?{url}", "has a placeholder other than {uri}; only that one is filled in"},
        {"/login}", "has a placeholder other than {uri}; only that one is filled in"},
        {"/a\\r\\nX: y", "has a line end or another control character; remove it"},
    };
    for (const auto& [target, why] : mistakes) {
        const auto found = load(route("on_unauthenticated: { redirect: \"" + target + "\" }")).errors;
        REQUIRE(found.size() == 1);
        CHECK(found[0].column == 37);
        CHECK(found[0].message.ends_with("' " + why));
    }
    for (const std::string target :
         {"/login", "/login?next={uri}", "https://sso.example.org:8443/in?to={uri}#x", "https://[::1]/"})
        CHECK(errors(route("on_unauthenticated: { redirect: \"" + target + "\" }")).empty());
}

SCENARIO("a stripped prefix is the first part of what the route matches", "[config][rules]") {
    const auto strip = [](const std::string& path, const std::string& prefix) {
        return errors(base + "routes: [{ match: { path: " + path +
                      " }, upstream: shop, rewrite: { strip_prefix: " + prefix + " } }]\n");
    };
    const std::string where = "routes[0].rewrite.strip_prefix: '";
    for (const auto& [path, prefix] :
         std::vector<std::pair<std::string, std::string>>{{"/old/", "/old"}, {"/old", "/old"}, {"/a/b/c", "/a/b"}})
        CHECK(strip(path, prefix).empty());
    CHECK(strip("/old/", "/ol") ==
          Lines{"rotagate.yaml:5:77: " + where + "/ol' does not begin match.path, '/old/'; write its first part"});
    CHECK(strip("/old/", "/old/") == Lines{"rotagate.yaml:5:77: " + where +
                                           "/old/' ends in \"/\", which the app's path begins with; leave it out"});
    CHECK(strip("/old/", "old") ==
          Lines{"rotagate.yaml:5:77: " + where + "old' does not begin with \"/\"; write / and the path"});
    CHECK(errors(route("rewrite: {}")) ==
          Lines{"rotagate.yaml:6:14: routes[0].rewrite.strip_prefix: is missing; write strip_prefix: /old"});
}

SCENARIO("routes cannot edit what frames a message or is the gateway's own, in any spelling", "[config][rules]") {
    const auto set = [](const std::string& direction, const std::string& name) {
        return load(route("headers: { " + direction + ": { set: { \"" + name + "\": x } } }")).errors;
    };
    const auto remove = [](const std::string& direction, const std::string& name) {
        return load(route("headers: { " + direction + ": { remove: [\"" + name + "\"] } }")).errors;
    };
    for (const std::string direction : {"request", "response"}) {
        for (const std::string name :
             {"Content-Length", "content_length", "Transfer-Encoding", "Connection", "TE", "Upgrade", "Keep-Alive",
              "Expect", "X-Session-User", "x_session_anything", "X-Forwarded-For"}) {
            CHECK(set(direction, name).size() == 1);
            CHECK(remove(direction, name).size() == 1);
        }
        for (const std::string name : {"", "a b", "a:b", "é"}) {
            CHECK(set(direction, name).size() == 1);
            CHECK(remove(direction, name).size() == 1);
        }
    }
    for (const std::string name :
         {"X-User-Id", "x.user.id", "X_User_Org", "Host", "Cookie", "Forwarded", "X-Request-Id"})
        CHECK(set("request", name).size() == 1);
    for (const std::string name : {"Set-Cookie", "X-User-Id", "X_User_Org", "Host", "Forwarded"})
        CHECK(set("response", name).size() == 1);
    CHECK(set("response", "X-Request-Id").empty());
    CHECK(set("response", "Cache-Control").empty());
    CHECK(set("request", "X-Env").empty());
    CHECK(remove("request", "Authorization").empty());
}

SCENARIO("header edits are valid and do not contradict each other", "[config][rules]") {
    const Mistake mistakes[] = {
        {"headers: { request: { set: { X-User-Id: 1 } } }",
         "34: routes[0].headers.request.set.X-User-Id: 'X-User-Id' is the gateway's own and cannot be edited; remove "
         "it "
         "here"},
        {"headers: { request: { set: { X-A: \"\" } } }",
         "39: routes[0].headers.request.set.X-A: '' is not a header's value; write 1 to 8192 bytes without spaces "
         "around "
         "them"},
        {"headers: { request: { set: { X-A: \"a\\r\\nb\" } } }",
         "39: routes[0].headers.request.set.X-A: 'a??b' has a line end or another control character; remove it"},
        {"headers: { request: { set: { X-A: 1, x-a: 2 } } }",
         "42: routes[0].headers.request.set.x-a: is set twice, in another case; keep one"},
        {"headers: { response: { set: { X-A: 1 }, remove: [x-a] } }",
         "53: routes[0].headers.response.remove: 'X-A' is set as well; set alone replaces what was there"},
    };
    check_route_mistakes(mistakes);
}

SCENARIO("origins are written as browsers write them", "[config][rules]") {
    const auto origin = [](const std::string& text) { return errors(route("cors: { origins: [\"" + text + "\"] }")); };
    for (const char* good : {"https://app.example.org", "http://localhost:3000", "https://127.0.0.1:8443",
                             "http://[::1]:3000", "https://[::1]", "capacitor://localhost", "https://a.example:65535"})
        CHECK(origin(good).empty());
    const Mistake mistakes[] = {
        {"*", "is not an origin; write one such as https://app.example.org"},
        {"app.example.org", "is not an origin; write one such as https://app.example.org"},
        {"://app.example.org", "is not an origin; write one such as https://app.example.org"},
        {"null", "is what pages of anybody say that hide their origin; remove it"},
        {"https://App.example.org", "has upper-case letters; browsers write origins in lower case"},
        {"https://app.example.org/", "has more than scheme, host and port; write https://app.example.org"},
        {"https://app.example.org/x?y", "has more than scheme, host and port; write https://app.example.org"},
        {"https://app.example.org:443", "has the scheme's own port, which browsers leave out; leave it out"},
        {"http://app.example.org:80", "has the scheme's own port, which browsers leave out; leave it out"},
        {"https://app.example.org:", "has no port behind its \":\"; write 1 to 65535"},
        {"https://app.example.org:0443", "has no port behind its \":\"; write 1 to 65535"},
        {"https://app.example.org:65536", "has no port behind its \":\"; write 1 to 65535"},
        {"https://*.example.org",
         "names no host; its host is not a host; write a name such as api.example.org (punycode, no wildcard)"},
        {"https://",
         "names no host; its host is not a host; write a name such as api.example.org (punycode, no wildcard)"},
    };
    for (const auto& [text, message] : mistakes) {
        const std::string place = "rotagate.yaml:6:23: routes[0].cors.origins[0]: '";
        CHECK(origin(text) == Lines{std::string(place).append(text).append("' ").append(message)});
    }
    CHECK(errors(route("cors: {}")) ==
          Lines{"rotagate.yaml:6:11: routes[0].cors.origins: is missing; write origins: [https://app.example.org]"});
    CHECK(errors(route("cors: { origins: [https://a.example], methods: [GET] }")).size() == 1);
    const auto cors = load(route("cors: { origins: [https://a.example], credentials: true }")).config.routes[0].cors;
    REQUIRE(cors);
    CHECK(cors->origins == Lines{"https://a.example"});
    CHECK(cors->credentials);
}

SCENARIO("a route names the sites whose pages may open WebSockets, and how long these may be idle", "[config][rules]") {
    const auto loaded =
        load(route("websocket: { origins: [https://app.example.org, \"http://[::1]:8080\"], idle_timeout: 90s }"));
    REQUIRE(texts(loaded.errors).empty());
    const WebSocket& websocket = loaded.config.routes.at(0).websocket;
    CHECK(websocket.origins == Lines{"https://app.example.org", "http://[::1]:8080"});
    CHECK(websocket.idle_timeout == 90s);
    CHECK(load(route("access: required")).config.routes.at(0).websocket.idle_timeout == 10min);
    CHECK(load(route("websocket: { idle_timeout: 0 }")).config.routes.at(0).websocket.idle_timeout == 0s);
    CHECK(errors(route("access: public, websocket: { origins: [\"*\"] }")).empty());

    const Mistake mistakes[] = {
        {"websocket: { origins: [app.example.org] }",
         "28: routes[0].websocket.origins[0]: 'app.example.org' is not an origin; write one such as "
         "https://app.example.org"},
        {"websocket: { origins: [\"*\"] }",
         "27: routes[0].websocket.origins: '*' would let any site use a visitor's session; name the sites, or write "
         "access: public"},
    };
    check_route_mistakes(mistakes);
}

SCENARIO("a route may limit the requests of each client", "[config][rules]") {
    const auto loaded = load(route("rate_limit: { requests: 30, per: 1m }"));
    REQUIRE(texts(loaded.errors).empty());
    const auto& limit = loaded.config.routes.at(0).rate_limit;
    REQUIRE(limit);
    CHECK(limit->requests == 30);
    CHECK(limit->per == 1min);
    CHECK_FALSE(load(route("access: required")).config.routes.at(0).rate_limit);
    CHECK(errors(route("rate_limit: { requests: 30 }")).size() == 1);
    CHECK(errors(route("rate_limit: { requests: 0, per: 1m }")).size() == 1);
    CHECK(errors(route("rate_limit: { requests: 1, per: 1ms }")).size() == 1);
}
