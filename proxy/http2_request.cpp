#include "proxy/http2_request.hpp"

#include "proxy/authority.hpp"
#include "proxy/grammar.hpp"
#include "proxy/http1_fields.hpp"

namespace rotagate::proxy::http2 {
namespace {

using http1::HeadError;

}  // namespace

void RequestReader::add(std::string_view name, std::string_view value) {
    size_ += name.size() + value.size();
    if (name != "cookie") ++count_;  // which may come in any number of crumbs
    if (!error_ && (size_ > limit_ || count_ > most_fields)) error_ = HeadError{431, "header_too_large"};
    if (error_) return;
    if (name.starts_with(':')) return add_pseudo(name, value);
    if (!grammar::is_token(name) || !grammar::is_value(value) || grammar::trimmed(value).size() != value.size()) {
        error_ = HeadError{400, "bad_field"};
        return;
    }
    if (name == "cookie") return add_crumb(value);
    const Field field{arena_.keep(name), arena_.keep(value), classify(name)};
    const auto once = [&](std::optional<std::string_view>& seen, std::string_view reason) {
        if (seen) error_ = HeadError{400, reason};
        seen = field.value;
    };
    if (field.known == Known::content_length) once(length_, "repeated_content_length");
    if (field.known == Known::expect) once(expect_, "unknown_expectation");
    if (field.known == Known::host) {
        if (!host_field_.empty()) error_ = HeadError{400, "repeated_host"};
        host_field_ = field.value;
    }
    head_.fields.push_back(field);
}

/// Crumbs are one field (RFC 9113 section 8.2.3). Put together at once, a lot of small ones take no more than they say.
void RequestReader::add_crumb(std::string_view value) {
    if (!cookie_) {
        cookie_ = arena_.keep(value);
        return;
    }
    if (crumbs_.empty()) crumbs_ = *cookie_;
    crumbs_.append("; ").append(value);
}

bool RequestReader::add_trailer(std::string_view name, std::string_view value, std::vector<Field>& trailers) {
    size_ += name.size() + value.size();
    if (size_ > limit_ || ++count_ > most_fields || !grammar::is_token(name) || !grammar::is_value(value)) return false;
    trailers.push_back({arena_.keep(name), arena_.keep(value), classify(name)});
    return true;
}

void RequestReader::add_pseudo(std::string_view name, std::string_view value) {
    if (name == ":method") head_.method = arena_.keep(value);
    if (name == ":path") head_.target = arena_.keep(value);
    if (name == ":authority") head_.authority = arena_.keep(value);
    if (name == ":scheme") scheme_ = arena_.keep(value);
    if (name == ":protocol") protocol_ = arena_.keep(value);
}

std::optional<HeadError> RequestReader::finish(bool secure, bool has_body) {
    if (error_) return error_;
    if (cookie_) {
        const std::string_view cookie = crumbs_.empty() ? *cookie_ : arena_.keep(crumbs_);
        head_.fields.push_back({"cookie", cookie, Known::cookie});
    }
    if (auto error = read_protocol(has_body)) return error;
    if (auto error = read_target(secure)) return error;
    if (auto error = read_host()) return error;
    if (head_.websocket != WebSocket::none) return std::nullopt;
    return read_body(has_body);
}

/// CONNECT with a protocol asks for a tunnel, of which WebSocket is the only one here (RFC 8441 section 4).
std::optional<HeadError> RequestReader::read_protocol(bool has_body) {
    if (protocol_.empty() || head_.method != "CONNECT") return std::nullopt;
    if (!same_name(protocol_, "websocket")) return HeadError{501, "unknown_protocol"};
    if (!has_body || length_) return HeadError{400, "bad_websocket"};  // it has no way in, or is a body
    head_.method = "GET";
    head_.websocket = WebSocket::extended_connect;
    return std::nullopt;
}

std::optional<HeadError> RequestReader::read_target(bool secure) {
    if (!grammar::is_method(head_.method)) return HeadError{400, "bad_method"};
    if (head_.method == "CONNECT" || head_.method == "TRACE") return HeadError{405, "method_not_allowed"};
    if (!same_name(scheme_, secure ? "https" : "http")) return HeadError{400, "bad_scheme"};
    if (!grammar::is_target(head_.target)) return HeadError{400, "bad_target"};
    const bool asterisk = head_.target == "*" && head_.method == "OPTIONS";
    if (head_.target.front() != '/' && !asterisk) return HeadError{400, "bad_target"};
    return std::nullopt;
}

std::optional<HeadError> RequestReader::read_host() {
    if (head_.authority.empty() && host_field_.empty()) return HeadError{400, "missing_host"};
    const bool both = !head_.authority.empty() && !host_field_.empty();
    if (both && !same_name(head_.authority, host_field_)) return HeadError{400, "host_mismatch"};
    if (head_.authority.empty()) head_.authority = host_field_;
    if (!read_authority(head_.authority, head_.host)) return HeadError{400, "bad_host"};
    return std::nullopt;
}

std::optional<HeadError> RequestReader::read_body(bool has_body) {
    if (length_) {
        const auto length = http1::read_length(*length_);
        if (!length) return HeadError{400, "bad_content_length"};
        head_.content_length = *length;
    }
    if (has_body) head_.framing = length_ ? Framing::length : Framing::chunked;
    if (!expect_) return std::nullopt;
    if (!same_name(*expect_, "100-continue")) return HeadError{417, "unknown_expectation"};
    head_.expect_continue = has_body && !(length_ && head_.content_length == 0);  // as over HTTP/1
    return std::nullopt;
}

}  // namespace rotagate::proxy::http2
