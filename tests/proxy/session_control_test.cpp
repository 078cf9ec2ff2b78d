#include "proxy/session_control.hpp"

#include <catch2/catch.hpp>

#include "proxy/http1.hpp"

using namespace rotagate::proxy;
using End = SessionCommand::End;

namespace {

/// The command with its text kept alive.
struct Read {
    explicit Read(const std::string& fields) : text("HTTP/1.1 200 OK\r\n" + fields + "\r\n") {
        REQUIRE_FALSE(http1::parse_response_head(text, false, head));
        command = session_command(head);
    }
    std::string text;
    ResponseHead head;
    std::optional<SessionCommand> command;
};

bool refused(const std::string& fields) { return !Read(fields).command; }

}  // namespace

SCENARIO("an app starts a session", "[session_control]") {
    const Read read(
        "x-session-user: alice\r\nX-Session-Org: acme\r\nX-Session-Permanent: true\r\nX-Session-Data: "
        "{\"cart\":3}\r\n");
    REQUIRE(read.command);
    CHECK(read.command->user == "alice");
    CHECK(read.command->org == "acme");
    CHECK(read.command->permanent);
    CHECK(read.command->data == "{\"cart\":3}");
    CHECK(read.command->end == End::none);
    CHECK(read.command->any());
    CHECK_FALSE(Read("X-Session-User: alice\r\nX-Session-Permanent: false\r\n").command->permanent);
}

SCENARIO("an app ends a session, or all of a user's", "[session_control]") {
    CHECK(Read("X-Session-End: session\r\n").command->end == End::session);
    CHECK(Read("X-Session-End: user\r\n").command->end == End::user);
    CHECK(Read("X-Session-User:\r\n").command->end == End::session);
    CHECK_FALSE(Read("X-Session-User:\r\n").command->user);
    CHECK(Read("X-Session-User:\r\nX-Session-End: user\r\n").command->end == End::user);
}

SCENARIO("an answer without control fields asks for nothing", "[session_control]") {
    CHECK_FALSE(Read("X-Session-Org: acme\r\nX-Session-Permanent: true\r\n").command->any());
    CHECK_FALSE(Read("X-Session-Permanent: yes\r\n").command->any());
    CHECK(Read("X-Session-Org: acme\r\nX-Session-Permanent: true\r\nX-Session-End: user\r\n").command->end ==
          End::user);
    CHECK(Read("X-Session-User:\r\nX-Session-Org: acme\r\n").command->end == End::session);
    CHECK_FALSE(Read("X-Session-Colour: blue\r\nX_Session_User: alice\r\nX-User-Id: alice\r\n").command->any());
}

SCENARIO("an app that contradicts itself, or writes nonsense, is refused", "[session_control]") {
    CHECK(refused("X-Session-User: alice\r\nX-Session-User: bob\r\n"));
    CHECK(refused("X-Session-User: alice\r\nX-Session-User: alice\r\n"));
    CHECK(refused("X-Session-User: alice\r\nX-Session-End: session\r\n"));
    CHECK(refused("X-Session-End: everything\r\n"));
    CHECK(refused("X-Session-End:\r\n"));
    CHECK(refused("X-Session-User: alice\r\nX-Session-Permanent: yes\r\n"));
    CHECK(refused("X-Session-Data:\r\n"));
    CHECK(refused("X-Session-Data: [1]\r\n"));
    CHECK(refused("X-Session-Data: {\r\n"));
    CHECK(refused("X-Session-User: " + std::string(257, 'a') + "\r\n"));
    CHECK(refused("X-Session-User: \xff\r\n"));
    CHECK(refused("X-Session-User: a\tb\r\n"));
}
