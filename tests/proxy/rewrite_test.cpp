#include "proxy/rewrite.hpp"

#include <catch2/catch.hpp>

using namespace rotagate::proxy;

namespace {

const Places old{"/old", "https", "example.org:8443", {"127.0.0.1:9000", "example.org:8443", ""}};
const Places same_host{"", "https", "example.org", {"127.0.0.1:9000", "", ""}};

std::string location(std::string_view text, const Places& places = old) {
    return rewritten_location(text, places).value_or("as it is");
}

}  // namespace

SCENARIO("the prefix is cut off at a segment's end only", "[rewrite]") {
    CHECK(stripped_path("/old/a", "/old") == "/a");
    CHECK(stripped_path("/old/", "/old/") == "/");
    CHECK(stripped_path("/old", "/old") == "/");
    CHECK(stripped_path("/older", "/old") == "/older");
    CHECK(stripped_path("/a", "") == "/a");
}

SCENARIO("an app's own locations get the client's prefix and origin", "[rewrite]") {
    CHECK(location("/a?b#c") == "/old/a?b#c");
    CHECK(location("http://127.0.0.1:9000/a") == "https://example.org:8443/old/a");
    CHECK(location("HTTP://EXAMPLE.org:8443") == "https://example.org:8443/old/");
    CHECK(location("//127.0.0.1:9000?a") == "https://example.org:8443/old/?a");
    CHECK(location("http://127.0.0.1:9000/a", same_host) == "https://example.org/a");
}

SCENARIO("a scheme's own port may be said or not", "[rewrite]") {
    const Places there{"", "https", "example.org", {"app.internal:80", "secure.internal:443", "example.org:443"}};
    for (const char* text : {"http://app.internal/a", "http://app.internal:80/a", "//app.internal/a",
                             "https://secure.internal/a", "//secure.internal/a", "https://example.org/a"}) {
        CAPTURE(text);
        CHECK(location(text, there) == "https://example.org/a");
    }
    CHECK(location("https://app.internal/a", there) == "as it is");
    CHECK(location("http://secure.internal/a", there) == "as it is");
    CHECK(location("http://app.internal:443/a", there) == "as it is");
}

SCENARIO("an app that sends its user over to https on the same host is not sent back", "[rewrite]") {
    const Places plain{"/old", "http", "example.org", {"127.0.0.1:9000", "example.org", ""}};
    CHECK(location("https://example.org/a", plain) == "https://example.org/old/a");
    CHECK(location("http://example.org/a", plain) == "http://example.org/old/a");
    CHECK(location("https://127.0.0.1:9000/a", plain) == "http://example.org/old/a");
}

SCENARIO("other locations are left as they are", "[rewrite]") {
    for (const char* text :
         {"https://elsewhere.example/a", "//elsewhere.example/", "a/b", "?a", "#a", "", "mailto:a@b", "http:///a"}) {
        CAPTURE(text);
        CHECK(location(text) == "as it is");
    }
    CHECK(location("/a", same_host) == "as it is");
    CHECK(location("http:///a", same_host) == "as it is");
}

SCENARIO("Refresh is a location with a delay", "[rewrite]") {
    CHECK(rewritten_refresh("5; url=/a", old) == "5; url=/old/a");
    CHECK(rewritten_refresh("0;URL='/a'", old) == "0; url=/old/a");
    CHECK_FALSE(rewritten_refresh("5", old));
    CHECK_FALSE(rewritten_refresh("5; url=https://elsewhere.example/", old));
}

SCENARIO("an app's cookies keep to its prefix", "[rewrite]") {
    CHECK(rewritten_cookie_path("a=b; Path=/; Secure", "/old") == "a=b; Path=/old; Secure");
    CHECK(rewritten_cookie_path("a=b;path = /x;;HttpOnly", "/old/") == "a=b; Path=/old/x; ; HttpOnly");
    CHECK_FALSE(rewritten_cookie_path("a=b; Secure", "/old"));
    CHECK_FALSE(rewritten_cookie_path("a=b; Path=x", "/old"));
    CHECK_FALSE(rewritten_cookie_path("a=b", "/old"));
    CHECK_FALSE(rewritten_cookie_path("a=b; Path=/", ""));
    CHECK_FALSE(rewritten_cookie_path("__host-a=b; Path=/; Secure", "/old"));
}
