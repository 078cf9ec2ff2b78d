#include "proxy/body.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace rotagate::proxy {

BodyReader::BodyReader(Stream& stream, Framing framing, std::uint64_t content_length, http1::ChunkReader::From from)
    : stream_(stream),
      framing_(framing),
      left_(content_length),
      ended_(framing == Framing::none || (framing == Framing::length && content_length == 0)),
      chunks_(from) {}

BodyPiece BodyReader::take() {
    if (ended_) return {.data = {}, .end = true, .error = {}};
    if (framing_ == Framing::chunked) return take_chunks();
    std::string_view data = stream_.input();
    if (framing_ == Framing::length) {
        data = data.substr(0, std::min<std::uint64_t>(data.size(), left_));
        left_ -= data.size();
        ended_ = left_ == 0;
    }
    stream_.consume(data.size());
    return {.data = data, .end = ended_, .error = {}};
}

/// Moves the chunks' data together over their frames, in place, so that all that has arrived is one piece.
BodyPiece BodyReader::take_chunks() {
    char* const base = stream_.input_data();
    const std::string_view input = stream_.input();
    std::size_t read = 0, written = 0;
    while (true) {
        const auto piece = chunks_.next(input.substr(read));
        if (piece.bad) return {.data = {}, .end = false, .error = make_error_code(boost::system::errc::bad_message)};
        if (!piece.data.empty()) std::memmove(base + written, piece.data.data(), piece.data.size());
        written += piece.data.size();
        read += piece.consumed;
        ended_ = piece.end;
        if (piece.end || piece.consumed == 0) break;
    }
    stream_.consume(read);
    return {.data = {base, written}, .end = ended_, .error = {}};
}

Task<BodyPiece> BodyReader::next() {
    while (true) {
        const BodyPiece piece = take();
        if (!piece.data.empty() || piece.end || piece.error) co_return piece;
        const error_code ec = co_await stream_.more(stream_.input().size());
        if (!ec) continue;
        if (ec == asio::error::eof && framing_ == Framing::until_close) {
            ended_ = true;
            co_return BodyPiece{.data = {}, .end = true, .error = {}};
        }
        co_return BodyPiece{.data = {}, .end = false, .error = ec};
    }
}

std::string_view chunk_size_line(std::size_t size, ChunkSizeLine& room) {
    char* end = std::to_chars(room.data(), room.data() + room.size() - 2, size, 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    return {room.data(), static_cast<std::size_t>(end - room.data())};
}

}  // namespace rotagate::proxy
