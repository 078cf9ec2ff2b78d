#include <catch2/catch.hpp>

#include "loading.hpp"

using namespace rotagate::config;
using namespace rotagate::config::test;

namespace {

using Lines = std::vector<std::string>;

/// Each text, behind the four right lines, has exactly this one mistake.
template <std::size_t N>
void check_mistakes(const Mistake (&mistakes)[N]) {
    for (const auto& [yaml, message] : mistakes) CHECK(errors(base + yaml) == Lines{"rotagate.yaml:" + message});
}

/// The same for what stands in a route, from line 6 column 5 on.
template <std::size_t N>
void check_route_mistakes(const Mistake (&mistakes)[N]) {
    for (const auto& [yaml, message] : mistakes) CHECK(errors(route(yaml)) == Lines{"rotagate.yaml:6:" + message});
}

}  // namespace

SCENARIO("listeners that cannot work are refused", "[config][rules]") {
    const std::string missing = "listen: is missing; write listen: with a line \"- address: 0.0.0.0:8443\" and its tls";
    const Mistake mistakes[] = {
        {"threads: 1\n", "1:1: " + missing},
        {"listen: []\n", "1:9: " + missing},
        {"listen: [{}]\n", "1:10: listen[0].address: is missing; write address: 0.0.0.0:8443"},
        {"listen: [{ address: 127.0.0.1:80 }, { address: \"127.0.0.1:80\" }]\n",
         "1:48: listen[1].address: 127.0.0.1:80 is taken on line 1; write another one"},
        {"listen: [{ address: 127.0.0.1:80, proxy_protocol: true }]\n",
         "1:51: listen[0].proxy_protocol: the PROXY protocol is not available in this version; write false"},
        {"listen: [{ address: 127.0.0.1:80, redirect_to_https: true, tls: { certificates: [{ cert: a, key: b }] } }]\n",
         "1:54: listen[0].redirect_to_https: clients of a listener with tls are on https already; remove one of the "
         "two"},
        {"listen: [{ address: 127.0.0.1:80, tls: }]\n",
         "1:35: listen[0].tls.certificates: is missing; write certificates: with a line \"- { cert: FILE.crt, key: "
         "FILE.key }\""},
        {"listen: [{ address: 127.0.0.1:80, tls: { certificates: [{ cert: a }] } }]\n",
         "1:57: listen[0].tls.certificates[0].key: is missing; write key: FILE.key"},
        {"listen: [{ address: 127.0.0.1:80, tls: { min_version: 1.1, certificates: [{ cert: a, key: b }] } }]\n",
         "1:55: listen[0].tls.min_version: '1.1' is not one of 1.2 or 1.3; did you mean 1.2?"},
    };
    for (const auto& [yaml, message] : mistakes) CHECK(errors(yaml) == Lines{"rotagate.yaml:" + message});
    CHECK(errors("listen: [{ address: 127.0.0.1:0 }, { address: 127.0.0.1:0 }]\n").empty());
}

SCENARIO("stores that are not there yet say so, and keep their passwords", "[config][rules]") {
    const std::string later = " is not available in this version; use memory";
    const Mistake mistakes[] = {
        {"lmdb:/var/lib/rotagate/sessions", "'lmdb:/var/lib/rotagate/sessions'" + later},
        {"redis://user:secret@db:6379/0", "'redis://***@db:6379/0'" + later},
        {"rediss://:sec/ret@x@db:6379", "'rediss://***@db:6379'" + later},
        {"redis+unix:///run/redis.sock", "'redis+unix:///run/redis.sock'" + later},
        {"redis+sentinel://h1:26379,h2:26379/mymaster", "'redis+sentinel://h1:26379,h2:26379/mymaster'" + later},
        {"redis+cluster://h1:6379", "'redis+cluster://h1:6379'" + later},
    };
    for (const auto& [text, message] : mistakes)
        CHECK(errors(base + "session: { store: \"" + text + "\" }\n") ==
              Lines{"rotagate.yaml:5:19: session.store: " + message});
    for (const std::string text : {"redis", "redis://", "mysql://db", "Memory"})
        CHECK(
            errors(base + "session: { store: \"" + text + "\" }\n") ==
            Lines{
                "rotagate.yaml:5:19: session.store: '" + text +
                "' is not a store; write memory, lmdb:/PATH, redis://, rediss://, redis+unix://, redis+sentinel:// or "
                "redis+cluster://"});
    CHECK(
        errors(base + "session: { redis: { replicas: 1 } }\n") ==
        Lines{"rotagate.yaml:5:19: session.redis: comes with the Redis store, which is not available in this version; "
              "remove it"});
}

