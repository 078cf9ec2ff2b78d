#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proxy/http1.hpp"

/// A chunked body is the same however it arrives, and the same again after it was written anew.
namespace {

using namespace rotagate::proxy::http1;

void require(bool holds) {
    if (!holds) std::abort();
}

struct Body {
    std::string data;
    std::size_t consumed = 0;
    bool end = false, bad = false;

    bool operator==(const Body&) const = default;
};

Body read(std::string_view text, std::size_t step, ChunkReader::From from) {
    ChunkReader reader(from);
    Body body;
    for (std::size_t arrived = 0; arrived < text.size() && !body.end && !body.bad;) {
        arrived = std::min(arrived + step, text.size());
        while (body.consumed < arrived && !body.end && !body.bad) {
            const auto piece = reader.next(text.substr(body.consumed, arrived - body.consumed));
            require(piece.consumed > 0);
            body.consumed += piece.consumed;
            body.data += piece.data;
            body.end = piece.end;
            body.bad = piece.bad;
        }
    }
    return body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Body strict = read(text, size, ChunkReader::From::client);
    require(strict == read(text, 1, ChunkReader::From::client));
    const Body body = read(text, size, ChunkReader::From::app);
    require(body == read(text, 1, ChunkReader::From::app));
    require(body == read(text, 7, ChunkReader::From::app));
    require(strict.bad || strict == body);
    if (!body.end) return 0;
    std::string written;
    write_chunk(written, std::string_view(body.data).substr(0, body.data.size() / 2));
    write_chunk(written, std::string_view(body.data).substr(body.data.size() / 2));
    written += last_chunk;
    const Body again = read(written, written.size(), ChunkReader::From::client);
    require(again.end && again.data == body.data && again.consumed == written.size());
    return 0;
}
