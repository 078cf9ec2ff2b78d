#include "proxy/authority.hpp"
#include "proxy/grammar.hpp"
#include "proxy/http1_fields.hpp"

namespace rotagate::proxy::http1 {
namespace {

std::optional<HeadError> read_version(std::string_view text, unsigned& minor_version) {
    if (text == "HTTP/1.1" || text == "HTTP/1.0") {
        minor_version = static_cast<unsigned>(text.back() - '0');
        return std::nullopt;
    }
    const auto digit = [&](std::size_t at) { return grammar::is_digit(static_cast<unsigned char>(text[at])); };
    const bool well_formed = text.size() == 8 && text.starts_with("HTTP/") && digit(5) && text[6] == '.' && digit(7);
    return well_formed ? HeadError{505, "version_not_supported"} : HeadError{400, "bad_version"};
}

std::optional<HeadError> read_request_line(std::string_view line, RequestHead& head) {
    const auto method_end = line.find(' ');
    if (method_end == std::string_view::npos) return HeadError{400, "bad_request_line"};
    head.method = line.substr(0, method_end);
    line.remove_prefix(method_end + 1);
    const auto target_end = line.find(' ');
    if (target_end == std::string_view::npos) return HeadError{400, "bad_request_line"};
    head.target = line.substr(0, target_end);
    if (!grammar::is_method(head.method)) return HeadError{400, "bad_method"};
    if (!grammar::is_target(head.target)) return HeadError{400, "bad_target"};
    return read_version(line.substr(target_end + 1), head.minor_version);
}

/// Reduces absolute-form to origin-form or "*", and keeps its authority.
std::optional<HeadError> read_absolute_form(RequestHead& head) {
    const auto scheme_end = head.target.find("://");
    const auto scheme = head.target.substr(0, scheme_end);
    if (scheme_end == std::string_view::npos || !(same_name(scheme, "http") || same_name(scheme, "https"))) {
        return HeadError{400, "bad_target"};
    }
    const auto rest = head.target.substr(scheme_end + 3);
    const auto path = rest.find_first_of("/?#");
    head.authority = rest.substr(0, path);
    if (path == std::string_view::npos) {
        head.target = head.method == "OPTIONS" ? "*" : "/";  // RFC 9112 section 3.2.4
        return std::nullopt;
    }
    if (rest[path] != '/') return HeadError{400, "bad_target"};
    head.target = rest.substr(path);
    return std::nullopt;
}

/// Finds out whom the request is for (RFC 9112 section 3.2; SECURITY.md S14, S15).
std::optional<HeadError> read_host(const Special& special, RequestHead& head) {
    if (special.host.count > 1) return HeadError{400, "repeated_host"};
    if (special.host.count == 0 && head.minor_version >= 1) return HeadError{400, "missing_host"};
    if (head.target == "*") {
        if (head.method != "OPTIONS") return HeadError{400, "bad_target"};
    } else if (head.target[0] != '/') {
        if (const auto error = read_absolute_form(head)) return error;
        if (special.host.count == 1 && !same_name(head.authority, special.host.value)) {
            return HeadError{400, "host_mismatch"};
        }
    }
    if (special.host.count == 1) head.authority = special.host.value;
    if (special.host.count == 0 && head.authority.empty()) return std::nullopt;  // HTTP/1.0
    if (!read_authority(head.authority, head.host)) return HeadError{400, "bad_host"};
    return std::nullopt;
}

/// Finds out how the body ends (RFC 9112 section 6.3), refusing whatever two readers could take differently.
std::optional<HeadError> read_framing(const Special& special, RequestHead& head) {
    const Single& coding = special.transfer_encoding;
    if (coding.count > 0) {
        if (coding.count > 1) return HeadError{400, "repeated_transfer_encoding"};
        if (special.content_length.count > 0) return HeadError{400, "length_and_transfer_encoding"};
        if (head.minor_version == 0) return HeadError{400, "transfer_encoding_in_http_1_0"};
        switch (read_coding(coding.value)) {
            case Coding::chunked:
                head.framing = Framing::chunked;
                return std::nullopt;
            case Coding::unknown:
                return HeadError{501, "unknown_transfer_coding"};
            case Coding::malformed:
                return HeadError{400, "bad_transfer_encoding"};
        }
    }
    if (special.content_length.count == 0) return std::nullopt;
    if (special.content_length.count > 1) return HeadError{400, "repeated_content_length"};
    const auto length = read_length(special.content_length.value);
    if (!length) return HeadError{400, "bad_content_length"};
    head.framing = Framing::length;
    head.content_length = *length;
    return std::nullopt;
}

std::optional<HeadError> read_expect(const Special& special, RequestHead& head) {
    if (special.expect.count == 0 || head.minor_version == 0) return std::nullopt;
    if (special.expect.count > 1 || !same_name(special.expect.value, "100-continue")) {
        return HeadError{417, "unknown_expectation"};
    }
    const bool has_body = head.framing == Framing::chunked || head.content_length > 0;
    head.expect_continue = has_body;  // without a body there is nothing to wait for (RFC 9110 section 10.1.1)
    return std::nullopt;
}

/// Whether it offers a WebSocket as RFC 6455 section 4.1 has it: in a GET without a body. All other offers of an
/// upgrade are left alone, as RFC 9110 section 7.8 allows: the request is served as if it made none.
void read_upgrade(const Special& special, RequestHead& head) {
    if (!special.offers_upgrade || !special.upgrade || head.minor_version == 0 || head.method != "GET") return;
    if (head.framing == Framing::chunked || head.content_length > 0) return;
    for (const Field& field : head.fields) {
        if (field.known != Known::upgrade) continue;
        const auto is_other = [](std::string_view protocol) { return !same_name(protocol, "websocket"); };
        if (grammar::each_item(field.value, ',', is_other)) continue;
        head.websocket = WebSocket::upgrade;
        head.framing = Framing::none;  // also where it says that the length is 0
    }
}

void reset(RequestHead& head) {
    head.method = head.target = head.authority = {};
    head.host.clear();
    head.minor_version = 1;
    head.fields.clear();
    head.framing = Framing::none;
    head.content_length = 0;
    head.keep_alive = true;
    head.expect_continue = false;
    head.websocket = WebSocket::none;
}

}  // namespace

std::optional<HeadError> parse_request_head(std::string_view text, RequestHead& head) {
    reset(head);
    if (text.starts_with("\r\n")) text.remove_prefix(2);
    if (const auto error = read_request_line(take_line(text), head)) return error;
    Special special;
    if (const auto error = read_fields(text, Sender::client, head.fields, special)) return error;
    if (head.method == "CONNECT" || head.method == "TRACE") return HeadError{405, "method_not_allowed"};
    if (const auto error = read_host(special, head)) return error;
    if (const auto error = read_framing(special, head)) return error;
    if (const auto error = read_expect(special, head)) return error;
    read_upgrade(special, head);
    head.keep_alive = stays_open(special, head.minor_version);
    return std::nullopt;
}

}  // namespace rotagate::proxy::http1
