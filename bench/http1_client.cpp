#include "bench/http1_client.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>

#include "proxy/body.hpp"
#include "proxy/http1.hpp"

namespace rotagate::bench {

using proxy::error_code;

Http1Client::Http1Client(ClientLoop& loop)
    : HttpClient(loop), deadline_([this] {
          if (stream_) stream_->abort(asio::error::timed_out);
      }) {}

Http1Client::~Http1Client() { close(); }

void Http1Client::close() {
    deadline_.disarm();
    if (!stream_) return;
    stream_->close();
    stream_.reset();
}

Failure Http1Client::failed(error_code reason) {
    close();
    if (reason == asio::error::timed_out) return Failure::timeout;
    return reason.category() == asio::error::get_ssl_category() ? Failure::tls : Failure::closed;
}

Task<Failure> Http1Client::open() {
    close();
    auto connected = co_await loop_.next_connector().connect(loop_.deadlines(), loop_.settings().timeout);
    if (connected) {
        stream_ = std::move(*connected);
        co_return Failure::none;
    }
    co_return connect_failure(loop_, connected.error());
}

void Http1Client::compose(const Request& request, const CookieJar& jar) {
    out_.assign(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\nHost: ");
    out_.append(loop_.site().authority).append("\r\nUser-Agent: rotagate-bench\r\n");
    out_.append(request.navigates ? "Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\n" : "Accept: */*\r\n");
    if (!jar.empty()) {
        const std::size_t before = out_.size();
        out_.append("Cookie: ");
        const std::size_t begin = out_.size();
        jar.append_header(out_, request.path(), loop_.site().secure, loop_.wall_clock());
        if (out_.size() == begin) {
            out_.resize(before);
        } else {
            out_.append("\r\n");
        }
    }
    if (!request.content_type.empty()) out_.append("Content-Type: ").append(request.content_type).append("\r\n");
    if (request.tells_length())
        out_.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
    out_.append("\r\n");
}

Task<Failure> Http1Client::send(const Request& request, const CookieJar& jar) {
    reused_ = stream_ && stream_->quiet();
    answered_ = false;
    if (!reused_) {
        const Failure failure = co_await open();
        if (failure != Failure::none) co_return failure;
    }
    compose(request, jar);
    path_.assign(request.path());
    to_head_ = request.method == "HEAD";
    loop_.deadlines().arm(deadline_, loop_.settings().timeout);
    if (!stream_->send({out_, request.body})) loop_.run(finish_sending(stream_));
    co_return Failure::none;
}

/// While the answer is read: a server may answer before it has all of the request, and then close, or wait until its
/// answer is taken. Where nothing more can be sent, what can be read tells why.
Task<> Http1Client::finish_sending(std::shared_ptr<proxy::Stream> stream) { co_await stream->flush(); }

Task<Failure> Http1Client::read_head() {
    std::size_t scanned = 0;
    for (;;) {
        const auto scan = proxy::http1::scan_head(stream_->input(), scanned);
        answered_ = answered_ || !stream_->input().empty();
        if (scan.length > 0) {
            const auto text = stream_->input().substr(0, scan.length);
            const auto error = proxy::http1::parse_response_head(text, to_head_, head_);
            stream_->consume(scan.length);
            if (error) break;
            if (head_.status >= 200) co_return Failure::none;
            scanned = 0;  // 100 (Continue), 103 (Early Hints): the answer itself is still to come
            continue;
        }
        if (scan.error) break;
        if (const error_code error = co_await stream_->more(stream_->input().size())) co_return failed(error);
    }
    close();
    co_return Failure::malformed;
}

Task<Failure> Http1Client::read_body() {
    if (head_.framing == proxy::Framing::length && stream_->input().size() >= head_.content_length) {
        stream_->consume(head_.content_length);  // the usual case, without a coroutine
    } else if (head_.framing != proxy::Framing::none) {
        proxy::BodyReader body(*stream_, head_.framing, head_.content_length, proxy::http1::ChunkReader::From::app);
        for (;;) {
            const proxy::BodyPiece piece = co_await body.next();
            if (piece.error) co_return failed(piece.error);
            if (piece.end) break;
        }
    }
    deadline_.disarm();
    stream_->release_input();
    if (!head_.keep_alive) close();
    co_return Failure::none;
}

}  // namespace rotagate::bench
