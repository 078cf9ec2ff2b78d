#include "proxy/message.hpp"

#include <catch2/catch.hpp>

using namespace rotagate::proxy;

SCENARIO("names are known in every letter case", "[message]") {
    CHECK(classify("Content-Length") == Known::content_length);
    CHECK(classify("CONTENT-LENGTH") == Known::content_length);
    CHECK(classify("te") == Known::te);
    CHECK(classify("X-Session-User") == Known::x_session);
    CHECK(classify("x-forwarded-for") == Known::x_forwarded);
    CHECK(classify("Clear-Site-Data") == Known::clear_site_data);
    CHECK(classify("Proxy-Authentication-Info") == Known::proxy_authentication_info);
    CHECK(classify("Example-CDN-Cache-Control") == Known::shared_cache);
    CHECK(classify("User-Agent") == Known::other);
    CHECK(classify("") == Known::other);
    CHECK(classify("X-Session") == Known::other);
}

SCENARIO("whatever an app would fold to a name of ours is misspelt", "[message]") {
    for (const char separator : std::string_view("_.~!#$%&'*+^|`")) {
        for (std::string name : {"X-User-Id", "X-User-Org", "X-Session-Data", "X-Forwarded-For", "X-Request-Id",
                                 "Content-Length", "Transfer-Encoding", "Set-Cookie", "X-Real-IP"}) {
            name[name.find('-')] = separator;
            CAPTURE(name);
            CHECK(classify(name) == Known::misspelt);
        }
    }
    CHECK(classify("x_user_id") == Known::misspelt);
    CHECK(classify("X-Session-A_b") == Known::misspelt);
    CHECK(classify("X-User-Id-") == Known::other);
    CHECK(classify("Cache_Control") == Known::other);
    CHECK(classify("X_Original.URL") == Known::never_forwarded);
}

SCENARIO("names longer than any of ours are still sorted into families", "[message]") {
    CHECK(classify("X-Session-" + std::string(60, 'a')) == Known::misspelt);
    CHECK(classify("x_forwarded." + std::string(60, 'a')) == Known::misspelt);
    CHECK(classify(std::string(60, 'a') + "-CDN-Cache-Control") == Known::shared_cache);
    CHECK(classify(std::string(100, 'a')) == Known::other);
}

SCENARIO("the arena keeps what is put together", "[message]") {
    Arena arena;
    const std::string_view kept = arena.keep("abc"), joined = arena.join({kept, "", "def"});
    CHECK(joined == "abcdef");
    CHECK(arena.join({}).empty());
    CHECK(arena.keep(std::string(5000, 'x')).size() == 5000);
    CHECK(joined == "abcdef");
}
