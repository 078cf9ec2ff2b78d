#include <catch2/catch.hpp>

#include "loading.hpp"

using namespace rotagate::config;
using namespace rotagate::config::test;

SCENARIO("listeners that cannot work are refused", "[config][rules]") {
    const std::string missing = "listen: is missing; write listen: with a line \"- address: 0.0.0.0:8443\" and its tls";
    const Mistake mistakes[] = {
        {"threads: 1\n", "1:1: " + missing},
        {"listen: []\n", "1:9: " + missing},
        {"listen: [{}]\n", "1:10: listen[0].address: is missing; write address: 0.0.0.0:8443"},
        {"listen: [{ address: 127.0.0.1:80 }, { address: \"127.0.0.1:80\" }]\n",
         "1:48: listen[1].address: 127.0.0.1:80 is taken on line 1; write another one"},
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
    CHECK(errors("listen: [{ address: 127.0.0.1:80, proxy_protocol: true }]\n").empty());
}

SCENARIO("a store on disk is named by its folder", "[config][rules]") {
    const auto loaded = [](const std::string& text) {
        return load_text(with("session: { store: \"", text, "\" }\n"), "/etc/rotagate/rotagate.yaml", true);
    };
    CHECK(loaded("lmdb:/var/lib/rotagate/sessions").config.session.store == "lmdb:/var/lib/rotagate/sessions");
    CHECK(loaded("lmdb:sessions").config.session.store == "lmdb:/etc/rotagate/sessions");
    CHECK(loaded("lmdb:../../var/sessions").config.session.store == "lmdb:/var/sessions");
    CHECK(loaded("lmdb:sessions").ok());
    CHECK(texts(loaded("lmdb:/dev/null").errors) ==
          Lines{"/etc/rotagate/rotagate.yaml:5:19: session.store: 'lmdb:/dev/null' names a file; write the name of a "
                "folder, which may be a new one"});
}

SCENARIO("stores that cannot be meant are refused, and keep their passwords", "[config][rules]") {
    const std::string like = " cannot be read; write it like ";
    const std::string who = ", with USER:PASSWORD@ after the // where the server asks for them";
    const Mistake mistakes[] = {
        {"redis://user:secret@db", "'redis://***@db'" + like + "redis://127.0.0.1:6379/0" + who},
        {"redis://user@db:6379", "'redis://***@db:6379'" + like + "redis://127.0.0.1:6379/0" + who},
        {"redis+cluster://h1:6379,", "'redis+cluster://h1:6379,'" + like + "redis+cluster://h1:6379,h2:6379" + who},
        {"redis://db:6379/x", "'redis://db:6379/x'" + like + "redis://127.0.0.1:6379/0" + who},
        {"redis://h1:6379,h2:6379", "'redis://h1:6379,h2:6379'" + like + "redis://127.0.0.1:6379/0" + who},
        {"rediss://:%zz@db:6379", "'rediss://***@db:6379'" + like + "rediss://redis.internal:6379/0" + who},
        {"redis+unix://run/redis.sock", "'redis+unix://run/redis.sock'" + like + "redis+unix:///run/redis.sock" + who},
        {"redis+sentinel://h1:26379",
         "'redis+sentinel://h1:26379'" + like + "redis+sentinel://h1:26379,h2:26379/mymaster" + who},
        {"redis+cluster://h1:6379/1", "'redis+cluster://h1:6379/1'" + like + "redis+cluster://h1:6379,h2:6379" + who},
    };
    for (const auto& [text, message] : mistakes)
        CHECK(errors(with("session: { store: \"", text, "\" }\n")) ==
              Lines{"rotagate.yaml:5:19: session.store: " + message});
    for (const std::string text : {"redis", "lmdb:", "lmdb", "redis://", "mysql://db", "Memory"})
        CHECK(
            errors(with("session: { store: \"", text, "\" }\n")) ==
            Lines{
                "rotagate.yaml:5:19: session.store: '" + text +
                "' is not a store; write memory, lmdb:/PATH, redis://, rediss://, redis+unix://, redis+sentinel:// or "
                "redis+cluster://"});
    CHECK(
        errors(base + "session: { redis: { replicas: 1 } }\n") ==
        Lines{"rotagate.yaml:5:19: session.redis: belongs to a store in Redis; remove it, or write store: redis://…"});
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
        CHECK(errors(with("session: { cookie: { ", yaml, " } }\n")) == Lines{"rotagate.yaml:" + message});
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
        {"upstreams: { shop: { servers: [a:1], retries: 2 } }\n",
         "2:38: upstreams.shop.retries: is not a known key; known here are balance, connect_timeout, health, "
         "max_idle_connections, protocol, response_timeout, servers and tls"},
        {"upstreams: { shop: { servers: [a:1], protocol: fastcgi } }\n",
         "2:48: upstreams.shop.protocol: 'fastcgi' is not one of http1 or h2c"},
        {"upstreams: { shop: { servers: [a:1], protocol: h2c, tls: {} } }\n",
         "2:48: upstreams.shop.protocol: h2c is HTTP/2 in the clear, and the servers are spoken to over TLS; remove "
         "one of the two"},
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
    const Loaded loaded = load(listen + "upstreams: { a: { servers: [a:1], tls: { server_name: \"[::1]\" } } }\n");
    CHECK(loaded.config.upstreams.at(0).tls->server_name == "::1");  // as certificates have it
}

SCENARIO("who clients are is asked for a listener, or for one of its certificates", "[config][rules]") {
    const auto clients = [](const std::string& tls, const std::string& certificate) {
        const Loaded loaded = load("listen: [{ address: 127.0.0.1:8443, tls: { " + tls +
                                   "certificates: [{ cert: c, key: k" + certificate + " }] } }]\n");
        REQUIRE(texts(loaded.errors).empty());
        const auto& read = loaded.config.listen.at(0).tls.value().certificates.at(0).clients;
        return read ? read->ca.string() + (read->required ? " required" : " optional") : "none";
    };
    CHECK(clients("", "") == "none");
    CHECK(clients("client_ca: a, ", "") == "a required");
    CHECK(clients("client_ca: a, client_certificate: optional, ", "") == "a optional");
    CHECK(clients("client_ca: a, client_certificate: optional, ", ", client_certificate: required") == "a required");
    CHECK(clients("client_ca: a, ", ", client_certificate: none") == "none");
    CHECK(clients("client_ca: a, client_certificate: optional, ", ", client_ca: b") == "b required");
    CHECK(clients("", ", client_ca: b, client_certificate: optional") == "b optional");
    CHECK(clients("client_certificate: none, ", "") == "none");
}

SCENARIO("TLS settings that cannot work are refused", "[config][rules]") {
    const auto mistake = [](const std::string& tls) {
        return errors("listen: [{ address: 127.0.0.1:8443, tls: { certificates: [{ cert: c, key: k }],\n" + tls +
                      " } }]\n");
    };
    const std::string at = "rotagate.yaml:2:14: listen[0].tls.min_version: ", versions = " is not one of 1.2 or 1.3";
    CHECK(mistake("min_version: \"1.0\"") == Lines{at + "'1.0'" + versions + "; did you mean 1.2?"});
    CHECK(mistake("min_version: \"1.1\"") == Lines{at + "'1.1'" + versions + "; did you mean 1.2?"});
    CHECK(mistake("min_version: SSLv3") == Lines{at + "'SSLv3'" + versions});
    CHECK(
        mistake("client_certificate: optional") ==
        Lines{
            "rotagate.yaml:1:42: listen[0].tls.client_ca: is missing; write client_ca: FILE.crt, with the authorities "
            "that sign them"});
    CHECK(mistake("client_certificate: none, client_ca: a") ==
          Lines{"rotagate.yaml:2:38: listen[0].tls.client_ca: verifies certificates that client_certificate: none asks "
                "nobody for; remove one"});
    const Mistake mistakes[] = {
        {"tls_tickets: { rotation: 25h }\n", "5:26: tls_tickets.rotation: '25h' is too long; write 1s to 1d"},
        {"tls_tickets: { key_files: [a], rotation: 1h }\n",
         "5:42: tls_tickets.rotation: is for random keys; with key_files keys rotate when the files change: remove "
         "one"},
        {"tls_tickets: { key_files: [a, b, a] }\n", "5:27: tls_tickets.key_files: 'a' is listed twice; keep one"},
        {"routes: [{ match: { path: / }, upstream: shop, user_from: certificate }]\n",
         "5:59: routes[0].user_from: no listener asks clients for certificates; write client_ca: FILE in its tls"},
    };
    check_mistakes(mistakes);
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
        CHECK(errors(with("admin: { address: \"", address, "\" }\n")).empty());
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