SCENARIO("cookies that browsers would refuse are refused", "[config][rules]") {
    const std::string domain = "is not a cookie's domain; write a name of two or more labels, such as example.org";
    const Mistake mistakes[] = {
        {"domain: example.org",
         "5:30: session.cookie.domain: browsers refuse a domain on a __Host- cookie; remove it, or "
         "write name: __Secure-session"},
        {"name: \"a b\"",
         "5:28: session.cookie.name: 'a b' is not a cookie name; write 1 to 64 letters, digits, \"-\" or "
         "\"_\""},
        {"name: \"\"",
         "5:28: session.cookie.name: '' is not a cookie name; write 1 to 64 letters, digits, \"-\" or \"_\""},
        {"name: __host-s", "5:28: session.cookie.name: '__host-s' has a prefix in the wrong case; write __Host-"},
        {"name: __Secure-", "5:28: session.cookie.name: '__Secure-' is a prefix alone; write a name behind it"},
        {"name: s, domain: .example.org",
         "5:39: session.cookie.domain: '.example.org' begins with a dot; leave it out, "
         "subdomains are included anyway"},
        {"name: s, domain: Example.org",
         "5:39: session.cookie.domain: 'Example.org' has upper-case letters; write it in "
         "lower case"},
        {"name: s, domain: localhost", "5:39: session.cookie.domain: 'localhost' " + domain},
        {"name: s, domain: 127.0.0.1", "5:39: session.cookie.domain: '127.0.0.1' " + domain},
        {"name: s, domain: example.org.", "5:39: session.cookie.domain: 'example.org.' " + domain},
        {"same_site: Lax",
         "5:33: session.cookie.same_site: 'Lax' is not one of lax, strict or none; did you mean lax?"},
        {"key_files: [a, b, a]", "5:33: session.cookie.key_files: 'a' is listed twice; keep one"},
    };
    for (const auto& [yaml, message] : mistakes)
        CHECK(errors(base + "session: { cookie: { " + yaml + " } }\n") == Lines{"rotagate.yaml:" + message});
    CHECK(errors(base + "session: { cookie: { name: __Secure-s, domain: example.org, same_site: none } }\n").empty());
}

SCENARIO("lifetimes that contradict each other are refused, strange ones are warned of", "[config][rules]") {
    const Mistake mistakes[] = {
        {"session: { idle_timeout: 2h, permanent_timeout: 1h }\n",
         "5:49: session.permanent_timeout: permanent sessions (1h) would end before the others (2h); write "
         "permanent_timeout: 2h or more"},
        {"session: { idle_timeout: 32d }\n",
         "5:26: session.idle_timeout: permanent sessions (31d) would end before the others (32d); write "
         "permanent_timeout: "
         "32d or more"},
        {"session: { idle_timeout: 500ms }\n", "5:26: session.idle_timeout: '500ms' is too short; write at least 1s"},
        {"session: { rotation: { grace: 50ms } }\n",
         "5:31: session.rotation.grace: '50ms' is too short; write 100ms to 5m"},
        {"session: { store_timeout: 2m }\n", "5:27: session.store_timeout: '2m' is too long; write 10ms to 1m"},
        {"session: { absolute_timeout: 1ms }\n",
         "5:30: session.absolute_timeout: '1ms' is too short; write 0, or at least 1s"},
    };
    check_mistakes(mistakes);
    const auto warned = [](const std::string& settings) {
        const std::string route = "routes: [{ match: { path: / }, upstream: shop }]\n";
        return warnings(base + route + "session: { cookie: { key_files: [k] }, " + settings + " }\n");
    };
    CHECK(
        warned("absolute_timeout: 1m") ==
        Lines{
            "rotagate.yaml:6:58: session.absolute_timeout: sessions end after 1m in any case, so that idle_timeout: 1h "
            "never ends one"});
    CHECK(
        warned("idle_timeout: 20s") ==
        Lines{"rotagate.yaml:6:54: session.idle_timeout: 20s is within twice the rotation's grace (10s): sessions end "
              "before a stolen cookie can show"});
}

