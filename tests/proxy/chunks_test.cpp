#include <string>

#include <catch2/catch.hpp>

#include "proxy/http1.hpp"

using rotagate::proxy::http1::ChunkReader;

namespace {

struct Body {
    std::string data, rest;
    bool end = false, bad = false;
};

/// Feeds the text in pieces of `step` bytes.
Body read(const std::string& text, std::size_t step, ChunkReader::From from = ChunkReader::From::client) {
    ChunkReader reader(from);
    Body body;
    std::string pending;
    for (std::size_t at = 0; at < text.size(); at += step) {
        pending += text.substr(at, step);
        while (!body.end && !body.bad) {
            const auto piece = reader.next(pending);
            body.data += piece.data;
            body.end = piece.end;
            body.bad = piece.bad;
            pending.erase(0, piece.consumed);
            if (piece.consumed == 0) break;
        }
    }
    body.rest = pending;
    return body;
}
Body read(const std::string& text) { return read(text, text.size()); }

}  // namespace

SCENARIO("padded sizes are taken of apps, not of clients", "[chunks]") {
    for (const std::string text : {"2  \r\nab\r\n0   \r\n\r\n", "2 ;a=b\r\nab\r\n0\t;c\r\n\r\n"}) {
        for (const std::size_t step : {std::size_t{1}, text.size()}) {
            const Body body = read(text, step, ChunkReader::From::app);
            CHECK((body.end && body.data == "ab"));
            CHECK(read(text, step).bad);
        }
    }
    std::string many;  // each is padded; what one may have is not what all of them have
    for (int i = 0; i < 5'000; ++i) many += "1  \r\na\r\n";
    CHECK(read(many + "0 \r\n\r\n", many.size(), ChunkReader::From::app).data == std::string(5'000, 'a'));
    const std::string endless = "2" + std::string(5'000, ' ');
    for (const std::string& text : {std::string(" 2\r\nab\r\n"), std::string("2 2\r\nab\r\n"), endless})
        CHECK(read(text, 1, ChunkReader::From::app).bad);
}

SCENARIO("a chunked body is read however it arrives", "[chunks]") {
    const std::string text =
        "5\r\nhello\r\n00a;ext=\"1\"\r\n, big worl\r\n1\r\nd\r\n0;x\r\nX-Trailer: y\r\nB:\r\n\r\nnext";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        const Body body = read(text, step);
        CAPTURE(step);
        REQUIRE(body.end);
        REQUIRE(body.data == "hello, big world");
        REQUIRE(body.rest == "next");
    }
}

SCENARIO("nothing but the grammar of chunks is accepted", "[chunks][smuggling]") {
    const std::string long_extension(70000, 'a');
    for (const std::string& text : {std::string("0x5\r\nhello\r\n"),
                                    std::string("+5\r\nhello\r\n"),
                                    std::string(" 5\r\nhello\r\n"),
                                    std::string("5 \r\nhello\r\n"),
                                    std::string("5 ;a\r\nhello\r\n"),
                                    std::string("5_0\r\n"),
                                    std::string("-1\r\n"),
                                    std::string("FFFFFFFFFFFFFFFFF\r\n"),
                                    std::string("5\nhello\r\n"),
                                    std::string("5\rhello\r\n"),
                                    std::string("5;a\nb\r\nhello\r\n"),
                                    std::string("5;a\0\r\n", 6),
                                    "5;" + long_extension + "\r\n",
                                    std::string("5\r\nhelloX\r\n"),
                                    std::string("5\r\nhello\n0\r\n\r\n"),
                                    std::string("\r\n"),
                                    std::string(";a\r\n"),
                                    std::string("0\r\n\n"),
                                    std::string("0\r\n folded\r\n\r\n"),
                                    std::string("0\r\nno colon\r\n\r\n"),
                                    std::string("0\r\nX: a\nb\r\n\r\n"),
                                    std::string("0\r\nX: a\r\rb\r\n\r\n"),
                                    std::string("0\r\n: a\r\n\r\n"),
                                    "0\r\nX: " + long_extension + "\r\n\r\n"}) {
        CAPTURE(text.substr(0, 40));
        CHECK(read(text).bad);
    }
}

SCENARIO("extensions cannot outweigh the body", "[chunks]") {
    std::string text;
    for (int i = 0; i < 30; ++i) text += "1;" + std::string(4000, 'e') + "\r\nx\r\n";
    CHECK(read(text).bad);
}

SCENARIO("a body without its last bytes has not ended", "[chunks]") {
    for (const char* text :
         {"", "5", "5\r\nhell", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\n\r", "0\r\nX: y\r\n"}) {
        const Body body = read(text, 1);
        CHECK_FALSE(body.end);
        CHECK_FALSE(body.bad);
    }
}

SCENARIO("nothing is read beyond a body's end or a mistake", "[chunks]") {
    ChunkReader ended(ChunkReader::From::client), broken(ChunkReader::From::client);
    CHECK(ended.next("0\r\n\r\n").end);
    CHECK(ended.next("5\r\n").end);
    CHECK(ended.next("5\r\n").consumed == 0);
    CHECK(broken.next("x").bad);
    CHECK(broken.next("0\r\n\r\n").bad);
}

SCENARIO("chunks are written as they are read", "[chunks]") {
    std::string text;
    rotagate::proxy::http1::write_chunk(text, "");
    CHECK(text.empty());
    rotagate::proxy::http1::write_chunk(text, std::string(300, 'a'));
    CHECK(text.substr(0, 5) == "12c\r\n");
    text += rotagate::proxy::http1::last_chunk;
    CHECK(read(text).data == std::string(300, 'a'));
    CHECK(read(text).end);
}
