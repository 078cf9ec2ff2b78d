#pragma once

#include <array>
#include <string_view>

#include "proxy/http1.hpp"
#include "proxy/stream.hpp"

namespace rotagate::proxy {

/// Bytes of a body, in order.
struct BodyPiece {
    std::string_view data;  ///< valid until the next piece is asked for
    bool end = false;       ///< nothing follows
    error_code error;       ///< the body cannot be completed; bad_message: its chunks are malformed
};

/// Reads one HTTP/1 body from a stream, whatever its framing. What follows the body stays in the stream's input.
class BodyReader : public pool::Pooled {
public:
    BodyReader(Stream& stream, Framing framing, std::uint64_t content_length, http1::ChunkReader::From from);
    /// What has arrived; no data and no end: nothing yet.
    BodyPiece take();
    /// Waits for at least one byte, the end or an error.
    Task<BodyPiece> next();
    bool ended() const { return ended_; }

private:
    BodyPiece take_chunks();

    Stream& stream_;
    Framing framing_;
    std::uint64_t left_;
    bool ended_;
    http1::ChunkReader chunks_;
};

/// The line that leads a chunk of that size, CRLF included.
using ChunkSizeLine = std::array<char, 20>;
std::string_view chunk_size_line(std::size_t size, ChunkSizeLine& room);

}  // namespace rotagate::proxy
