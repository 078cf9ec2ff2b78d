#include "proxy/tunnel.hpp"

#include <algorithm>
#include <array>

#include <boost/system/errc.hpp>
#include <openssl/rand.h>

#include "proxy/exchange.hpp"
#include "proxy/frontend.hpp"
#include "proxy/pipeline.hpp"

namespace rotagate::proxy {
namespace {

using namespace std::chrono_literals;
namespace errc = boost::system::errc;
using websocket::CloseCode;

// What may pass until the goodbye of the gateway: the rest of a frame, and what the client has not taken yet. The end
// is noticed within 250 ms, and both have to see it within a second.
constexpr std::chrono::milliseconds goodbye_time = 400ms;
// How long an app may take to end what its client has ended.
constexpr std::chrono::milliseconds farewell_time = 5s;

/// The same record, whose text is in `text`.
RequestRecord with_own_text(RequestRecord record, std::string& text) {
    const std::initializer_list<std::string_view*> views = {
        &record.request_id, &record.client, &record.method, &record.host,   &record.path,     &record.protocol,
        &record.user,       &record.org,    &record.reason, &record.server, &record.upstream,
    };
    std::size_t size = 0;
    for (const std::string_view* view : views) size += view->size();
    text.reserve(size);  // so that the views stay valid
    for (std::string_view* view : views) {
        const std::size_t from = text.size();
        text += *view;
        *view = std::string_view(text).substr(from);
    }
    return record;
}

std::array<char, 4> new_mask() {
    std::array<char, 4> mask{};
    RAND_bytes(reinterpret_cast<unsigned char*>(mask.data()), static_cast<int>(mask.size()));
    return mask;
}

}  // namespace

Tunnel::Tunnel(EventLoop& loop, Exchange& x, UpstreamPool::Lease lease)
    : loop_(loop),
      client_(x.client),
      site_(x.site),
      route_(*x.route),
      lease_(std::move(lease)),
      began_(x.began),
      idle_([this] { end(CloseCode::going_away, "idle", "idle for too long"); }),
      last_([this] { be_late(); }) {
    if (x.session) session_.emplace(*x.session, x.set_cookie.empty() ? SessionWatch::Time{} : x.admitted);
    describe(x);
    record_ = with_own_text(x.record, text_);
    record_.bytes_in = record_.bytes_out = 0;
    record_.tunnel = true;
    loop_.metrics.tunnels_open.add();
}

Tunnel::~Tunnel() { loop_.metrics.tunnels_open.sub(); }

Task<> Tunnel::run() {
    loop_.deadlines.arm(idle_, route_.websocket.idle_timeout);
    loop_.tasks.start(carry_up());
    co_await carry_down();
    co_await say_goodbye();
    over_ = true;
    idle_.disarm();
    last_.disarm();
    client_.stop_body();
    app().abort(make_error_code(errc::owner_dead));
    if (!up_over_) co_await up_ended_.wait();
    record();
}

// ---- both ways ------------------------------------------------------------------------------------------------------

void Tunnel::pass(std::uint64_t& count, std::size_t bytes) {
    count += bytes;
    if (!ending_) loop_.deadlines.arm(idle_, route_.websocket.idle_timeout);
}

/// From the app to the client, until the app ends it, the client is gone, or the gateway may say goodbye.
Task<> Tunnel::carry_down() {
    while (true) {
        if (ending_ && (late_ || client_left_ || down_.between())) co_return;
        std::string_view bytes = app().input();
        if (bytes.empty()) {
            const error_code ec = co_await await_app();
            if (!ec || ec == asio::error::operation_aborted) continue;
            app_ended_ = ec;
            co_return;
        }
        if (ending_) {
            bytes = bytes.substr(0, down_.take(bytes));
        } else {
            down_.take_all(bytes);
        }
        pass(record_.bytes_out, bytes.size());
        const bool sent = client_.send_body(bytes, false);
        app().consume(bytes.size());
        if (sent) continue;
        if (co_await client_.flush()) {
            client_left_ = true;
            co_return;
        }
    }
}

/// Waits for what the app sends, without buffers. Errors: operation_aborted, where the gateway ends it; the stream's.
Task<error_code> Tunnel::await_app() {
    app().release_input();
    if (app().ssl()) {
        bool silent = false;
        Deadline silence([&] {
            silent = true;
            app().interrupt();
        });
        loop_.deadlines.arm(silence, park_after);
        const error_code ec = co_await app().more(0);
        if (!ec || !silent || ec != asio::error::operation_aborted || ending_) co_return ec;
        if (const error_code parked = co_await app().wait_parked()) co_return parked;
    }
    co_return co_await app().more(0);
}

/// From the client to the app, until the client ends it or the app takes no more.
Task<> Tunnel::carry_up() {
    while (!over_) {
        const BodyPiece piece = co_await client_.next_body();
        if (over_) break;
        if (!piece.data.empty() && !co_await pass_up(piece.data)) break;
        if (piece.error) abandon();
        if (piece.end) app().shutdown();
        if (piece.error || piece.end) break;
    }
    // What the app still has to say is carried, for a while.
    if (!over_ && !ending_) loop_.deadlines.arm(last_, farewell_time);
    up_over_ = true;
    up_ended_.notify();
}

/// Returns whether the app has taken it.
Task<bool> Tunnel::pass_up(std::string_view bytes) {
    up_.take_all(bytes);
    spoke_ |= up_.took_message();
    pass(record_.bytes_in, bytes.size());
    if (app().send({bytes})) co_return true;
    const auto limit = site_->config.limits.idle_timeout;
    Deadline sending(
        [&] { app().was_taken(slowest) ? loop_.deadlines.arm(sending, limit) : app().abort(asio::error::timed_out); });
    app().was_taken(0);
    loop_.deadlines.arm(sending, limit);
    sending_up_ = true;
    const error_code failed = co_await app().flush();
    sending_up_ = false;
    co_return !failed;
}

// ---- the end --------------------------------------------------------------------------------------------------------

void Tunnel::look_after() {
    if (!session_ || ending_ || over_) return;
    if (session_->ended(loop_)) return end(CloseCode::policy_violation, "session_ended", "the session has ended");
    if (spoke_ && route_.activity && session_->renew(loop_, site_->config.session)) spoke_ = false;
}

void Tunnel::drain() { end(CloseCode::going_away, "draining", "the server is going down"); }

void Tunnel::abandon() {
    client_left_ = true;
    if (ending_) return app().interrupt();  // and the app is told why
    app().abort(make_error_code(errc::owner_dead));
}

/// Has carry_down() come to its end between two frames, or after goodbye_time.
void Tunnel::end(CloseCode code, std::string_view reason, std::string_view told) {
    if (ending_ || over_) return;
    ending_ = code;
    record_.reason = reason;
    told_ = told;
    loop_.deadlines.arm(last_, goodbye_time);
    app().interrupt();
}

/// The time for what is left to do is over.
void Tunnel::be_late() {
    if (!ending_) return app().abort(asio::error::timed_out);
    late_ = true;
    client_.cut();
    app().interrupt();
}

/// Tells both sides that it is over. Where the gateway ends it, the client gets a close frame, unless it is in the
/// middle of another. The app gets one too, as it would of a client that leaves in good order: it need not guess
/// whether the network has failed.
Task<> Tunnel::say_goodbye() {
    if (ending_ && !sending_up_) {
        if (!up_.closed() && up_.between()) app().send({websocket::close_frame(*ending_, told_, new_mask())});
        app().shutdown();
    }
    const bool in_order = ending_ ? down_.between() : app_ended_ == asio::error::eof;
    if (client_left_ || !in_order) co_return client_.cut();
    std::string last_words;
    if (ending_ && !down_.closed()) last_words = websocket::close_frame(*ending_, told_);
    const bool sent = client_.send_body(last_words, true);
    if ((!sent || ending_) && co_await client_.flush()) client_.cut();
}

void Tunnel::record() {
    if (record_.reason.empty() && client_left_) record_.reason = "client_gone";
    if (record_.reason.empty() && app_ended_ != asio::error::eof) record_.reason = "upstream_closed";
    record_.duration = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began_);
    loop_.metrics.record(record_);
    loop_.access_log.write(record_);
}

}  // namespace rotagate::proxy
