#include "proxy/proxy_protocol.hpp"

#include <tuple>

#include <catch2/catch.hpp>

using rotagate::proxy::ProxyHeader;
using State = ProxyHeader::State;

namespace {

const std::string signature("\r\n\r\n\0\r\nQUIT\n", 12);
const std::string ipv4("\xc0\x00\x02\x01\x0a\x00\x00\x01\x30\x39\x01\xbb", 12);  // 192.0.2.1:12345 -> 10.0.0.1:443

/// A header of version 2. @param length  of what follows; by default as it is
std::string binary(char command, char family, const std::string& rest, int length = -1) {
    if (length < 0) length = static_cast<int>(rest.size());
    return signature + command + family + static_cast<char>(length >> 8) + static_cast<char>(length & 255) + rest;
}

std::string ipv6(const std::string& client) { return client + std::string(16, '\1') + std::string("\x30\x39\x01\xbb"); }

/// Reads it as a whole and byte by byte, with more behind it, which must stay.
ProxyHeader header_of(const std::string& header) {
    ProxyHeader whole, pieces;
    const std::size_t taken = whole.take(header + "GET / HTTP/1.1\r\n");
    for (const char byte : header)
        if (pieces.state() == State::incomplete) CHECK(pieces.take({&byte, 1}) == 1);
    if (whole.state() == State::complete) CHECK(taken == header.size());
    CHECK(pieces.state() == whole.state());
    CHECK(pieces.client() == whole.client());
    CHECK(pieces.error() == whole.error());
    return whole;
}

std::string client_in(const std::string& header) {
    const ProxyHeader read_header = header_of(header);
    CHECK(read_header.state() == State::complete);
    return std::string(read_header.client());
}

bool malformed(const std::string& header) {
    const ProxyHeader read_header = header_of(header);
    return read_header.state() == State::malformed && !read_header.error().empty() && read_header.client().empty();
}

}  // namespace

