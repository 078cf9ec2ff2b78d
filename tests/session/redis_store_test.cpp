#include "session/redis_store.hpp"

#include <catch2/catch.hpp>

#include "../support/redis_server.hpp"
#include "session/redis/slots.hpp"
#include "store_contract.hpp"

using namespace rotagate::session;
using namespace std::chrono_literals;
namespace config = rotagate::config;
using rotagate::test::RedisServer;

namespace {

/// The server's clock, and what the test lets pass on top of it.
constexpr std::string_view movable_clock =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + math.floor(t[2] / 1000) + (redis.call('GET', 'test:offset') or 0)\n";

class RedisHarness final : public StoreHarness {
public:
    SessionStore& open(const config::Session& settings) override {
        server_.run({"FLUSHALL"});
        offset_ = Millis{0};
        auto own = settings;
        own.redis = config::Redis{.servers = {{.unix_path = server_.socket().string()}}};
        own.store_timeout = 20s;  // a machine that runs tests may be slow
        store_.reset();
        shared_ = std::make_unique<RedisShared>(own, movable_clock);
        store_ = std::make_unique<RedisStore>(loop_, *shared_);
        hear_the_time();
        return *store_;
    }
    void advance(Millis time) override {
        offset_ += time;
        server_.run({"SET", "test:offset", std::to_string(offset_.count())});
        hear_the_time();
    }
    void run_some() override {
        loop_.restart();
        loop_.run_one_for(1s);
    }
    RedisServer& server() { return server_; }

private:
    void hear_the_time() {
        bool heard = false;
        store_->touch(SessionId::create({"nobody", ""}), false, [&](const Result<Millis>&) { heard = true; });
        while (!heard) run_some();
    }

    RedisServer server_;
    boost::asio::io_context loop_;
    Millis offset_{};
    std::unique_ptr<RedisShared> shared_;
    std::unique_ptr<RedisStore> store_;
};

config::Session hour() {
    config::Session settings;
    settings.idle_timeout = 1h;
    return settings;
}

}  // namespace

TEST_CASE("the Redis store keeps the contract of all stores", "[store][redis]") {
    static RedisHarness harness;  // one server for all sections
    store_contract(harness);
}

SCENARIO("what operators find in Redis", "[redis]") {
    RedisHarness harness;
    StoreCaller store{harness, hour()};
    const auto session = store.start({"alice", "acme"}, {.data = "{}", .client = "192.0.2.7"}).session;
    RedisServer& server = harness.server();
    const std::string key = "s:" + session.id.text;

    THEN("a session is a hash under its id, with a time to live") {
        CHECK(key.starts_with("s:{acme/alice}."));
        CHECK(server.run({"HGET", key, "client"}) == "192.0.2.7");
        CHECK(server.run({"HGET", key, "data"}) == "{}");
        CHECK(server.run({"HGET", key, "state"})
                  .starts_with(std::to_string(session.created.count()) + " 0 3600000 0 0 "));
        CHECK(std::stoll(server.run({"PTTL", key})) > 3'599'000 - 20'000);
    }
    THEN("ending it leaves nothing behind") {
        REQUIRE(store.end(session.id));
        server.run({"DEL", "test:offset"});
        CHECK(server.run({"DBSIZE"}) == "0");
    }
    THEN("what somebody else has written there stops nothing") {
        const auto bob = store.start({"bob", "acme"}).session;
        server.run({"HSET", key, "state", "of another version"});
        const std::string tag = "{" + redis::tag_of_slot(redis::slot_of_tag(bob.id.user_key())) + "}";
        for (const char* id : {"{a b}.x", "nobody's"}) {
            server.run({"ZADD", "i:" + tag, "0", id});
            server.run({"ZADD", "d:" + tag, "1", id});
        }
        CHECK(store.present(store.mint(session)).error() == SessionErrc::unknown);
        CHECK(store.count_users() == 2);
        CHECK(store.list({}).size() == 2);
        harness.advance(2h);
        CHECK(store.count_users() == 0);
        CHECK(server.run({"ZCARD", "i:" + tag}) == "0");
        CHECK(server.run({"ZCARD", "d:" + tag}) == "0");
    }
    THEN("a presentation that moves nothing writes nothing") {
        REQUIRE(store.present(store.mint(session)).has_value());
        const std::string before = server.run({"HGET", key, "state"});
        for (int i = 0; i < 5; ++i) REQUIRE(store.present(store.mint(session)).has_value());
        CHECK(server.run({"HGET", key, "state"}) == before);
    }
    THEN("scripts that the server has forgotten are loaded again") {
        server.run({"SCRIPT", "FLUSH"});
        CHECK(store.present(store.mint(session)).has_value());
        server.run({"SCRIPT", "FLUSH"});
        CHECK(store.end(session.id));
    }
}
