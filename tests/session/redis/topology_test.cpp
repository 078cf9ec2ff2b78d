#include "session/redis/topology.hpp"

#include <set>

#include <catch2/catch.hpp>

using namespace rotagate::session::redis;
using rotagate::config::Address;
using rotagate::config::Redis;

namespace {

const Address a{"10.0.0.1", 6379, {}}, b{"10.0.0.2", 6379, {}}, c{"10.0.0.3", 6379, {}};

/// Gives a Topology what a server would have answered.
bool learn(Topology& topology, std::string_view answer, const Address& asked = a) {
    ReplyReader reader;
    reader.feed(answer);
    REQUIRE(reader.next() == ReplyReader::State::reply);
    return topology.learn(reader.reply(), asked);
}

/// Slots 0 to 8191 at a node without a name of its own, the rest at b with the replica c.
constexpr std::string_view two_masters =
    "*2\r\n"
    "*3\r\n:0\r\n:8191\r\n*3\r\n$0\r\n\r\n:6379\r\n$1\r\nx\r\n"
    "*4\r\n:8192\r\n:16383\r\n*3\r\n$8\r\n10.0.0.2\r\n:6379\r\n$1\r\ny\r\n*3\r\n$8\r\n10.0.0.3\r\n:6379\r\n$1\r\nz\r\n";

}  // namespace

SCENARIO("a single server has everything, and nobody is asked", "[redis]") {
    Topology topology({.servers = {a}});
    CHECK(*topology.owner(0) == a);
    CHECK(*topology.owner(16383) == a);
    topology.doubt();
    CHECK_FALSE(topology.asks());
}

SCENARIO("sentinels are asked in turn for the master", "[redis]") {
    Topology topology({.kind = Redis::Kind::sentinel, .servers = {a, b}, .master = "mymaster"});
    CHECK(topology.owner(0) == nullptr);
    CHECK(topology.asks());
    CHECK(topology.question().find("mymaster") != std::string::npos);
    CHECK(topology.somebody() == a);
    CHECK(topology.somebody() == b);
    CHECK(topology.somebody() == a);
    CHECK_FALSE(learn(topology, "*-1\r\n"));  // it does not know this name
    CHECK_FALSE(learn(topology, "-ERR no\r\n"));
    CHECK(topology.asks());
    CHECK(learn(topology, "*2\r\n$8\r\n10.0.0.3\r\n$4\r\n6379\r\n"));
    CHECK(*topology.owner(7) == c);
    CHECK_FALSE(topology.asks());
    topology.doubt();
    CHECK(topology.asks());
    CHECK(*topology.owner(7) == c);  // it may well be the one that it was
    topology.promoted(b);
    CHECK(*topology.owner(7) == b);
    CHECK_FALSE(topology.asks());
}

SCENARIO("a cluster's slots have owners, which redirections correct", "[redis]") {
    Topology topology({.kind = Redis::Kind::cluster, .servers = {a}});
    CHECK(topology.any() == nullptr);
    CHECK(topology.somebody() == a);
    CHECK_FALSE(learn(topology, "*0\r\n"));
    REQUIRE(learn(topology, two_masters));
    CHECK(*topology.owner(8191) == a);  // the node that was asked
    CHECK(*topology.owner(8192) == b);
    CHECK(topology.servers() == std::vector{a, b});
    std::set<std::uint16_t> hosts;
    for (int i = 0; i < 4; ++i) hosts.insert(static_cast<std::uint16_t>(topology.somebody().host.back()));
    CHECK(hosts.size() == 3);  // replicas are asked too: one of them may be the next master
    topology.moved(8192, c);
    CHECK(*topology.owner(8192) == c);
    CHECK(*topology.owner(8193) == b);
    CHECK(topology.asks());
}

SCENARIO("slots are computed as Redis does", "[redis]") {
    // Source: CLUSTER KEYSLOT of redis-server 7.0.15; "123456789" is CRC-16/XMODEM's check value 0x31C3.
    CHECK(slot_of_tag("123456789") == 0x31C3 % 16384);
    CHECK(slot_of_tag("foo") == 12182);
    CHECK(slot_of_tag("user1000") == 3443);
    CHECK(slot_of_tag("") == 0);
    for (const unsigned slot : {0U, 1U, 8191U, 16383U}) CHECK(slot_of_tag(tag_of_slot(slot)) == slot);
}
