#include "config/units.hpp"

#include <catch2/catch.hpp>

#include "config/address.hpp"

using namespace rotagate::config;

namespace {

template <class T>
T value(const Parsed<T>& parsed) {
    const auto* refusal = std::get_if<Refusal>(&parsed);
    INFO(std::string(refusal ? refusal->why : ""));
    REQUIRE_FALSE(refusal);
    return std::get<0>(parsed);
}

template <class T>
std::string refusal(const Parsed<T>& parsed) {
    const auto* refused = std::get_if<Refusal>(&parsed);
    return refused ? refused->why : "taken";
}

}  // namespace

SCENARIO("durations take ms, s, m, h and d", "[units]") {
    const DurationForm any = between(0ms, ten_years);
    CHECK(value(any("250ms")) == 250ms);
    CHECK(value(any("30s")) == 30s);
    CHECK(value(any("60m")) == 1h);
    CHECK(value(any("12h")) == 12h);
    CHECK(value(any("31d")) == 31 * 24h);
    CHECK(value(zero_or(at_least(1s))("0")) == 0s);
    CHECK(value(zero_or(at_least(1s))("0s")) == 0s);
}

SCENARIO("what is not a duration is refused with the range and the cure", "[units]") {
    for (const char* text : {"soon", "", "s", "-5s", "1.5h", "10 s", "5S", "5sec", "1h30m", "0x5s", "+5s",
                             "99999999999999999999s", "18446744073709551615d"})
        CHECK(refusal(between(1s, 60s)(text)) == "is not a duration; write 30s, 15m or 12h (1s to 1m)");
    CHECK(refusal(between(1s, 60s)("5")) == "has no unit; write ms, s, m, h or d behind it (1s to 1m)");
    CHECK(refusal(between(1s, 60s)("999ms")) == "is too short; write 1s to 1m");
    CHECK(refusal(between(1s, 60s)("2h")) == "is too long; write 1s to 1m");
    CHECK(refusal(at_least(1s)("0s")) == "is too short; write at least 1s");
    CHECK(refusal(at_least(1s)("9999d")) == "is too long; write 1s to 3650d");
    CHECK(refusal(zero_or(at_least(1s))("5ms")) == "is too short; write 0, or at least 1s");
}

SCENARIO("sizes take KiB, MiB, GiB or plain bytes", "[units]") {
    const SizeForm form = bytes(1 * KiB, 1 * GiB);
    CHECK(value(form("1024")) == 1024);
    CHECK(value(form("32KiB")) == 32768);
    CHECK(value(form("1MiB")) == 1048576);
    CHECK(value(form("1GiB")) == 1073741824);
    CHECK(value(zero_or(form)("0")) == 0);
    for (const char* text : {"", "big", "32KB", "32k", "32 KiB", "-1", "99999999999GiB"})
        CHECK(refusal(form(text)) == "is not a size; write 32KiB, 1MiB or a number of bytes (1KiB to 1GiB)");
    CHECK(refusal(form("0")) == "is too small; write 1KiB to 1GiB");
    CHECK(refusal(form("2GiB")) == "is too large; write 1KiB to 1GiB");
}

SCENARIO("counts are whole numbers within a range", "[units]") {
    CHECK(value(count(0, 1024)("1024")) == 1024);
    CHECK(refusal(count(0, 1024)("1025")) == "is out of range; write 0 to 1024");
    for (const char* text : {"", "many", "-1", "1.0", "0x10", "1e3", "18446744073709551616"})
        CHECK(refusal(count(0, 1024)(text)) == "is not a whole number; write 0 to 1024");
}

SCENARIO("a choice names its words and guesses which was meant", "[units]") {
    const auto form = one_of<int>({{"lax", 1}, {"strict", 2}, {"none", 3}});
    CHECK(value(form("strict")) == 2);
    CHECK(refusal(form("Strict")) == "is not one of lax, strict or none; did you mean strict?");
    CHECK(refusal(form("whatever")) == "is not one of lax, strict or none");
}

SCENARIO("addresses are host:port, [v6]:port or unix:/path, and come back as written", "[units]") {
    for (const char* text : {"127.0.0.1:80", "[::1]:8443", "app.internal:65535", "unix:/run/app.sock", "a_b:1"})
        CHECK(value(server_address(text)).text() == text);
    CHECK(value(listen_address("localhost:0")).text() == "127.0.0.1:0");
    CHECK(value(admin_address("unix:/run/admin.sock")).is_unix());
    CHECK(is_local(value(admin_address("127.8.8.8:1"))));
    CHECK(is_local(value(admin_address("[::1]:1"))));
    CHECK_FALSE(is_local(value(admin_address("0.0.0.0:1"))));
    CHECK_FALSE(is_local(value(admin_address("[::]:1"))));
}

SCENARIO("what is no address is refused", "[units]") {
    for (const char* text :
         {"", "host", ":80", "host:", "host:0", "host:65536", "host:80x", "::1:80", "[::1]", "[host]:80",
          "127.0.0.256:80", "a b:80", "user@host:80", "http://host:80", "-a:80", "a..b:80"})
        CHECK(refusal(server_address(text)) ==
              "is not a server's address; write host:port, [v6]:port or unix:/path (ports 1 to 65535)");
    CHECK(refusal(server_address("unix:app.sock")) == "is not the path of a unix socket; write unix:/run/app.sock");
    CHECK(refusal(server_address("unix:/" + std::string(107, 'a'))) ==
          "is too long for a unix socket; write a path of at most 107 bytes");
    for (const char* text : {"*:80", ":80", "example.org:80", "8443", "unix:/run/x.sock"})
        CHECK(refusal(listen_address(text)) ==
              "is not an address to listen on; write 0.0.0.0:8443, [::]:8443 or 127.0.0.1:8443 (ports 0 to 65535)");
}

SCENARIO("networks are ranges or single addresses", "[units]") {
    CHECK(value(network("10.0.0.0/8")) == Network{"10.0.0.0", 8});
    CHECK(value(network("192.0.2.1")) == Network{"192.0.2.1", 32});
    CHECK(value(network("fd00::/8")) == Network{"fd00::", 8});
    CHECK(value(network("::1")) == Network{"::1", 128});
    CHECK(value(network("0.0.0.0/0")) == Network{"0.0.0.0", 0});
    CHECK(refusal(network("10.0.0/8")) == "is not a network; write 10.0.0.0/8, fd00::/8 or a single IP address");
    CHECK(refusal(network("10.0.0.0/33")) == "has no valid prefix length; write /0 to /32");
    CHECK(refusal(network("10.0.0.0/")) == "has no valid prefix length; write /0 to /32");
    CHECK(refusal(network("10.0.0.1/8")) == "has bits beyond its prefix of 8; write the network's first address");
}
