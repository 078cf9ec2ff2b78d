// What an HTTP/2 connection sends to its client. http2_connection.cpp has the rest of it.
#include <boost/asio/post.hpp>

#include "proxy/http2_connection.hpp"
#include "proxy/http2_limits.hpp"

namespace rotagate::proxy::http2 {

/// Sends our SETTINGS. nghttp2 ends a connection for one stream more than it was told to allow, where a client may hope
/// to have that one refused (RFC 9113 section 5.1.2): so it is told of no limit, and the client of ours.
void Connection::introduce() {
    std::string out;
    take_to_send(session_.get(), most_sent_at_once, out);
    // Behind the frame's head of 9 bytes and a name of 2, the value of 4 bytes of the first setting.
    constexpr std::size_t limit_at = 11;
    for (unsigned byte = 0; byte < 4; ++byte)
        out.at(limit_at + byte) = static_cast<char>(most_streams >> (24U - 8U * byte) & 255U);
    transport_->send({out});
}

void Connection::send() {
    if (sending_ || ended_) return;
    thread_local std::string out;
    bool more = true;
    while (more) {
        more = take_to_send(session_.get(), most_sent_at_once, out);
        if (out.empty() || transport_->send({out})) continue;
        sending_ = true;
        frontend_.loop.tasks.start(finish_sending(shared_from_this()));
        return;
    }
    if (!nghttp2_session_want_read(session_.get()) && !nghttp2_session_want_write(session_.get())) {
        ended_ = true;
        transport_->interrupt();
    }
}

/// Gives the client time to take some of what waits.
void Connection::watch_client() {
    frontend_.loop.deadlines.arm(writing_, frontend_.loop.site->config.limits.idle_timeout);
}

Task<> Connection::finish_sending([[maybe_unused]] std::shared_ptr<Connection> self) {
    transport_->was_taken(0);
    watch_client();
    const error_code ec = co_await transport_->flush();
    writing_.disarm();
    sending_ = false;
    taken_ = true;
    if (ec) ended_ = true;
    act_soon();
    asio::post(frontend_.loop.context, [self] { self->progress_.notify(); });
}

}  // namespace rotagate::proxy::http2
