#include "proxy/balance.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace rotagate;
using namespace rotagate::proxy;
using config::Balance;

namespace {

/// What ten turns choose, one digit each; "-": none.
std::string ten_turns(Balance balance, const std::vector<Candidate>& servers) {
    std::string chosen;
    for (std::size_t turn = 0; turn < 10; ++turn) {
        const auto server = choose_server(balance, servers, turn, {});
        chosen += server ? std::to_string(*server) : "-";
    }
    return chosen;
}

}  // namespace

SCENARIO("round robin takes turns among the servers that are up and untried", "[balance]") {
    std::vector<Candidate> servers(3);
    CHECK(ten_turns(Balance::round_robin, servers) == "0120120120");
    servers[1].up = false;
    CHECK(ten_turns(Balance::round_robin, servers) == "0202020202");  // the others share its turns
    for (Candidate& server : servers) server.up = false;
    CHECK(ten_turns(Balance::round_robin, servers) == "0120120120");
    servers[0].up = servers[2].up = true;
    servers[0].tried = true;
    CHECK(ten_turns(Balance::round_robin, servers) == "2222222222");
    servers[2].tried = true;
    // Rather one that seems to be down than none at all.
    CHECK(ten_turns(Balance::round_robin, servers) == "1111111111");
    servers[1].tried = true;
    CHECK(ten_turns(Balance::round_robin, servers) == "----------");
}

SCENARIO("least_connections takes the least busy, and turns among equals", "[balance]") {
    std::vector<Candidate> servers(3);
    servers[0].active = 2;
    servers[1].active = 1;
    servers[2].active = 1;
    const auto chosen = ten_turns(Balance::least_connections, servers);
    CHECK(chosen.find('0') == std::string::npos);
    CHECK(chosen.find('1') != std::string::npos);
    CHECK(chosen.find('2') != std::string::npos);
}

SCENARIO("user_hash keeps a user on one server, and moves only those of a server that is lost", "[balance]") {
    std::vector<Candidate> servers(4);
    const auto server_of = [&](int user, std::size_t turn) {
        return choose_server(Balance::user_hash, servers, turn, "user" + std::to_string(user)).value();
    };
    std::vector<std::size_t> before;
    std::vector<int> users_of(servers.size());
    for (int user = 0; user < 1000; ++user) {
        before.push_back(server_of(user, 0));
        ++users_of[before.back()];
        REQUIRE(server_of(user, static_cast<std::size_t>(user)) == before.back());
    }
    for (const int users : users_of) CHECK(users > 150);
    servers[2].up = false;
    for (int user = 0; user < 1000; ++user) {
        const std::size_t old = before[static_cast<std::size_t>(user)], now = server_of(user, 0);
        REQUIRE((old == 2 ? now != 2 : now == old));
    }
}
