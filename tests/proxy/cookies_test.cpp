#include "proxy/cookies.hpp"

#include <catch2/catch.hpp>

using namespace rotagate;
using namespace rotagate::proxy;

namespace {

struct Cut {
    std::vector<std::string> sessions;
    std::string others;
};

Cut cut(const std::vector<std::string>& values) {
    Fields fields;
    for (const auto& value : values) fields.push_back({"Cookie", value, Known::cookie});
    Arena arena;
    const auto found = split_cookies(fields, "__Host-session", arena);
    return {{found.sessions.begin(), found.sessions.end()}, std::string(found.others.value_or("none"))};
}

}  // namespace

SCENARIO("the session cookie is cut out and the others stay byte for byte", "[cookies]") {
    CHECK(cut({"a=1; __Host-session=x; b=2"}).others == "a=1; b=2");
    CHECK(cut({"__Host-session=x; a=1"}).others == "a=1");
    CHECK(cut({"a=1; __Host-session=x"}).others == "a=1");
    CHECK(cut({"a=1;__Host-session=x;b=2"}).others == "a=1;b=2");
    CHECK(cut({"__Host-session=x"}).others == "none");
    CHECK(cut({"__Host-session=x;"}).others == "none");
    CHECK(cut({";__Host-session=x"}).others == "none");
    CHECK(cut({"a=1; __Host-session=x; b=2"}).sessions == std::vector<std::string>{"x"});
    CHECK(cut({}).others == "none");
    const std::string odd =
        "$Version=1; =v;; a = \"b;c\" ;n; __HOST-session=y;\xc2\xa0__Host-session=z; x__Host-session=1";
    CHECK(cut({odd}).others == odd);
    CHECK(cut({odd}).sessions.empty());
}

SCENARIO("every session cookie is found, wherever and however often it comes", "[cookies]") {
    const Cut found =
        cut({"__Host-session=1; a=1;  __Host-session = \"2\" ", "b=2; __Host-session=", "__Host-session=4"});
    CHECK(found.sessions == std::vector<std::string>{"1", "\"2\"", "", "4"});
    CHECK(found.others == "a=1; b=2");
    CHECK(cut({"c=1", "d=2"}).others == "c=1; d=2");
}

SCENARIO("a flood of session cookies hides none of them, and all are cut out", "[cookies]") {
    std::string flood = "a=1";
    for (int i = 0; i < 1800; ++i) flood += "; __Host-session=x";
    const Cut found = cut({flood + "; __Host-session=last"});
    CHECK(found.sessions.size() == 1801);
    CHECK(found.sessions.back() == "last");
    CHECK(found.others == "a=1");
}

SCENARIO("an app's Set-Cookie for the session cookie is recognized in every spelling", "[cookies]") {
    for (const char* value : {"__Host-session=x", "__HOST-SESSION=x; Path=/", " \t__Host-session =x", "__Host-session",
                              "=__Host-session=x", "__Host-session; Max-Age=0", "= __Host-session=x"}) {
        CAPTURE(value);
        CHECK(sets_cookie(value, "__Host-session"));
    }
    for (const char* value :
         {"a=__Host-session=x", "__Host-session2=x", "x__Host-session=x", "", "=", "a; __Host-session=x"}) {
        CAPTURE(value);
        CHECK_FALSE(sets_cookie(value, "__Host-session"));
    }
}

SCENARIO("the session cookie is set and deleted with the same attributes", "[cookies]") {
    Arena arena;
    config::Cookie cookie;
    CHECK(SetCookieWriter(cookie).set("k.v", 3600, arena) ==
          "__Host-session=k.v; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax");
    CHECK(SetCookieWriter(cookie).remove() == "__Host-session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
    cookie.name = "sid";
    cookie.domain = "example.org";
    cookie.same_site = config::SameSite::none;
    CHECK(SetCookieWriter(cookie).set("v", 1, arena) ==
          "sid=v; Path=/; Max-Age=1; Secure; HttpOnly; SameSite=None; Domain=example.org");
}
