#include "config/store_url.hpp"

#include <catch2/catch.hpp>

#include "loading.hpp"

using namespace rotagate::config;

namespace {

Redis redis(std::string_view text) {
    auto parsed = redis_url(text);
    if (const auto* refusal = std::get_if<Refusal>(&parsed)) FAIL(text << " " << refusal->why);
    return std::get<Redis>(std::move(parsed));
}

}  // namespace

SCENARIO("a Redis is named by a URL", "[config]") {
    const Redis plain = redis("redis://db:6379");
    CHECK(plain.kind == Redis::Kind::server);
    CHECK(plain.servers == std::vector{Address{"db", 6379, {}}});
    CHECK_FALSE(plain.tls);
    CHECK(plain.user.empty());
    CHECK(plain.password.empty());
    CHECK(plain.database == 0);

    const Redis full = redis("rediss://gate%40way:p%3Aw@x/y@[::1]:6380/15");
    CHECK(full.tls);
    CHECK(full.user == "gate@way");
    CHECK(full.password == "p:w@x/y");
    CHECK(full.servers == std::vector{Address{"::1", 6380, {}}});
    CHECK(full.database == 15);

    const Redis password_only = redis("redis://:secret@db:6379/");
    CHECK(password_only.user.empty());
    CHECK(password_only.password == "secret");
}

SCENARIO("a Redis on a unix socket, behind sentinels, or in a cluster", "[config]") {
    const Redis local = redis("redis+unix://:secret@/run/redis.sock?db=2");
    CHECK(local.servers == std::vector{Address{{}, 0, "/run/redis.sock"}});
    CHECK(local.password == "secret");
    CHECK(local.database == 2);

    const Redis watched = redis("redis+sentinel://h1:26379,h2:26380/mymaster/3");
    CHECK(watched.kind == Redis::Kind::sentinel);
    CHECK(watched.servers == std::vector{Address{"h1", 26379, {}}, Address{"h2", 26380, {}}});
    CHECK(watched.master == "mymaster");
    CHECK(watched.database == 3);

    const Redis cluster = redis("rediss+cluster://u:p@h1:6379,h2:6379");
    CHECK(cluster.kind == Redis::Kind::cluster);
    CHECK(cluster.tls);
    CHECK(cluster.servers.size() == 2);
}