SCENARIO("upstreams must have a name and servers", "[config][rules]") {
    const std::string listen = "listen: [{ address: 127.0.0.1:8080 }]\n";
    const Mistake mistakes[] = {
        {"upstreams: { shop: { } }\n", "2:20: upstreams.shop.servers: is missing; write servers: [127.0.0.1:9000]"},
        {"upstreams: { shop: }\n", "2:14: upstreams.shop.servers: is missing; write servers: [127.0.0.1:9000]"},
        {"upstreams: { shop: { servers: [] } }\n",
         "2:31: upstreams.shop.servers: is missing; write servers: [127.0.0.1:9000]"},
        {"upstreams: { \"my shop\": { servers: [a:1] } }\n",
         "2:14: upstreams.my shop: is not an upstream's name; write 1 to 64 letters, digits, \"-\", \"_\" or \".\""},
        {"upstreams: { shop: { servers: [a:1], protocol: fastcgi } }\n",
         "2:38: upstreams.shop.protocol: is not a known key; known here are balance, connect_timeout, health, "
         "max_idle_connections, response_timeout, servers and tls"},
        {"upstreams: { shop: { servers: [\"unix:/run/a.sock\"], tls: {} } }\n",
         "2:58: upstreams.shop.tls.server_name: is missing, and a unix socket has no name to verify; write "
         "server_name: "
         "HOST"},
        {"upstreams: { shop: { servers: [a:1], health: { interval: 2s } } }\n",
         "2:46: upstreams.shop.health.path: is missing; write path: /healthz"},
        {"upstreams: { shop: { servers: [a:1], health: { path: healthz } } }\n",
         "2:54: upstreams.shop.health.path: 'healthz' is not a path to ask for; write /healthz or the like, "
         "percent-encoded"},
    };
    for (const auto& [yaml, message] : mistakes) CHECK(errors(listen + yaml) == Lines{"rotagate.yaml:" + message});
}

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
        {"/a%2fb", encoded},
        {"/a%5Cb", encoded},
        {"/a%00", encoded},
        {"/a%2561", encoded},
        {"/a%2", "has a \"%\" without two hex digits; write %25 for the character itself"},
        {"/a?b", "has a query or fragment; write the path alone"},
        {"/a#b", "has a query or fragment; write the path alone"},
        {"/a b", "has a character that is percent-encoded in requests; write it as %XX"},
        {"/é", "has a character that is percent-encoded in requests; write it as %XX"},
        {"/a\\\\b", "has a character that is percent-encoded in requests; write it as %XX"},
    };
    for (const auto& [path, why] : mistakes) {
        const auto found = load(base + "routes: [{ match: { path: \"" + path + "\" }, upstream: shop }]\n").errors;
        REQUIRE(found.size() == 1);
        CHECK(found[0].column == 27);
        CHECK(found[0].message.ends_with("' " + why));
    }
    for (const std::string path :
         {"/", "/a", "/a/", "/a;v=1/b", "/%C3%A9", "/a:b@c/(d)!$&'*+,=~_.-", "/...", "/.well-known/"})
        CHECK(errors(base + "routes: [{ match: { path: \"" + path + "\" }, upstream: shop }]\n").empty());
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
    CHECK(set("response", "Set-Cookie").size() == 1);
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

SCENARIO("an admin address that others can reach needs a token", "[config][rules]") {
    const Mistake mistakes[] = {
        {"admin:\n", "5:1: admin.address: is missing; write address: 127.0.0.1:9901"},
        {"admin: { address: \"0.0.0.0:9901\" }\n",
         "5:19: admin.address: others can reach 0.0.0.0:9901; write a token_file, or a loopback address or unix:/path"},
        {"admin: { address: \"127.0.0.1:8080\" }\n",
         "5:8: admin: listens on the same address as clients, 127.0.0.1:8080; write another port or unix:/path"},
    };
    check_mistakes(mistakes);
    for (const std::string address : {"127.0.0.1:9901", "[::1]:9901", "unix:/run/rotagate.sock", "localhost:0"})
        CHECK(errors(base + "admin: { address: \"" + address + "\" }\n").empty());
    CHECK(errors(base + "admin: { address: \"[::]:9901\", token_file: t }\n").empty());
}

SCENARIO("limits have ranges", "[config][rules]") {
    const Mistake mistakes[] = {
        {"limits: { header_bytes: 512 }\n", "5:25: limits.header_bytes: '512' is too small; write 1KiB to 1MiB"},
        {"limits: { header_bytes: 0 }\n", "5:25: limits.header_bytes: '0' is too small; write 1KiB to 1MiB"},
        {"limits: { header_timeout: 10ms }\n", "5:27: limits.header_timeout: '10ms' is too short; write 100ms to 1h"},
        {"limits: { connections: 0 }\n", "5:24: limits.connections: '0' is out of range; write 1 to 1000000"},
        {"log: { level: verbose }\n", "5:15: log.level: 'verbose' is not one of debug, info, warn or error"},
        {"log: { access: \"\" }\n", "5:16: log.access: '' is empty; write the name of a file"},
        {"threads: -1\n", "5:10: threads: '-1' is not a whole number; write 0 to 1024"},
        {"trusted_proxies: [10.0.0.0/8, lan]\n",
         "5:31: trusted_proxies[1]: 'lan' is not a network; write 10.0.0.0/8, fd00::/8 or a single IP address"},
    };
    check_mistakes(mistakes);
}
