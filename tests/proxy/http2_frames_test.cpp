#include "proxy/http2_frames.hpp"

#include <string>

#include <catch2/catch.hpp>

using rotagate::proxy::http2::FrameHeads;

namespace {

std::string http2_frame(unsigned char type, unsigned char stream, std::size_t size) {
    std::string bytes{
        '\0', static_cast<char>(size >> 8U), static_cast<char>(size), static_cast<char>(type), '\1', '\x80', '\0',
        '\0', static_cast<char>(stream)};
    return bytes + std::string(size, '\1');
}

/// What is seen of the bytes when they come in pieces of that size: "TYPE:STREAM ".
std::string seen(const std::string& bytes, std::size_t piece) {
    FrameHeads heads;
    std::string text;
    for (std::size_t from = 0; from < bytes.size(); from += piece) {
        const std::string part = bytes.substr(from, piece);
        std::size_t at = 0;
        while (const auto head = heads.next(part, at))
            text += std::to_string(head->type) + ":" + std::to_string(head->stream) + " ";
        CHECK(at == part.size());
    }
    return text;
}

}  // namespace

SCENARIO("frames are found wherever their bytes are cut", "[http2]") {
    const std::string bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2_frame(4, 0, 0) + http2_frame(1, 1, 300) +
                              http2_frame(0, 1, 0) + http2_frame(0, 1, 9) + http2_frame(3, 1, 4);
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) CHECK(seen(bytes, piece) == "4:0 1:1 0:1 0:1 3:1 ");
}

SCENARIO("where a frame's head ends is told", "[http2]") {
    const std::string bytes = std::string(24, 'x') + http2_frame(0, 5, 2) + "more";
    FrameHeads heads;
    std::size_t at = 0;
    const auto head = heads.next(bytes, at);
    REQUIRE(head);
    CHECK(at == 33);
    CHECK_FALSE(heads.next(bytes, at));
}
