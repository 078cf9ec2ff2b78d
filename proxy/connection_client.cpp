// A connection as the pipeline's Client: the request's body, and the answer. connection.cpp has the rest of it.
#include <boost/system/errc.hpp>

#include "proxy/connection.hpp"
#include "proxy/http1.hpp"

namespace rotagate::proxy {

BodyPiece Connection::limited(BodyPiece piece) {
    body_bytes_ += piece.data.size();
    if (exchange_) exchange_->record.bytes_in = body_bytes_;
    const std::uint64_t limit = exchange_ ? exchange_->site->config.limits.body_bytes : 0;
    if (limit > 0 && body_bytes_ > limit) piece.error = make_error_code(boost::system::errc::message_size);
    return piece;
}

BodyPiece Connection::take_body() { return limited(body_->take()); }

/// The bytes of a tunnel that come next. The memory is given back while the client is silent.
Task<BodyPiece> Connection::next_of_tunnel() {
    timed_out_ = false;
    error_code ec;
    if (stream_->input().empty()) {
        stream_->release_input();
        wait_until(park_after);
        ec = co_await stream_->more(0);
        deadline_.disarm();
        if (std::exchange(timed_out_, false) && ec == asio::error::operation_aborted && !stopped_)
            ec = co_await stream_->wait_parked();
    }
    if (ec && ec != asio::error::eof) co_return BodyPiece{.data = {}, .end = false, .error = ec};
    co_return co_await body_->next();
}

Task<BodyPiece> Connection::next_body() {
    if (!exchange_) co_return co_await next_of_tunnel();
    // The head's fields are views into the input: the body goes into another block.
    if (!head_) head_ = stream_->detach_input(Buffer::client_size);
    wait_until(exchange_->site->config.limits.idle_timeout);
    BodyPiece piece = co_await body_->next();
    deadline_.disarm();
    if (std::exchange(timed_out_, false) && piece.error) piece.error = asio::error::timed_out;
    co_return limited(piece);
}

void Connection::stop_body() {
    keep_alive_ = false;
    stopped_ = true;
    stream_->interrupt();
}

bool Connection::send_informational(const AnswerHead& head) {
    if (exchange_->request.minor_version == 0) return true;  // RFC 9110 section 15.2
    std::string& text = loop_.scratch;
    http1::write_response_head(text, head.status, head.reason, head.fields);
    const bool sent = stream_->send({text});
    text.clear();
    return sent;
}

/// Adds the fields that tell the end of the body and of the connection.
/// @param length  room for the text of Content-Length
void Connection::frame(AnswerHead& head, std::array<char, 20>& length) {
    if (head.tunnel) {
        body_ = std::make_unique<BodyReader>(*stream_, Framing::until_close, 0, http1::ChunkReader::From::client);
        keep_alive_ = chunked_ = false;
        frontend_.complete(head, length);
        head.fields.push_back({"Connection", "upgrade"});
        head.fields.push_back({"Upgrade", "websocket"});
        return;
    }
    const bool http10 = exchange_->request.minor_version == 0;
    ends_by_close_ = head.has_body && !head.content_length && http10;
    chunked_ = head.has_body && !head.content_length && !http10;
    if (ends_by_close_) keep_alive_ = false;
    if (!body_ || !body_->ended()) keep_alive_ = false;  // the answer came before the request's end
    if (frontend_.ending()) keep_alive_ = false;
    if (chunked_) head.fields.push_back({"Transfer-Encoding", "chunked"});  // the length is not known
    frontend_.complete(head, length);
    if (!keep_alive_) {
        head.fields.push_back({"Connection", "close"});
    } else if (http10) {
        head.fields.push_back({"Connection", "keep-alive"});
    }
}

bool Connection::send_head(AnswerHead& head, std::string_view first, bool last) {
    std::array<char, 20> length;
    frame(head, length);
    exchange_->head_sent = true;
    std::string& text = loop_.scratch;
    http1::write_response_head(text, head.status, head.reason, head.fields);
    std::string_view tail;
    if (chunked_) {
        if (!first.empty()) {
            ChunkSizeLine line;
            text += chunk_size_line(first.size(), line);
            tail = "\r\n";
        }
        if (last) tail = first.empty() ? "0\r\n\r\n" : "\r\n0\r\n\r\n";
    }
    const bool sent = send(last, {text, first, tail});
    text.clear();
    exchange_->record.bytes_out += first.size();
    return sent;
}

bool Connection::send_body(std::string_view data, bool last) {
    ChunkSizeLine line;
    std::string_view lead, tail;
    if (chunked_) {
        if (!data.empty()) {
            lead = chunk_size_line(data.size(), line);
            tail = "\r\n";
        }
        if (last) tail = data.empty() ? "0\r\n\r\n" : "\r\n0\r\n\r\n";
    }
    if (exchange_) exchange_->record.bytes_out += data.size();
    return send(last, {lead, data, tail});
}

/// What the client does not take at once of the end of an answer follows while its next request is waited for;
/// idle_timeout is the limit of both.
bool Connection::send(bool last, std::initializer_list<std::string_view> pieces) {
    return last ? stream_->send_soon(pieces) : stream_->send(pieces);
}

Task<error_code> Connection::flush() {
    stream_->was_taken(0);
    watch_client();
    const error_code ec = co_await stream_->flush();
    writing_.disarm();
    co_return ec;
}

void Connection::cut() {
    keep_alive_ = false;
    if (ends_by_close_) stream_->give_up_sending();  // a plain close would be the end of a whole answer
    stream_->close();
}

}  // namespace rotagate::proxy
