#include "proxy/snapshot.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

using namespace rotagate;
using namespace rotagate::proxy;

namespace {

config::Config plain(std::vector<std::string> addresses = {"127.0.0.1:0"}) {
    config::Config settings;
    for (const std::string& address : addresses) {
        const auto colon = address.rfind(':');
        const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1)));
        settings.listen.push_back({.address = {address.substr(0, colon), port, ""}});
    }
    config::Upstream shop{.name = "shop", .servers = {{"127.0.0.1", 9000, ""}, {"127.0.0.1", 9001, ""}}};
    settings.upstreams = {shop, {.name = "other", .servers = {{"127.0.0.1", 9000, ""}}}};
    settings.log.access = settings.log.security = "off";
    settings.threads = 2;
    return settings;
}

const UpstreamState& state(const Snapshot& snapshot, std::size_t index) { return *snapshot.upstreams[index].state; }

std::uint16_t port(const Snapshot& snapshot, std::size_t index) { return snapshot.config->listen[index].address.port; }

bool opens(const Snapshot& snapshot, std::size_t index) {
    for (const LoopSnapshot& loop : snapshot.loops)
        if (loop.listeners[index].socket.get() < 0) return false;
    return true;
}

/// The keys of what cannot be used.
std::vector<std::string> unusable(const config::Config& settings, const Snapshot* in_force) {
    std::vector<std::string> keys;
    try {
        make_snapshot(settings, in_force);
    } catch (const Unusable& error) {
        for (const auto& setting : error.settings) keys.push_back(setting.key);
    }
    return keys;
}

}  // namespace

SCENARIO("sockets stay for as long as their address is named", "[snapshot]") {
    const Snapshot first = make_snapshot(plain({"127.0.0.1:0", "127.0.0.1:0"}), nullptr);
    REQUIRE(first.loops.size() == 2);
    CHECK(opens(first, 0));
    CHECK(port(first, 0) != 0);
    CHECK(port(first, 0) != port(first, 1));
    CHECK(first.loops[1].listeners[1].settings.address.port == port(first, 1));
    SECTION("a port that the system chose is kept, too") {
        const Snapshot second = make_snapshot(plain({"127.0.0.1:0", "127.0.0.1:0"}), &first);
        CHECK(second.number == first.number + 1);
        for (const std::size_t i : {0, 1}) {
            CHECK(port(second, i) == port(first, i));
            CHECK(second.listeners[i].id == first.listeners[i].id);
            CHECK_FALSE(opens(second, i));
        }
    }
    SECTION("also when it is named by now") {
        const Snapshot second = make_snapshot(plain({"127.0.0.1:" + std::to_string(port(first, 1))}), &first);
        CHECK(second.listeners[0].id == first.listeners[1].id);
        CHECK_FALSE(opens(second, 0));
    }
    SECTION("another address is opened, and has an id of its own") {
        const Snapshot second = make_snapshot(plain({"127.0.0.2:0", "127.0.0.1:0"}), &first);
        CHECK(opens(second, 0));
        CHECK(second.listeners[0].id == 2);
        CHECK_FALSE(opens(second, 1));
        CHECK(port(second, 1) == port(first, 0));
    }
    SECTION("one that is taken is told by its place, and nothing is opened") {
        boost::asio::io_context loop;
        const boost::asio::ip::tcp::acceptor taken(loop, {boost::asio::ip::make_address("127.0.0.1"), 0});
        const std::string address = "127.0.0.1:" + std::to_string(taken.local_endpoint().port());
        CHECK(unusable(plain({"127.0.0.1:0", address}), &first) == std::vector<std::string>{"listen[1].address"});
    }
}

SCENARIO("an upstream is the same for as long as nothing about it changes", "[snapshot]") {
    const Snapshot first = make_snapshot(plain(), nullptr);
    auto settings = plain();
    settings.upstreams[0].response_timeout = std::chrono::seconds(1);
    settings.upstreams[0].servers.insert(settings.upstreams[0].servers.begin(), {"127.0.0.1", 9002, ""});
    const Snapshot second = make_snapshot(settings, &first);
    CHECK(&state(second, 0) != &state(first, 0));
    CHECK(&state(second, 1) == &state(first, 1));
    SECTION("servers that are checked as before keep their health") {
        CHECK(state(second, 0).health[1] == state(first, 0).health[0]);
        CHECK(state(second, 0).health[2] == state(first, 0).health[1]);
        CHECK(state(second, 0).health[0]);
    }
    SECTION("others begin anew") {
        settings.upstreams[0].health.emplace().path = "/healthz";
        const Snapshot third = make_snapshot(settings, &second);
        CHECK(state(third, 0).health[0] != state(second, 0).health[0]);
    }
    SECTION("their order does not matter") {
        std::swap(settings.upstreams[0], settings.upstreams[1]);
        const Snapshot third = make_snapshot(settings, &second);
        CHECK(&state(third, 0) == &state(second, 1));
        CHECK(&state(third, 1) == &state(second, 0));
    }
}

SCENARIO("a process without key files has one random key", "[snapshot]") {
    const Snapshot first = make_snapshot(plain(), nullptr);
    CHECK(make_snapshot(plain(), &first).keys == first.keys);
}

SCENARIO("what cannot change while the process runs is named", "[snapshot]") {
    const Snapshot first = make_snapshot(plain(), nullptr);
    auto settings = plain();
    settings.threads = 3;
    settings.session.store = "lmdb:/tmp/sessions";
    CHECK(unusable(settings, &first) == std::vector<std::string>{"threads", "session.store"});
}

SCENARIO("files that cannot be used are told by their settings", "[snapshot]") {
    const auto changed = [](auto change) {
        auto settings = plain();
        change(settings);
        return unusable(settings, nullptr);
    };
    using Keys = std::vector<std::string>;
    CHECK(changed([](auto& c) { c.session.cookie.key_files = {"/none/cookie.key"}; }) ==
          Keys{"session.cookie.key_files[0]"});
    CHECK(changed([](auto& c) {
              c.listen[0].tls = config::ServerTls{{{"/none/a.crt", "/none/a.key"}}};
          }) == Keys{"listen[0].tls"});
    CHECK(changed([](auto& c) {
              c.upstreams[1].tls = config::UpstreamTls{"/none/ca.crt", ""};
          }) == Keys{"upstreams.other.tls"});
    CHECK(changed([](auto& c) { c.log.access = "/dev/null/access.log"; }) == Keys{"log"});
}
