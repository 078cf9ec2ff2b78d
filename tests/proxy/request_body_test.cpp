#include "proxy/request_body.hpp"

#include <catch2/catch.hpp>

using namespace rotagate::proxy;

namespace {

/// What one call takes; "|" behind it: the end.
std::string take(RequestBody& body, std::size_t most) {
    std::string room(most, '-');
    bool end = false;
    room.resize(body.read(room, end));
    return end ? room + "|" : room;
}

}  // namespace

SCENARIO("a body is taken as it comes, up to its end", "[http2]") {
    RequestBody body;
    CHECK(take(body, 10).empty());
    body.append("hello", false);
    CHECK(take(body, 3) == "hel");
    CHECK(take(body, 3) == "lo");
    CHECK(take(body, 3).empty());
    body.append("", true);
    CHECK(take(body, 3) == "|");
    CHECK(body.ended());
}

SCENARIO("a body can be sent again from its start while that is kept", "[http2]") {
    RequestBody body;
    body.append("hello", true);
    CHECK(take(body, 10) == "hello|");
    REQUIRE(body.rewind());
    CHECK(take(body, 10) == "hello|");
    GIVEN("an answer") {
        body.settle();
        CHECK_FALSE(body.rewind());
    }
}

SCENARIO("no more of a body is kept than an app may be behind", "[http2]") {
    RequestBody body;
    const std::string piece(RequestBody::most_waiting, 'x');
    body.append(piece.substr(1), false);
    CHECK(body.has_room());
    body.append("x", false);
    CHECK_FALSE(body.has_room());
    CHECK(take(body, piece.size()) == piece);
    CHECK(body.has_room());
    CHECK_FALSE(body.rewind());
    body.append("end", true);
    CHECK(take(body, 10) == "end|");
}
