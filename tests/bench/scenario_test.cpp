#include "bench/scenario.hpp"

#include <catch2/catch.hpp>

#include "bench/target.hpp"

using namespace rotagate::bench;
using Catch::Contains;

namespace {

std::string mistakes(const std::string& yaml) {
    try {
        parse_scenario(yaml, "mix.yaml");
        return "none";
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

}  // namespace

SCENARIO("a scenario says what users do", "[scenario]") {
    const Scenario scenario = parse_scenario(R"(
login: { path: /login, form: "user={user}&password=x" }
logout: { path: /logout, weight: 2 }
requests:
  - { path: /account, weight: 80 }
  - { path: /count, body: 16KiB, weight: 5, name: upload }
  - { method: PUT, path: /api, form: "{}", content_type: application/json, needs_session: false }
)",
                                             "mix.yaml");
    REQUIRE(scenario.login);
    CHECK(scenario.login->method == "POST");
    CHECK(scenario.login->form == "user={user}&password=x");
    CHECK(scenario.login->content_type == "application/x-www-form-urlencoded");
    REQUIRE(scenario.logout);
    CHECK(scenario.logout->weight == 2);
    REQUIRE(scenario.requests.size() == 3);
    CHECK(scenario.requests[0].name == "GET /account");
    CHECK(scenario.requests[0].weight == 80);
    CHECK(scenario.requests[1].method == "POST");
    CHECK(scenario.requests[1].body == 16384);
    CHECK(scenario.requests[1].name == "upload");
    CHECK(scenario.requests[2].content_type == "application/json");
    CHECK_FALSE(scenario.requests[2].needs_session);
}

SCENARIO("every mistake in a scenario is told with its place", "[scenario]") {
    const std::string told = mistakes(R"(
logout: { path: logout }
requests:
  - { path: /a, weight: many }
  - { path: /b, body: 1KiB, form: x }
  - { path: /c, method: GET, body: 1KiB }
  - { path: /d, paht: /e }
)");
    CHECK_THAT(told, Contains("mix.yaml:2:17: logout.path: 'logout' is not a path"));
    CHECK_THAT(told, Contains("mix.yaml:4:25: requests[0].weight: 'many'"));
    CHECK_THAT(told, Contains("requests[1].body: there is a form too"));
    CHECK_THAT(told, Contains("requests[2].method: GET has no body"));
    CHECK_THAT(told, Contains("requests[3].paht"));
    CHECK_THAT(told, Contains("login: is missing"));
    CHECK_THAT(mistakes("requests: [{ path: /a b }, { path: '/\u00e4' }]"),
               Contains("mix.yaml:1:20: requests[0].path: '/a b' is not a path") && Contains("requests[1].path"));
    CHECK_THAT(mistakes(""), Contains("mix.yaml:1:1: the file is empty; write requests:"));
    CHECK_THAT(mistakes("- /account"), Contains("mix.yaml:1:1: a scenario is a map such as requests:"));
    CHECK_THAT(mistakes("login: { path: /login }"), Contains("mix.yaml:1:1: requests: no request has a weight"));
    CHECK_THAT(mistakes("requests: []"), Contains("no request has a weight"));
    CHECK_THAT(mistakes("requests: [{ path: /, weight: 0 }]"), Contains("no request has a weight"));
}

SCENARIO("placeholders are filled in", "[scenario]") {
    CHECK(filled("/u/{user}/{number}?again={user}", "ann", 7) == "/u/ann/7?again=ann");
    CHECK(filled("/plain", "ann", 7) == "/plain");
    CHECK(filled("{other}", "ann", 7) == "{other}");
    CHECK(filled("{user}", "{user}", 7) == "{user}");
}

SCENARIO("a target is a URL of http or https", "[target]") {
    const Target target = Target::parse("https://shop.example.org/a/b?c=d");
    CHECK(target.secure);
    CHECK(target.server.host == "shop.example.org");
    CHECK(target.server.port == 443);
    CHECK(target.authority == "shop.example.org");
    CHECK(target.path == "/a/b?c=d");
    CHECK(Target::parse("http://127.0.0.1:8080").authority == "127.0.0.1:8080");
    CHECK(Target::parse("http://127.0.0.1:8080").path == "/");
    CHECK(Target::parse("https://a?b=c").path == "/?b=c");
    const Target v6 = Target::parse("https://[::1]:8443/");
    CHECK(v6.server.host == "::1");
    CHECK(v6.authority == "[::1]:8443");
    for (const char* bad : {"", "example.org", "ftp://example.org", "https://", "https://user@example.org",
                            "https://a:0/", "https://a:99999/", "https://a b/"}) {
        CAPTURE(bad);
        CHECK_THROWS_WITH(Target::parse(bad), Contains("write https://HOST[:PORT][/PATH]"));
    }
}
