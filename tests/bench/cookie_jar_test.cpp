#include "bench/cookie_jar.hpp"

#include <catch2/catch.hpp>

using rotagate::bench::cookie_date;
using rotagate::bench::CookieJar;
using namespace std::chrono_literals;

namespace {

const CookieJar::Time now{1'800'000'000s};

/// A jar of https://shop.example.org, and what it sends.
struct Browser {
    CookieJar jar;
    bool receives(std::string_view set_cookie, std::string_view path = "/shop/cart") {
        return jar.receive(set_cookie, "shop.example.org", path, true, now);
    }
    std::string sends(std::string_view path = "/shop/cart", bool secure = true, CookieJar::Time at = now) const {
        std::string text;
        jar.append_header(text, path, secure, at);
        return text;
    }
};

}  // namespace

SCENARIO("the newest value of a cookie replaces the one before", "[cookie_jar]") {
    Browser browser;
    CHECK(browser.receives("id=1; Path=/; HttpOnly; SameSite=Lax"));
    CHECK(browser.receives("id=2; Path=/; Secure"));
    CHECK(browser.sends() == "id=2");
    CHECK(browser.receives("id=3; Path=/shop"));
    THEN("but not one of another path; longer paths come first") {
        CHECK(browser.sends() == "id=3; id=2");
        CHECK(browser.sends("/") == "id=2");
        CHECK(browser.sends("/shopping") == "id=2");
        CHECK(browser.jar.value("id") == "3");
    }
}

SCENARIO("a cookie without a path is for the folder of the page that set it", "[cookie_jar]") {
    Browser browser;
    browser.receives("a=1", "/shop/cart");
    CHECK(browser.sends("/shop/") == "a=1");
    CHECK(browser.sends("/shop") == "a=1");
    CHECK(browser.sends("/other").empty());
    browser.receives("b=2; Path=relative", "/top");
    CHECK(browser.sends("/other") == "b=2");
}

SCENARIO("cookies end when they are told to", "[cookie_jar]") {
    Browser browser;
    browser.receives("a=1; Path=/; Max-Age=60");
    CHECK(browser.sends("/", true, now + 59s) == "a=1");
    CHECK(browser.sends("/", true, now + 60s).empty());
    WHEN("Max-Age is 0, or Expires is in the past") {
        CHECK(browser.receives("a=; Path=/; Max-Age=0"));
        CHECK(browser.jar.empty());
        browser.receives("b=1; Path=/");
        CHECK(browser.receives("b=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
        CHECK(browser.jar.empty());
        CHECK_FALSE(browser.receives("b=; Path=/; Max-Age=-1"));
    }
    WHEN("both are there, Max-Age counts") {
        browser.receives("c=1; Path=/; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        browser.receives("d=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60");
        CHECK(browser.sends("/") == "a=1; c=1; d=1");
    }
    WHEN("Max-Age is nothing that a browser knows") {
        browser.receives("e=1; Path=/; Max-Age=soon");
        browser.receives("f=1; Path=/; Max-Age=99999999999999999999");
        CHECK(browser.sends("/", true, now + 24h * 3650) == "e=1; f=1");
    }
}

SCENARIO("what a browser refuses is refused", "[cookie_jar]") {
    Browser browser;
    for (const char* bad :
         {"novalue", "=1", "", "a=1; Domain=other.org", "a=1; Domain=hop.example.org", "__Host-a=1; Path=/",
          "__Host-a=1; Secure", "__Host-a=1; Secure; Path=/; Domain=example.org", "__Secure-a=1"}) {
        CAPTURE(bad);
        CHECK_FALSE(browser.receives(bad));
    }
    CHECK(browser.jar.empty());
    CHECK_FALSE(browser.jar.receive("a=1; Secure", "shop.example.org", "/", false, now));
    CHECK(browser.receives("__Host-a=1; Secure; Path=/"));
    CHECK(browser.receives("b=1; Domain=.example.org; Path=/"));
    CHECK(browser.sends("/", false) == "b=1");
}

SCENARIO("values are kept as they are", "[cookie_jar]") {
    Browser browser;
    browser.receives("  a = x=y==  ; Path=/");
    browser.receives("b=\"quoted, with a comma\"; Path=/");
    browser.receives("c=; Path=/");
    CHECK(browser.sends() == "a=x=y==; b=\"quoted, with a comma\"; c=");
}

SCENARIO("dates are read in all the forms that browsers read", "[cookie_jar]") {
    const CookieJar::Time wanted{784'111'777s};
    for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                             "Sun Nov  6 08:49:37 1994", "6 november 1994 8:49:37"}) {
        CAPTURE(text);
        CHECK(cookie_date(text) == wanted);
    }
    for (const char* text : {"", "soon", "06 Nov 1994", "31 Feb 1994 08:49:37", "06 Nov 1994 25:00:00", "08:49:37"}) {
        CAPTURE(text);
        CHECK(cookie_date(text) == CookieJar::Time::max());
    }
}
