#include "proxy/acceptor.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "proxy/listening_sockets.hpp"

using namespace rotagate;
using namespace rotagate::proxy;

namespace {

/// An acceptor on a port of its own, and what it has accepted.
struct Door {
    Door() {
        auto sockets = open_listening_sockets(address, 1);
        acceptor.emplace(loop, std::move(sockets.front()), address.text(),
                         [this](Descriptor socket, const asio::ip::address& client) {
                             accepted.push_back(std::move(socket));
                             clients.push_back(client.to_string());
                         });
        REQUIRE_FALSE(acceptor->start());
    }
    /// Connects, or tells why not.
    error_code knock() {
        asio::ip::tcp::socket& client = visitors.emplace_back(loop);
        error_code ec;
        client.connect({asio::ip::make_address(address.host), address.port}, ec);
        return ec;
    }
    void wait_for(std::size_t count) {
        while (accepted.size() < count) REQUIRE(loop.run_one_for(std::chrono::seconds(10)) > 0);
    }

    config::Address address{"127.0.0.1", 0, ""};
    asio::io_context loop{1};
    std::vector<asio::ip::tcp::socket> visitors;
    std::vector<Descriptor> accepted;
    std::vector<std::string> clients;
    std::optional<Acceptor> acceptor;
};

/// No descriptor is to be had while this lives.
class NoDescriptors {
public:
    NoDescriptors() {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        const Descriptor lowest(::dup(0));
        rlimit none = before_;
        none.rlim_cur = static_cast<rlim_t>(lowest.get());
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

}  // namespace

SCENARIO("every connection is accepted, and does neither block nor wait for more to send", "[acceptor]") {
    Door door;
    for (int i = 0; i < 3; ++i) REQUIRE_FALSE(door.knock());
    door.wait_for(3);
    for (const Descriptor& socket : door.accepted) {
        CHECK((::fcntl(socket.get(), F_GETFL) & O_NONBLOCK) != 0);
        CHECK((::fcntl(socket.get(), F_GETFD) & FD_CLOEXEC) != 0);
        int no_delay = 0;
        socklen_t size = sizeof no_delay;
        REQUIRE(::getsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size) == 0);
        CHECK(no_delay != 0);
    }
    CHECK(door.clients == std::vector<std::string>(3, "127.0.0.1"));
}

SCENARIO("who comes while there are no descriptors is accepted as soon as there are", "[acceptor]") {
    Door door;
    REQUIRE_FALSE(door.knock());
    {
        const NoDescriptors none;
        REQUIRE(door.loop.run_one_for(std::chrono::seconds(10)) > 0);
        CHECK(door.accepted.empty());
    }
    door.wait_for(1);
}

SCENARIO("behind a closed acceptor nobody listens", "[acceptor]") {
    Door door;
    SECTION("at once") { door.acceptor->close(); }
    SECTION("while it waits for descriptors") {
        REQUIRE_FALSE(door.knock());
        const NoDescriptors none;
        REQUIRE(door.loop.run_one_for(std::chrono::seconds(10)) > 0);
        door.acceptor->close();
    }
    CHECK_FALSE(door.acceptor->is_open());
    CHECK(door.knock() == asio::error::connection_refused);
    door.loop.poll();
    CHECK(door.accepted.empty());
}
