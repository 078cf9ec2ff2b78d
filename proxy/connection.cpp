#include "proxy/connection.hpp"

#include <algorithm>

#include <boost/system/errc.hpp>

#include "proxy/client_certificate.hpp"
#include "proxy/http1.hpp"
#include "proxy/http2_connection.hpp"
#include "proxy/pipeline.hpp"
#include "proxy/tunnel.hpp"

namespace rotagate::proxy {
namespace {

using namespace std::chrono_literals;

// After an answer that leaves part of the request unread: how much of it, and for how long, is read into nothing so
// that the answer is not lost to a reset (RFC 9112 section 9.6).
constexpr std::chrono::milliseconds linger_time = 5s;
// Of an answer over HTTP/1, whose client has no reason to send more: so much arrives by itself. To linger for each of
// them costs 3 % of a connection.
constexpr std::size_t on_its_way = 16 * config::KiB;
// At most: GOAWAY, what HTTP/2 acknowledges, TLS' own.
constexpr std::size_t size_of_goodbye = 512;
// After a WebSocket, whose client has got a close frame, or has sent one.
constexpr auto tunnel_linger_time = 1s;
constexpr std::size_t linger_bytes = 16 * config::MiB;

// For whoever writes http:// where https:// is spoken.
constexpr std::string_view speaks_tls_only =
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 46\r\n\r\n"
    "This is an https address; http is not spoken.\n";

error_code code_of(boost::system::errc::errc_t code) { return boost::system::errc::make_error_code(code); }

}  // namespace

Connection::Connection(EventLoop& loop, std::shared_ptr<const Listening> listening, Descriptor socket, const Peer& peer,
                       ClientConnections::Place place)
    : loop_(loop),
      place_(std::move(place)),
      frontend_(loop, std::move(listening), peer),
      stream_(std::make_shared<Stream>(loop.context, std::move(socket),
                                       frontend_.tls ? frontend_.tls->accept() : nullptr, Buffer::client_size)),
      deadline_([this] { on_deadline(); }),
      writing_([this] {
          // One who takes it slowly may not hold up the gateway's end.
          const bool goes_on = stream_->was_taken(slowest) && !frontend_.ending();
          goes_on ? watch_client() : stream_->give_up_sending();
      }) {
    frontend_.ssl = stream_->ssl();
    loop_.connections_->push_back(*this);
    loop_.metrics.connections_open.add();
}

Connection::~Connection() {
    unlink();
    loop_.metrics.connections_open.sub();
    --loop_.shared.connections;
}

Task<> Connection::run() {
    const auto self = shared_from_this();
    if (frontend_.tls) {
        wait_until(loop_.site->config.limits.header_timeout);
        const error_code ec = co_await stream_->handshake();
        if (ec) {
            loop_.metrics.tls_handshakes_failed.add();
            if (ec == code_of(boost::system::errc::wrong_protocol_type)) stream_->send_unsealed(speaks_tls_only);
            co_return;
        }
        deadline_.disarm();
        frontend_.identify(client_certificate(frontend_.ssl));
    }
    if (frontend_.ssl && tls::is_http2(frontend_.ssl)) {
        http2_ = std::make_shared<http2::Connection>(frontend_, stream_);
        co_await http2_->run();
        co_await finish();
        if (stream_->may_lose_what_was_sent(size_of_goodbye)) co_await linger(patience_at_the_end());
        co_return;
    }
    co_await serve();
}

/// Serves one request after the other, until the connection ends or is parked.
Task<> Connection::serve() {
    bool goes_on = true;  // GCC 12 gives a coroutine that begins by awaiting a condition a frame that it misreads
    while (goes_on) goes_on = co_await next_request();
    if (parked_) co_return;
    deadline_.disarm();
    stream_->close();
}

void Connection::drain() {
    if (http2_ && phase_ != Phase::lingering) return http2_->drain();
    if (tunnel_) return tunnel_->drain();
    if (phase_ == Phase::lingering) linger_step_ = patience_at_the_end();
    if (phase_ == Phase::idle || (phase_ == Phase::lingering && linger_step_ == drain_grace)) wait_until(drain_grace);
}

void Connection::look_after() {
    if (http2_) return http2_->look_after();
    if (tunnel_) return tunnel_->look_after();
    if (exchange_ && give_up(loop_, *exchange_, client_left()))
        stream_->abort(code_of(boost::system::errc::owner_dead));
}

/// Whether the client has closed while its request was worked on: then nobody waits for the answer.
bool Connection::client_left() {
    if (!body_ || !body_->ended()) return false;  // reading the body will tell
    return stream_->peer_closed();
}

// ---- reading requests -----------------------------------------------------------------------------------------------

/// Serves one request. Returns whether the connection goes on at once: it does not where it ends, or is parked.
Task<bool> Connection::next_request() {
    timed_out_ = false;
    if (stream_->input().empty()) {
        phase_ = Phase::idle;
        wait_until(std::min(frontend_.idle_limit(), park_after));
        error_code ec = co_await stream_->more(0);
        if (ec && timed_out_ && frontend_.idle_limit() > park_after) {
            if (park()) co_return false;
            ec = co_await stream_->more(0);
        }
        if (ec) {
            co_await finish();
            co_return false;
        }
        timed_out_ = false;  // the deadline may have passed in the very turn in which a byte came
    }
    std::size_t length = whole_head();
    if (length == 0) length = co_await read_head();
    if (length == 0) co_return false;
    deadline_.disarm();
    phase_ = Phase::exchange;
    exchange_ = std::make_unique<Exchange>(*this, frontend_.peer(), loop_.site);
    const std::string_view text = stream_->input().substr(0, length);
    stream_->consume(length);
    if (const auto answer = prepare(text)) {
        co_await answer_and_record(loop_, *exchange_, *answer);
    } else {
        co_await handle(loop_, *exchange_);
    }
    if (exchange_->tunnel) {
        co_await carry(std::move(exchange_->tunnel));
        co_return false;
    }
    const bool unread = !body_->ended();
    const bool complete = !unread && exchange_->head_sent;
    exchange_.reset();
    body_.reset();
    head_ = Buffer();
    stream_->release_input();
    if (complete && keep_alive_) co_return true;
    co_await finish();
    if (unread || stream_->may_lose_what_was_sent(on_its_way)) co_await linger(patience_at_the_end());
    co_return false;
}

/// Carries a WebSocket to its end, which is the connection's.
Task<> Connection::carry(std::unique_ptr<Tunnel> tunnel) {
    tunnel_ = std::move(tunnel);
    exchange_.reset();
    head_ = Buffer();
    if (frontend_.ending()) tunnel_->drain();
    co_await tunnel_->run();
    tunnel_.reset();
    co_await finish();
    co_await linger(tunnel_linger_time);
}

/// The length of the head that has arrived whole and in order, as it nearly always has; 0: it takes read_head().
std::size_t Connection::whole_head() const {
    std::size_t scanned = 0;
    const http1::Scan scan = http1::scan_head(stream_->input(), scanned);
    return scan.error || scan.length > loop_.site->config.limits.header_bytes ? 0 : scan.length;
}

/// Returns the length of the head that the input begins with; 0: there is none, and the client has its answer.
Task<std::size_t> Connection::read_head() {
    phase_ = Phase::head;
    wait_until(loop_.site->config.limits.header_timeout);  // once: single bytes do not extend it
    const std::size_t limit = loop_.site->config.limits.header_bytes;
    std::size_t scanned = 0;
    while (true) {
        const std::string_view input = stream_->input();
        const http1::Scan scan = http1::scan_head(input, scanned);
        const bool too_long = scan.length > limit || (scan.length == 0 && input.size() >= limit);
        if (too_long) {
            const bool first_line = input.substr(0, limit).find('\n') == std::string_view::npos;
            co_await refuse(first_line ? 414 : 431, first_line ? "uri_too_long" : "header_too_large");
            co_return 0;
        }
        if (scan.error) {
            co_await refuse(scan.error->status, scan.error->reason);
            co_return 0;
        }
        if (scan.length > 0) co_return scan.length;
        error_code ec = co_await stream_->more(input.size());
        if (ec == asio::error::no_buffer_space) {
            stream_->detach_input(limit);
            ec = error_code();
        }
        if (!ec) continue;
        if (timed_out_) co_await refuse(408, "header_timeout");
        co_return 0;
    }
}

/// Answers a request whose head could not be read.
Task<> Connection::refuse(unsigned status, std::string_view reason) {
    deadline_.disarm();
    phase_ = Phase::exchange;
    exchange_ = std::make_unique<Exchange>(*this, frontend_.peer(), loop_.site);
    exchange_->client_address = exchange_->peer.address;
    const RequestId id = loop_.request_id();
    exchange_->request_id = exchange_->arena.keep({id.data(), id.size()});
    exchange_->request.keep_alive = false;
    Answer answer{.status = status, .reason = reason, .location = {}, .close = true};
    co_await answer_and_record(loop_, *exchange_, answer);
    exchange_.reset();
    co_await finish();
    co_await linger(linger_time);
}

/// Reads the head's text into the exchange. Returns the answer where the request goes no further.
std::optional<Answer> Connection::prepare(std::string_view text) {
    Exchange& x = *exchange_;
    const auto error = http1::parse_request_head(text, x.request);
    if (error) x.request.framing = Framing::none;
    body_ = std::make_unique<BodyReader>(*stream_, x.request.framing, x.request.content_length,
                                         http1::ChunkReader::From::client);
    body_bytes_ = 0;
    stopped_ = false;
    keep_alive_ = !error && x.request.keep_alive && !frontend_.ending();
    return frontend_.prepare(x, error);
}

/// Says goodbye, behind what the client has not taken yet of the last answer. Closing the connection, or to linger,
/// ends what is sent.
Task<> Connection::finish() {
    stream_->say_goodbye();
    // The end of an answer has its own time, as long as the client takes of it.
    if (!timed_out_ || stream_->has_unsent()) co_await flush();
}

/// A gateway that is going down does not wait for whoever has all but our goodbye.
std::chrono::milliseconds Connection::patience_at_the_end() const {
    return frontend_.ending() && stream_->untaken() <= size_of_goodbye ? drain_grace : linger_time;
}

/// Reads into nothing what the client still sends, so that it gets to read the answer.
/// @param time  for the client to close, or to take a part of what it was sent
Task<> Connection::linger(std::chrono::milliseconds time) {
    stream_->shutdown();
    phase_ = Phase::lingering;
    linger_step_ = time;
    untaken_ = stream_->untaken();
    linger_until_ = std::chrono::steady_clock::now() + loop_.site->config.limits.idle_timeout;
    wait_until(time);
    std::size_t total = 0;
    while (total < linger_bytes) {
        const std::size_t n = stream_->input().size();
        total += n;
        stream_->consume(n);
        if (co_await stream_->more(0)) break;
    }
}

// ---- time -----------------------------------------------------------------------------------------------------------

void Connection::wait_until(std::chrono::milliseconds after) { loop_.deadlines.arm(deadline_, after); }

/// Gives the client time to take some of what waits.
void Connection::watch_client() { loop_.deadlines.arm(writing_, loop_.site->config.limits.idle_timeout); }

void Connection::on_deadline() {
    timed_out_ = true;
    switch (phase_) {
        case Phase::lingering:
            if (const std::size_t left = stream_->untaken(); left < untaken_ && loop_.deadlines.now() < linger_until_) {
                untaken_ = left;
                return wait_until(linger_step_);
            }
            return stream_->abort(asio::error::timed_out);
        case Phase::handshake:
            return stream_->abort(asio::error::timed_out);
        case Phase::idle:
            return parked_ ? end_parked() : stream_->interrupt();
        case Phase::head:
        case Phase::exchange:
            return stream_->interrupt();
    }
}

}  // namespace rotagate::proxy
