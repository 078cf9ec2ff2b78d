#include "proxy/http2_app_stream.hpp"

#include <charconv>

#include <boost/system/errc.hpp>

#include "proxy/field_rules.hpp"
#include "proxy/forwarding.hpp"
#include "proxy/http1_fields.hpp"
#include "proxy/http2_app_connection.hpp"

namespace rotagate::proxy::http2 {
namespace {

namespace errc = boost::system::errc;

/// As RFC 9113 section 6.5.2 counts it.
std::size_t field_size(std::string_view name, std::string_view value) { return name.size() + value.size() + 32; }

std::size_t section_size(const Fields& fields) {
    std::size_t size = 0;
    for (const Field& field : fields) size += field_size(field.name, field.value);
    return size;
}

}  // namespace

AppStream::AppStream(std::shared_ptr<AppConnection> connection, Answer answer, RequestBody& body)
    : connection_(std::move(connection)), answer_(answer), body_source_(body) {
    answer_.head = {};
}

AppStream::~AppStream() { connection_->leave(*this); }

// ---- the request ----------------------------------------------------------------------------------------------------

void AppStream::send(const Request& request) {
    Fields fields;
    std::string_view authority;
    for (const Field& field : request.fields) {
        if (field.known == Known::host) {
            authority = field.value;
        } else if (!is_hop_by_hop(field.known)) {
            fields.push_back(field);
        }
    }
    if (request.te_trailers) fields.push_back({"te", "trailers", Known::te});
    const FieldSection::Pseudo pseudo{
        {":method", request.method}, {":scheme", "http"}, {":authority", authority}, {":path", request.target}};
    std::size_t size = section_size(fields);
    for (const auto& [name, value] : pseudo) size += field_size(name, value);
    if (!connection_->takes(size)) abort(make_error_code(errc::message_size));
    if (!error_) connection_->open(*this, pseudo, {fields.data(), fields.size()}, request.has_body);
}

void AppStream::set_trailers(Fields trailers) {
    if (!connection_->takes(section_size(trailers))) return abort(make_error_code(errc::message_size));
    request_trailers_ = std::move(trailers);
}

void AppStream::resume_body() { connection_->resume_body(*this); }

void AppStream::abort(error_code reason) {
    if (error_) return;
    error_ = reason;
    body_.clear();
    if (reason == asio::error::timed_out) connection_->doubt();
    connection_->reset(*this);
}

// ---- what the connection hears --------------------------------------------------------------------------------------

void AppStream::refuse() {
    if (!error_) error_ = make_error_code(errc::bad_message);
    body_.clear();
}

void AppStream::on_field(std::string_view name, std::string_view value) {
    if (error_) return;
    head_bytes_ += name.size() + value.size();
    Fields& fields = answer_.head.fields;
    const bool trailer = answered_;
    const std::size_t count = trailer ? trailers_.size() : fields.size();
    if (head_bytes_ > max_answer_head || count == most_fields || !grammar::is_value(value)) return refuse();
    if (name.starts_with(':')) {
        // nghttp2 has seen to it that it is three digits.
        if (!trailer) std::from_chars(value.data(), value.data() + value.size(), answer_.head.status);
        return;
    }
    if (!grammar::is_token(name)) return refuse();
    const Field field{answer_.arena.keep(name), answer_.arena.keep(value), classify(name)};
    if (trailer) {
        trailers_.push_back(field);
    } else {
        fields.push_back(field);
    }
}

void AppStream::on_head_end(bool ends) {
    if (!answered_ && !error_) {
        ResponseHead& head = answer_.head;
        if (head.status == 101 || ++heads_ > max_informational + 1) return refuse();
        if (head.status < 200) {
            interim_.push_back(std::exchange(head, {}));
        } else if (!read_final(ends)) {
            return refuse();
        }
    }
    ended_ |= ends;
}

bool AppStream::read_final(bool ends) {
    ResponseHead& head = answer_.head;
    if (head.status > 599) return false;
    const auto length = find(head.fields, Known::content_length);
    if (length) {
        const auto number = http1::read_length(*length);
        if (!number) return false;
        head.content_length = *number;
    }
    const bool bodiless = ends || answer_.to_head || head.status == 204 || head.status == 304;
    head.framing = bodiless ? Framing::none : length ? Framing::length : Framing::until_close;
    answered_ = true;
    return true;
}

void AppStream::on_body(std::string_view bytes) {
    if (!error_ && answered_ && answer_.head.framing != Framing::none) {
        body_ += bytes;
    } else {
        connection_->consumed(*this, bytes.size());
        if (!bytes.empty()) refuse();
    }
}

void AppStream::on_close(std::uint32_t code) {
    closed_ = true;
    if (ended_ || error_) return;
    reset_code_ = code;
    refused_ = code == NGHTTP2_REFUSED_STREAM;
    error_ = asio::error::connection_reset;
}

void AppStream::on_lost() {
    closed_ = true;
    if (ended_ || error_) return;
    lost_ = true;
    error_ = asio::error::connection_reset;
}

// ---- the answer -----------------------------------------------------------------------------------------------------

Task<error_code> AppStream::next_head() {
    while (interim_.empty() && !answered_ && !error_) co_await arrived_.wait();
    co_return answered_ || !interim_.empty() ? error_code() : error_;
}

std::optional<ResponseHead> AppStream::take_interim() {
    if (interim_.empty()) return std::nullopt;
    ResponseHead head = std::move(interim_.front());
    interim_.erase(interim_.begin());
    return head;
}

BodyPiece AppStream::take() {
    taken_.clear();
    std::swap(body_, taken_);
    if (!taken_.empty()) connection_->consumed(*this, taken_.size());
    // What came ahead of a failure is passed on ahead of it.
    BodyPiece piece{.data = taken_, .end = ended_ && !error_, .error = {}};
    if (piece.data.empty()) piece.error = error_;
    return piece;
}

Task<BodyPiece> AppStream::next() {
    while (body_.empty() && !ended_ && !error_) co_await arrived_.wait();
    co_return take();
}

}  // namespace rotagate::proxy::http2
