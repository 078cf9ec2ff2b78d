#include "proxy/connection.hpp"

#include <algorithm>

#include <boost/system/errc.hpp>

#include "proxy/grammar.hpp"
#include "proxy/http1.hpp"
#include "proxy/pipeline.hpp"

namespace rotagate::proxy {
namespace {

using namespace std::chrono_literals;

// A connection that is silent for longer gives its buffers back while it waits.
constexpr std::chrono::milliseconds park_after = 1s;
// While draining: how long a client that did not know yet may take to send one more request.
constexpr std::chrono::milliseconds drain_grace = 1s;
// After an answer that leaves part of the request unread: how much of it, and for how long, is read into nothing so
// that the answer is not lost to a reset (RFC 9112 section 9.6).
constexpr auto linger_time = 5s;
// What takes no longer than this to relay may end after its session has.
constexpr std::chrono::milliseconds long_answer = 500ms;
// How often the store is asked whether the session of an answer that goes on is still there.
constexpr std::chrono::milliseconds ask_again_every = 9s;
constexpr std::size_t linger_bytes = 16 * config::MiB;

/// What may stand in logs and bodies as it is.
bool is_request_id(std::string_view text) {
    constexpr auto allowed =
        grammar::char_set([](unsigned c) { return grammar::is_alnum(c) || c == '.' || c == '_' || c == '-'; });
    return !text.empty() && text.size() <= 128 &&
           std::all_of(text.begin(), text.end(), [&](char c) { return grammar::in(allowed, c); });
}

Answer redirect(const Exchange& x) {
    if (x.request.host.empty()) return {.status = 400, .reason = "missing_host", .location = {}, .close = true};
    return {.status = 308, .reason = "redirect_to_https", .location = https_location(x), .close = false};
}

error_code errc(boost::system::errc::errc_t code) { return boost::system::errc::make_error_code(code); }

}  // namespace

Connection::Connection(EventLoop& loop, const Listening& listening, Socket socket, Peer peer)
    : loop_(loop),
      listening_(listening),
      peer_(std::move(peer)),
      stream_(std::make_shared<Stream>(loop.context, std::move(socket),
                                       listening.tls ? listening.tls->accept() : nullptr, Buffer::client_size)),
      deadline_([this] { on_deadline(); }),
      writing_([this] { stream_->abort(asio::error::timed_out); }) {
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
    if (listening_.tls) {
        wait_until(loop_.site->config.limits.header_timeout);
        const error_code ec = co_await stream_->handshake();
        if (ec) {
            loop_.metrics.tls_handshakes_failed.add();
            co_return;
        }
    }
    while (co_await next_request()) {
    }
    deadline_.disarm();
    stream_->close();
}

void Connection::drain() {
    if (phase_ == Phase::idle) wait_until(drain_grace);
}

void Connection::look_after() {
    if (!exchange_ || !exchange_->app) return;
    Exchange& x = *exchange_;
    const bool ended = x.session && x.head_sent && session_ended(x);
    if (!ended && !client_left()) return;
    exchange_->record.reason = ended ? "session_ended" : "client_gone";
    x.app->abort(errc(boost::system::errc::owner_dead));
    stream_->abort(errc(boost::system::errc::owner_dead));
}

/// Whether the session of a long answer has ended, as far as is known. A remote store tells of ends as they come; it is
/// asked too, since word of one may be lost.
bool Connection::session_ended(Exchange& x) {
    const auto now = loop_.deadlines.now();
    if (now - x.relaying_since < long_answer) return false;
    if (now - std::max(x.relaying_since, x.asked_at) >= ask_again_every) {
        x.asked_at = now;
        loop_.store.check(x.session->id, [](const session::Result<>&) {});  // known_ended() knows the answer
    }
    return loop_.store.known_ended(x.session->id);
}

/// Whether the client has closed while its request was worked on: then nobody waits for the answer.
bool Connection::client_left() {
    if (!body_ || !body_->ended()) return false;  // reading the body will tell
    return stream_->peer_closed();
}

// ---- reading requests -----------------------------------------------------------------------------------------------

/// Serves one request. Returns whether the connection goes on.
Task<bool> Connection::next_request() {
    timed_out_ = false;
    if (stream_->input().empty()) {
        phase_ = Phase::idle;
        wait_until(std::min(idle_limit(), park_after));
        error_code ec = co_await stream_->more(0);
        if (ec && timed_out_ && idle_limit() > park_after) ec = co_await park();
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
    exchange_ = std::make_unique<Exchange>(*this, peer_, loop_.site);
    const std::string_view text = stream_->input().substr(0, length);
    stream_->consume(length);
    if (const auto answer = prepare(text)) {
        co_await answer_and_record(loop_, *exchange_, *answer);
    } else {
        co_await handle(loop_, *exchange_);
    }
    const bool unread = !body_->ended();
    const bool complete = !unread && exchange_->head_sent;
    exchange_.reset();
    body_.reset();
    head_ = Buffer();
    stream_->release_input();
    if (complete && keep_alive_) co_return true;
    co_await finish();
    if (unread || !stream_->input().empty()) co_await linger();
    co_return false;
}

std::chrono::milliseconds Connection::idle_limit() const {
    return loop_.draining() ? drain_grace : loop_.site->config.limits.idle_timeout;
}

/// Gives the connection's memory back, and waits on for a request to begin.
Task<error_code> Connection::park() {
    timed_out_ = false;
    wait_until(idle_limit() - park_after);
    error_code ec = co_await stream_->wait_parked();
    if (!ec) ec = co_await stream_->more(0);
    co_return ec;
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
    exchange_ = std::make_unique<Exchange>(*this, peer_, loop_.site);
    exchange_->client_address = peer_.address;
    const RequestId id = loop_.request_id();
    exchange_->request_id = exchange_->arena.keep({id.data(), id.size()});
    exchange_->request.keep_alive = false;
    Answer answer{.status = status, .reason = reason, .location = {}, .close = true};
    co_await answer_and_record(loop_, *exchange_, answer);
    exchange_.reset();
    co_await finish();
    co_await linger();
}

/// Reads the head's text into the exchange. Returns the answer where the request goes no further.
std::optional<Answer> Connection::prepare(std::string_view text) {
    Exchange& x = *exchange_;
    const auto error = http1::parse_request_head(text, x.request);
    if (error) x.request.framing = Framing::none;
    body_.emplace(*stream_, x.request.framing, x.request.content_length);
    body_bytes_ = 0;
    keep_alive_ = !error && x.request.keep_alive && !loop_.draining();
    const auto& trusted = x.site->config.trusted_proxies;
    x.client_address = error ? peer_.address : client_address(x.request, peer_, trusted);
    if (!error) x.origin = client_origin(x.request, peer_, trusted);
    const RequestId fresh_id = loop_.request_id();
    x.request_id = x.arena.keep({fresh_id.data(), fresh_id.size()});
    if (error) return Answer{.status = error->status, .reason = error->reason, .location = {}, .close = true};
    if (peer_.trusted) {
        if (const auto id = find(x.request.fields, Known::x_request_id); id && is_request_id(*id)) x.request_id = *id;
    }
    if (!serves(x.request.host)) return Answer{.status = 421, .reason = "misdirected"};
    if (listening_.settings->redirect_to_https && x.request.target != "*") return redirect(x);
    return std::nullopt;
}

/// Whether the certificate that the client was shown is for this host too: else the request was meant for another
/// server (RFC 9110 section 7.4). A client without SNI, mostly one that connects to an address, has asked for none: it
/// is served unless the host has a certificate of its own, which it would have been shown for its name.
bool Connection::serves(const std::string& host) {
    const SSL* const ssl = stream_->ssl();
    if (!ssl || host == covered_host_) return true;
    const std::string_view name = tls::server_name(ssl);
    const bool meant_for_another = name.empty() ? listening_.tls->has_another_for(ssl, host) : !same_name(name, host);
    if (meant_for_another && !tls::covers(ssl, host)) return false;
    covered_host_ = host;
    return true;
}

/// Says goodbye, behind what the client has not taken yet of the last answer.
Task<> Connection::finish() {
    if (!timed_out_) co_await flush();
    stream_->shutdown();
}

/// Reads into nothing what the client still sends, so that it gets to read the answer.
Task<> Connection::linger() {
    phase_ = Phase::lingering;
    wait_until(linger_time);
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

void Connection::on_deadline() {
    timed_out_ = true;
    switch (phase_) {
        case Phase::handshake:
        case Phase::lingering:
            return stream_->abort(asio::error::timed_out);
        case Phase::idle:
        case Phase::head:
        case Phase::exchange:
            return stream_->interrupt();
    }
}

}  // namespace rotagate::proxy