SCENARIO("version 1 of the PROXY protocol tells the client in a line", "[proxy_protocol]") {
    CHECK(client_in("PROXY TCP4 192.0.2.1 10.0.0.1 12345 443\r\n") == "192.0.2.1");
    CHECK(client_in("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n") == "255.255.255.255");
    CHECK(client_in("PROXY TCP6 2001:DB8:0:0::1 ::1 0 1\r\n") == "2001:db8::1");
    CHECK(client_in("PROXY TCP6 ::ffff:192.0.2.1 ::1 12345 443\r\n") == "192.0.2.1");
    CHECK(client_in("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
                    "65535\r\n") == "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    CHECK(client_in("PROXY UNKNOWN\r\n").empty());
    CHECK(client_in("PROXY UNKNOWN ffff::1 whatever it may say\r\n").empty());
    CHECK(client_in("PROXY UNKNOWN " + std::string(ProxyHeader::max_text - 16, 'x') + "\r\n").empty());
}

SCENARIO("a line that is not exactly as version 1 has it is refused", "[proxy_protocol]") {
    const auto line = GENERATE(
        as<std::string>{}, "GET / HTTP/1.1\r\n", "\x16\x03\x01", "proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY\r\n",
        "PROXY \r\n", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY UNKNOWNS\r\n",
        "PROXY TCP4\r\n", "PROXY TCP4 1.2.3.4\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n", "PROXY TCP4 1.2.3.4  1.2.3.4 1 1\r\n",
        "PROXY TCP4 1.2.3.4\t1.2.3.4 1 1\r\n", "PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n",
        "PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n", "PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP4 ::1 ::1 1 1\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP6 fe80::1%lo ::1 1 1\r\n", "PROXY TCP6 [::1] ::1 1 1\r\n",
        "PROXY TCP6 ::1 1.2.3.4 1 1\r\n", "PROXY TCP4 localhost 1.2.3.4 1 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 x\r\n");
    INFO(line);
    CHECK(malformed(line));
}

SCENARIO("a line without end is refused at its 107th byte", "[proxy_protocol]") {
    ProxyHeader header;
    CHECK(header.take("PROXY UNKNOWN " + std::string(1000, 'x')) == ProxyHeader::max_text);
    CHECK(header.state() == State::malformed);
    CHECK(malformed("PROXY UNKNOWN " + std::string(ProxyHeader::max_text - 15, 'x') + "\r\n"));
    CHECK(malformed(std::string("PROXY UNKNOWN \0\n", 16)));
}

SCENARIO("version 2 of the PROXY protocol tells the client in bytes", "[proxy_protocol]") {
    CHECK(client_in(binary(0x21, 0x11, ipv4)) == "192.0.2.1");
    CHECK(client_in(binary(0x21, 0x12, ipv4)) == "192.0.2.1");
    CHECK(client_in(binary(0x21, 0x21, ipv6(std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16)))) ==
          "2001:db8::1");
    CHECK(client_in(binary(0x21, 0x21, ipv6(std::string("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16)))) ==
          "192.0.2.1");
    CHECK(client_in(binary(0x21, 0x31, std::string(216, 'a'))) == "unix");
    SECTION("with additions, which are passed over") {
        CHECK(client_in(binary(0x21, 0x11, ipv4 + std::string("\x04\0\3abc", 6))) == "192.0.2.1");
        CHECK(client_in(binary(0x21, 0x11, ipv4 + std::string(ProxyHeader::max_binary - 28, '\n'))) == "192.0.2.1");
        CHECK(client_in(binary(0x21, 0x31, std::string(300, 'a'))) == "unix");
    }
    SECTION("or that the connection is the proxy's own, or of another kind") {
        CHECK(client_in(binary(0x20, 0x00, "")).empty());
        CHECK(client_in(binary(0x20, 0x11, ipv4)).empty());
        CHECK(client_in(binary(0x20, '\xff', "whatever")).empty());
        CHECK(client_in(binary(0x21, 0x00, "")).empty());
        CHECK(client_in(binary(0x21, 0x00, "more")).empty());
        CHECK(client_in(binary(0x21, 0x10, "")).empty());
        CHECK(client_in(binary(0x21, 0x01, ipv4)).empty());
    }
}

SCENARIO("bytes that are not as version 2 has them are refused", "[proxy_protocol]") {
    CHECK(malformed(binary(0x22, 0x11, ipv4)));
    CHECK(malformed(binary(0x11, 0x11, ipv4)));
    CHECK(malformed(binary(0x31, 0x11, ipv4)));
    CHECK(malformed(binary(0x21, 0x41, ipv4)));
    CHECK(malformed(binary(0x21, 0x13, ipv4)));
    CHECK(malformed(binary(0x21, 0x11, ipv4, 11)));
    CHECK(malformed(binary(0x21, 0x21, ipv4)));
    CHECK(malformed(binary(0x21, 0x31, std::string(215, 'a'))));
    CHECK(malformed(binary(0x21, 0x11, ipv4, ProxyHeader::max_binary - 15)));
    CHECK(malformed(binary(0x20, 0x00, "", 65535)));
    SECTION("a wrong signature at its first wrong byte") {
        for (std::size_t i = 0; i < signature.size(); ++i) {
            std::string wrong = binary(0x21, 0x11, ipv4);
            wrong[i] = '!';
            ProxyHeader header;
            CHECK(header.take(wrong) == i + 1);
            CHECK(header.state() == State::malformed);
        }
    }
}

SCENARIO("a header that has only begun is incomplete", "[proxy_protocol]") {
    for (const std::string& whole :
         {binary(0x21, 0x11, ipv4 + "more"), std::string("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n")}) {
        for (std::size_t size = 0; size < whole.size(); ++size) {
            ProxyHeader header;
            CHECK(header.take(whole.substr(0, size)) == size);
            CHECK(header.state() == State::incomplete);
            CHECK(header.client().empty());
            CHECK(header.take(whole.substr(size)) == whole.size() - size);
            CHECK(header.state() == State::complete);
            CHECK(header.client() == (whole.front() == 'P' ? "1.2.3.4" : "192.0.2.1"));
        }
    }
}
