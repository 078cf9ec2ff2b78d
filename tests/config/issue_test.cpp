#include "config/issue.hpp"

#include <catch2/catch.hpp>

#include "loading.hpp"

using namespace rotagate::config::test;

SCENARIO("what shows only when a configuration is used has its place in the file, too", "[config]") {
    const auto loaded = load(base +
                             "session:\n"
                             "  cookie:\n"
                             "    key_files: [a.key, b.key]\n");
    const auto place = [&](std::string_view key) { return loaded.places.issue(key, "is wrong").text(); };
    CHECK(place("listen[0].address") == "rotagate.yaml:1:21: listen[0].address: is wrong");
    CHECK(place("upstreams.shop.servers[0]") == "rotagate.yaml:3:21: upstreams.shop.servers[0]: is wrong");
    CHECK(place("session.cookie.key_files[1]") == "rotagate.yaml:7:24: session.cookie.key_files[1]: is wrong");
    SECTION("what is not written stands where it would be") {
        CHECK(place("session.cookie.domain") == "rotagate.yaml:7:5: session.cookie.domain: is wrong");
        CHECK(place("listen[7].address") == "rotagate.yaml:1:9: listen[7].address: is wrong");
        CHECK(place("threads") == "rotagate.yaml:1:1: threads: is wrong");
    }
    SECTION("and so does what concerns no setting, or a file that cannot be read") {
        CHECK(place("") == "rotagate.yaml:1:1: is wrong");
        CHECK(rotagate::config::load_file("/none/rotagate.yaml").places.issue("", "is wrong").text() ==
              "/none/rotagate.yaml:1:1: is wrong");
    }
}
