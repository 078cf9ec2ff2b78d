#include "proxy/grammar.hpp"
#include "proxy/http1_fields.hpp"

namespace rotagate::proxy::http1 {
namespace {

HeadError bad(std::string_view reason) { return {502, reason}; }

/// "HTTP/1.1 200 OK"; the reason and the space before it may be missing, as some apps have it.
std::optional<HeadError> read_status_line(std::string_view line, ResponseHead& head) {
    if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' ')) {
        return bad("bad_status_line");
    }
    if (line[7] != '0' && line[7] != '1') return bad("bad_version");
    head.minor_version = static_cast<unsigned>(line[7] - '0');
    for (std::size_t at = 9; at < 12; ++at) {
        if (!grammar::is_digit(static_cast<unsigned char>(line[at]))) return bad("bad_status");
        head.status = head.status * 10 + static_cast<unsigned>(line[at] - '0');
    }
    if (head.status < 100 || head.status > 599) return bad("bad_status");
    if (line.size() > 13) head.reason = line.substr(13);
    if (!grammar::is_value(head.reason)) return bad("bad_reason");
    return std::nullopt;
}

std::optional<HeadError> check_transfer_encoding(const Special& special, const ResponseHead& head) {
    const Single& coding = special.transfer_encoding;
    if (coding.count == 0) return std::nullopt;
    if (coding.count > 1) return bad("repeated_transfer_encoding");
    if (special.content_length.count > 0) return bad("length_and_transfer_encoding");
    if (head.minor_version == 0) return bad("transfer_encoding_in_http_1_0");
    if (read_coding(coding.value) != Coding::chunked) return bad("bad_transfer_encoding");
    return std::nullopt;
}

std::optional<HeadError> read_framing(const Special& special, bool to_head, ResponseHead& head) {
    if (const auto error = check_transfer_encoding(special, head)) return error;
    const bool has_length = special.content_length.count > 0;
    if (special.content_length.count > 1) return bad("repeated_content_length");
    if (has_length) {
        std::string_view digits = special.content_length.value;
        while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);  // "0042", which is but one number
        const auto length = read_length(digits);
        if (!length) return bad("bad_content_length");
        head.content_length = *length;
    }
    const bool chunked = special.transfer_encoding.count > 0;
    if (head.status < 200 || head.status == 204) {
        // Announcing a body where none may be: whatever follows on this connection is not to be trusted.
        if (chunked || head.content_length > 0) head.keep_alive = false;
    } else if (to_head || head.status == 304) {
        return std::nullopt;
    } else {
        head.framing = chunked ? Framing::chunked : has_length ? Framing::length : Framing::until_close;
        if (head.framing == Framing::until_close) head.keep_alive = false;
    }
    return std::nullopt;
}

}  // namespace

std::optional<HeadError> parse_response_head(std::string_view text, bool to_head, ResponseHead& head) {
    head.status = 0;
    head.reason = {};
    head.fields.clear();
    head.framing = Framing::none;
    head.content_length = 0;
    if (const auto error = read_status_line(take_line(text), head)) return error;
    Special special;
    if (const auto error = read_fields(text, Sender::app, head.fields, special)) return bad(error->reason);
    head.keep_alive = stays_open(special, head.minor_version);
    return read_framing(special, to_head, head);
}

}  // namespace rotagate::proxy::http1
