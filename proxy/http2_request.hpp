#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "proxy/http1.hpp"

/// HTTP/2's way to say what HTTP/1 heads say (RFC 9113 section 8).
namespace rotagate::proxy::http2 {

/// Reads one request's field section, field by field, into a RequestHead.
class RequestReader {
public:
    /// @param arena  keeps the text
    /// @param limit  of all names and values together, bytes
    RequestReader(RequestHead& head, Arena& arena, std::size_t limit) : head_(head), arena_(arena), limit_(limit) {}

    /// Pseudo-header fields are complete, known and ahead of all others, as nghttp2 sees to.
    void add(std::string_view name, std::string_view value);
    /// A field behind the body; what the head left of the limits is theirs. @return false: that was not enough
    bool add_trailer(std::string_view name, std::string_view value, std::vector<Field>& trailers);
    /// Whether so much came in excess of the limit that the rest is not worth reading.
    bool hopeless() const { return size_ > 4 * limit_; }
    /// @param secure    whether the connection is TLS
    /// @param has_body  whether the head does not end the request
    std::optional<http1::HeadError> finish(bool secure, bool has_body);

private:
    void add_pseudo(std::string_view name, std::string_view value);
    void add_crumb(std::string_view value);
    std::optional<http1::HeadError> read_protocol(bool has_body);
    std::optional<http1::HeadError> read_target(bool secure);
    std::optional<http1::HeadError> read_host();
    std::optional<http1::HeadError> read_body(bool has_body);

    RequestHead& head_;
    Arena& arena_;
    std::size_t limit_, size_ = 0, count_ = 0;
    std::string_view scheme_, protocol_, host_field_;
    std::optional<std::string_view> length_, expect_, cookie_;
    std::string crumbs_;  ///< of cookie_, where it has several
    std::optional<http1::HeadError> error_;
};

}  // namespace rotagate::proxy::http2
