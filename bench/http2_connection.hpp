#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/client_loop.hpp"
#include "bench/failure.hpp"
#include "proxy/http2_text.hpp"
#include "proxy/message.hpp"

namespace rotagate::bench {

/// One request over HTTP/2, and what has come of its answer.
struct Http2Exchange {
    std::int32_t id = 0;  ///< of its stream; 0: none
    std::string_view body;
    proxy::ResponseHead head;
    std::deque<std::string> text;  ///< that the head's fields are views of
    bool has_head = false, has_end = false;
    bool refused = false;  ///< the server says that it has not acted on it: it may be asked again
    Failure failure = Failure::none;
    proxy::Signal changed;

    void start(std::string_view request_body) {
        id = 0;
        body = request_body;
        head.status = 0;
        head.fields.clear();
        text.clear();
        has_head = has_end = refused = false;
        failure = Failure::none;
    }
};

/// An HTTP/2 connection of a browser (RFC 9113, by nghttp2). Where the server says goodbye (GOAWAY, section 6.8), the
/// requests that it still answers go on, the others are refused, and it ends with the last of them.
class Http2Connection : public std::enable_shared_from_this<Http2Connection> {
public:
    using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

    explicit Http2Connection(ClientLoop& loop) : loop_(loop) {}
    ~Http2Connection();

    bool is_open() const { return stream_ && !going_away_; }
    bool is_going_away() const { return stream_ && going_away_; }
    /// Connects to the next target, unless it is connected.
    Task<Failure> open();
    /// @param exchange  has to live until it has its end, or is cancelled; refused where the server says goodbye
    /// @param fields    are copied
    void submit(Http2Exchange& exchange, const Fields& fields);
    /// Tells the server that nobody waits for the answer any more.
    void cancel(Http2Exchange& exchange);
    void close(Failure reason);

private:
    struct Callbacks;

    Task<Failure> connect();
    bool greet();
    Task<> read(std::shared_ptr<Http2Connection> self, std::shared_ptr<proxy::Stream> stream);
    Task<> finish_sending(std::shared_ptr<Http2Connection> self, std::shared_ptr<proxy::Stream> stream);
    void flush();
    void flush_soon();
    void tell();
    void end_if_done();

    ClientLoop& loop_;
    std::shared_ptr<proxy::Stream> stream_;
    proxy::http2::Session session_;
    std::string out_;
    bool opening_ = false, going_away_ = false, sending_ = false, flush_is_due_ = false;
    std::vector<Http2Exchange*> active_, changed_;
    std::vector<proxy::Signal*> awaiting_open_;
};

/// The connection of a browser to a target: another takes its place once the server says goodbye.
class Http2Line {
public:
    explicit Http2Line(ClientLoop& loop) : loop_(loop), connection_(std::make_shared<Http2Connection>(loop)) {}
    /// For the next request.
    std::shared_ptr<Http2Connection> connection() {
        if (connection_->is_going_away()) connection_ = std::make_shared<Http2Connection>(loop_);
        return connection_;
    }

private:
    ClientLoop& loop_;
    std::shared_ptr<Http2Connection> connection_;
};

}  // namespace rotagate::bench
