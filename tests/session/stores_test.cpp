#include "session/stores.hpp"

#include <catch2/catch.hpp>

using namespace rotagate;
using session::fixed_settings;
using Names = std::vector<std::string>;

namespace {

config::Session in_redis() {
    config::Session settings;
    settings.store = "redis://***@redis:6379";
    settings.redis.emplace();
    settings.redis->servers = {{"redis", 6379, ""}};
    settings.redis->password = "secret";
    return settings;
}

}  // namespace

SCENARIO("where sessions are cannot change while the process runs", "[store]") {
    config::Session memory, disk, redis = in_redis();
    disk.store = "lmdb:/var/lib/rotagate";
    CHECK(fixed_settings(memory, memory).empty());
    CHECK(fixed_settings(memory, disk) == Names{"session.store"});
    CHECK(fixed_settings(disk, memory) == Names{"session.store"});
    CHECK(fixed_settings(redis, memory) == Names{"session.store"});
    GIVEN("the same server with another password, which is not shown") {
        config::Session other = in_redis();
        other.redis->password = "another";
        CHECK(fixed_settings(redis, other) == Names{"session.store"});
    }
}

SCENARIO("what else cannot change is what scripts in Redis have written into them", "[store]") {
    const auto change = [](config::Session settings) {
        settings.idle_timeout = settings.permanent_timeout = settings.absolute_timeout = std::chrono::minutes(5);
        settings.max_sessions_per_user = 3;
        settings.store_timeout = std::chrono::seconds(2);
        settings.rotation = {std::chrono::seconds(1), true};
        settings.on_replay = config::OnReplay::report;
        settings.cookie.name = "__Host-other";
        return settings;
    };
    CHECK(fixed_settings({}, change({})).empty());
    CHECK(fixed_settings(in_redis(), in_redis()).empty());
    CHECK(fixed_settings(in_redis(), change(in_redis())) ==
          Names{"session.store_timeout", "session.idle_timeout", "session.permanent_timeout",
                "session.absolute_timeout", "session.max_sessions_per_user", "session.on_replay",
                "session.rotation.grace"});
    config::Session other = in_redis();
    other.redis->replicas = 1;
    other.redis->ca = "ca.crt";
    other.on_replay = config::OnReplay::end_user;  // which is not for the store to obey
    CHECK(fixed_settings(in_redis(), other) == Names{"session.redis.replicas", "session.redis.ca"});
}
