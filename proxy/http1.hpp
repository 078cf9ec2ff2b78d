#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/message.hpp"

/// HTTP/1 heads, read strictly (RFC 9112; SECURITY.md section 1). Boost.Beast's parser unfolds obsolete line folding
/// and accepts some of what must be refused here, and tells no 400 from 501; so the grammar is ours, and fuzzed against
/// Beast's.
namespace rotagate::proxy::http1 {

/// Why a head is refused: the status to answer and a stable reason for the log.
struct HeadError {
    unsigned status = 400;
    std::string_view reason;
};

/// Looks for the end of a head in what has arrived so far.
/// @param scanned  in: bytes that were looked at before (0 at first); out: bytes that need not be looked at again
/// @return the head's length including its empty line; 0: more is needed; or an error that shows before the head is
///         complete: a bare LF, a second empty line before it, a first byte that begins no HTTP message. What is wrong
///         within a line (a bare CR, a NUL, ...) is left to the parser.
struct Scan {
    std::size_t length = 0;
    std::optional<HeadError> error;
};
Scan scan_head(std::string_view buffer, std::size_t& scanned);

/// Reads a whole request head. At most one empty line before it is skipped (RFC 9112 section 2.2).
/// CONNECT and TRACE are 405, unknown transfer codings 501, HTTP versions other than 1.0 and 1.1 505, all else that is
/// wrong 400. absolute-form must name the same authority as Host.
std::optional<HeadError> parse_request_head(std::string_view text, RequestHead& head);

/// Reads a whole response head of an app. @param to_head  whether the request was HEAD, which has no body in its answer
std::optional<HeadError> parse_response_head(std::string_view text, bool to_head, ResponseHead& head);

/// Appends "METHOD target HTTP/1.1", the fields and the empty line.
void write_request_head(std::string& out, std::string_view method, std::string_view target, const Fields& fields);
/// Appends the status line with the standard reason phrase (or `reason` where that is not empty), the fields and the
/// empty line.
void write_response_head(std::string& out, unsigned status, std::string_view reason, const Fields& fields);

/// Who wrote a message. Of apps, which perhaps nobody can mend, more is taken than of clients.
enum class Sender { client, app };

/// Reads a chunked body piece by piece. Extensions are dropped (capped at 4 KiB a chunk, 64 KiB a body), trailers are
/// checked, capped at 16 KiB and dropped.
class ChunkReader {
public:
    /// Who frames the body. Sizes that are padded with blanks, which some servers send, are taken of apps only: RFC
    /// 9112 section 7.1.1 lets blanks stand ahead of an extension, but ahead of the gateway nobody needs them.
    using From = Sender;
    explicit ChunkReader(From from) : from_(from) {}

    /// What was found at the front of the input.
    struct Piece {
        std::size_t consumed = 0;  ///< bytes of the input that are done with
        std::string_view data;     ///< body bytes, a view into the input; may be empty
        bool end = false;          ///< the body is complete
        bool bad = false;          ///< not a chunked body: nothing more may be read
    };
    /// Takes the next piece; consumed == 0 and neither end nor bad: more input is needed.
    Piece next(std::string_view input);

private:
    enum class State {
        size,
        padding,
        extension,
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer_start,
        trailer_name,
        trailer_value,
        trailer_lf,
        end_lf,
        done,
        bad,
    };
    State step(char c);
    State size_digit(char c);
    State after_size(char c);
    State extension_byte(char c);
    State trailer_byte(char c);

    From from_;
    State state_ = State::size;
    std::uint64_t left_ = 0;  ///< of the chunk's size, while it is read, and of its data
    unsigned digits_ = 0;
    std::size_t extension_bytes_ = 0, body_extension_bytes_ = 0, trailer_bytes_ = 0;
};

/// Appends one chunk's frame: size line, data, CRLF. Empty data appends nothing.
void write_chunk(std::string& out, std::string_view data);
inline constexpr std::string_view last_chunk = "0\r\n\r\n";

}  // namespace rotagate::proxy::http1
