#include "proxy/path.hpp"

#include <chrono>

#include <catch2/catch.hpp>

using rotagate::proxy::as_routes_spell;
using rotagate::proxy::canonical_target;
using rotagate::proxy::has_one_spelling;
using rotagate::proxy::without_parameters;

namespace {

/// The canonical path; "400": refused. Checks that making it canonical again changes nothing.
std::string canonical(std::string_view target) {
    std::string storage, again;
    const auto found = canonical_target(target, storage);
    if (!found) return "400";
    const auto second = canonical_target(found->path, again);
    REQUIRE(second);
    REQUIRE(second->path == found->path);
    return std::string(found->path);
}

}  // namespace

SCENARIO("a path that is canonical is not copied", "[path]") {
    std::string storage;
    const std::string_view target = "/a/b;c=d/%20";
    const std::string_view plain = "/a/b-c_d~e.f;g=h/?q=%2f%00//../";
    CHECK(canonical_target(plain, storage)->path.data() == plain.data());
    CHECK(canonical_target(plain, storage)->query == "?q=%2f%00//../");
    CHECK(canonical_target(target, storage)->path == target);
}

SCENARIO("every spelling of a path becomes the same path", "[path]") {
    for (const char* target :
         {"/admin", "/%61dmin", "//admin", "/./admin", "/x/../admin", "/x/%2e%2e/admin", "/x/%2E./admin",
          "/../../admin", "/x//../admin", "/%2e/admin", "/x/y/../../admin", "///.//admin", "/%61%64min?x"}) {
        CAPTURE(target);
        CHECK(canonical(target) == "/admin");
    }
    CHECK(canonical("/admin/.") == "/admin/");
    CHECK(canonical("/admin/x/..") == "/admin/");
    CHECK(canonical("/admin//") == "/admin/");
    CHECK(canonical("/..") == "/");
    CHECK(canonical("//") == "/");
    CHECK(canonical("/a/../") == "/");
}

SCENARIO("what differs for the app stays different", "[path]") {
    for (const char* target : {"/ADMIN", "/admin%20", "/admin;a=b", "/admin%23", "/admin%3Fx", "/...", "/.a", "/a..",
                               "/a/..b/", "/caf%C3%A9", "/%e2%88%95admin", "/%f0%9f%98%80", "/a%7cb", "/100%2520off",
                               "/100%25", "/a|b^{c}", "/.well-known/x", "/a;../b"}) {
        CAPTURE(target);
        CHECK(canonical(target) == target);
    }
}

SCENARIO("bytes that are no UTF-8 stay as they are, and are told of", "[path]") {
    std::string storage;
    for (const char* target : {"/%ff", "/caf%E9", "/%80", "/%c3", "/%c3a9", "/%c3%28", "/%ed%a0%80", "/%f5%80%80%80",
                               "/%f4%90%80%80", "/%c1%d4%c0", "/%e9/x", "/%83%5d"}) {
        CAPTURE(target);
        const auto found = canonical_target(target, storage);
        REQUIRE(found);
        CHECK(found->path == target);
        CHECK(found->no_utf8);
    }
    for (const char* target : {"/caf%C3%A9", "/%f0%9f%98%80", "/%e2%88%95", "/a%20b"})
        CHECK_FALSE(canonical_target(target, storage)->no_utf8);
}

SCENARIO("an ambiguous path is refused", "[path]") {
    for (const char* target : {"/x\\..\\admin",
                               "/%5cadmin",
                               "/%5C",
                               "/admin%00",
                               "/a%0d%0aX:1",
                               "/%7f",
                               "/caf\xc3\xa9",
                               "/%c0%afadmin",
                               "/%c1%81",
                               "/%c0%2e%c0%2e/",
                               "/%c1./",
                               "/%e0%80%af",
                               "/%f0%80%80%af",
                               "/%f8%80%80%80%af",
                               "/%fc%80%80%80%80%af",
                               "/%c3%",
                               "/admin/.;/",
                               "/admin/..;/x",
                               "/admin/..;a=b",
                               "/.%3b/",
                               "/%2e%2e;/",
                               "/x/..%2fadmin",
                               "/x/%2e%2e%2Fadmin",
                               "/a%2f..",
                               "/a%2f.%2fb",
                               "/a%2f..;x",
                               "/%252e%252e/",
                               "/%252fadmin",
                               "/%255c",
                               "/%2500",
                               "/%25252e",
                               "/%25%32%65",
                               "/%252%65",
                               "/..%253b/",
                               "/%25c0%25af",
                               "/a#b",
                               "/a?b#c",
                               "/%",
                               "/%2",
                               "/%zz",
                               "/%u002e",
                               "",
                               "a",
                               "*",
                               "/a b",
                               "/a?b c"}) {
        CAPTURE(target);
        CHECK(canonical(target) == "400");
    }
    CHECK(canonical(std::string_view("/a\0", 3)) == "400");
}

SCENARIO("an encoded slash is kept, reported, and never a slash", "[path]") {
    std::string storage;
    const auto target = canonical_target("/a//b%2fc%2F/../d%2fe", storage);
    REQUIRE(target);
    CHECK(target->path == "/a/d%2fe");
    CHECK(target->encoded_slash);
    CHECK_FALSE(canonical_target("/a%20", storage)->encoded_slash);
}

SCENARIO("what is left of a path without its parameters is canonical, too", "[path]") {
    CHECK_FALSE(without_parameters("/admin/x%20y"));
    CHECK(without_parameters("/admin;a=b/x") == "/admin/x");
    CHECK(without_parameters("/;x/admin/") == "/admin/");
    CHECK(without_parameters("/admin%3Ba=b") == "/admin");
    CHECK(without_parameters("/admin/;x") == "/admin/");
    CHECK(without_parameters("/;") == "/");
}

SCENARIO("the query is not looked into", "[path]") {
    std::string storage;
    CHECK(canonical_target("/./a?b=/../%2e\\caf\xc3\xa9?", storage)->query == "?b=/../%2e\\caf\xc3\xa9?");
}

SCENARIO("long paths of dots take no longer than others", "[path]") {
    std::string down, up, storage;
    for (int i = 0; i < 300000; ++i) down += "/a", up += "/..";
    const auto began = std::chrono::steady_clock::now();
    CHECK(canonical_target(down + up + "/x", storage)->path == "/x");
    CHECK(canonical_target(up + "/%2e", storage)->path == "/");
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(2));
}

SCENARIO("what apps decode is spelt as routes spell it", "[path]") {
    for (const char* plain : {"/", "/admin/x.y~z_-", "/!$&'()*+,=:@"}) {
        CHECK(has_one_spelling(plain));
        CHECK_FALSE(as_routes_spell(plain));
    }
    for (const char* other : {"/a;b", "/caf%C3%A9", "/a%20b", "/a%2Fb", "/a%25b", "/a%3Bb", "/a%7Cb"}) {
        CHECK_FALSE(has_one_spelling(other));
        CHECK_FALSE(as_routes_spell(other));
    }
    CHECK(as_routes_spell("/%40admin/%3a%2B") == "/@admin/:+");
    CHECK(as_routes_spell("/a|b[c]") == "/a%7Cb%5Bc%5D");
    CHECK(as_routes_spell("/%21%24%26%27%28%29%2a%2C%3d;x") == "/!$&'()*,=;x");
}
