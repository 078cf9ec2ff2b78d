#include "proxy/http2_app_connection.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>
#include <boost/system/errc.hpp>

#include "proxy/http2_limits.hpp"

namespace rotagate::proxy::http2 {
namespace {

namespace errc = boost::system::errc;

// An app may allow more; beyond it, another connection lets another thread of the app's help.
constexpr unsigned most_streams_each = 100;

}  // namespace

AppConnection::AppConnection(const AppLoop& loop, std::shared_ptr<proxy::Stream> transport, config::Duration patience,
                             config::Duration limit)
    : loop_(loop),
      transport_(std::move(transport)),
      patience_(patience),
      limit_(limit),
      introducing_([this] { transport_->abort(asio::error::timed_out); }),
      writing_([this] {
          transport_->was_taken(slowest) ? loop_.deadlines.arm(writing_, limit_)
                                         : transport_->abort(asio::error::timed_out);
      }),
      doubting_([this] { transport_->abort(asio::error::timed_out); }) {
    open_session();
}

// ---- its life -------------------------------------------------------------------------------------------------------

void AppConnection::start() {
    loop_.deadlines.arm(introducing_, patience_);
    loop_.tasks.start(run(shared_from_this()));
}

Task<> AppConnection::run([[maybe_unused]] std::shared_ptr<AppConnection> self) {
    send();
    while (!ended_) {
        const error_code ec = transport_->input().empty() ? co_await transport_->more(0) : error_code();
        if (ec || ended_ || !read_input()) break;
    }
    end();
}

Task<error_code> AppConnection::introduction() {
    while (!has_settings_ && !ended_) co_await introduced_.wait();
    if (has_settings_ && !ended_) co_return error_code();
    const bool late = !introducing_.armed();
    co_return late ? error_code(asio::error::timed_out) : make_error_code(errc::bad_message);
}

bool AppConnection::has_room() const {
    if (!has_settings_ || ended_ || no_more_ || doubting_.armed()) return false;
    if (sending_ && loop_.deadlines.now() - sending_since_ > patience_) return false;
    const std::uint32_t allowed =
        nghttp2_session_get_remote_settings(session_.get(), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return open_ < std::min(allowed, most_streams_each) && nghttp2_session_check_request_allowed(session_.get()) != 0;
}

bool AppConnection::takes(std::size_t section_size) const {
    return section_size <= nghttp2_session_get_remote_settings(session_.get(), NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE);
}

/// Returns whether the connection goes on.
bool AppConnection::read_input() {
    const std::string_view input = transport_->input();
    const auto n =
        nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
    transport_->consume(input.size());
    if (n < 0) nghttp2_session_terminate_session(session_.get(), NGHTTP2_PROTOCOL_ERROR);
    act();
    transport_->release_input();
    return n >= 0 && !ended_;
}

void AppConnection::note_frame() {
    const auto now = loop_.deadlines.now();
    if (chatter_++ == 0) chatter_since_ = now;
    if (chatter_ <= most_chatter) return;
    if (now - chatter_since_ >= chatter_time) {
        chatter_ = 0;
    } else {
        nghttp2_session_terminate_session(session_.get(), NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

void AppConnection::shut_down() {
    if (ended_ || std::exchange(no_more_, true)) return;
    nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
    act_soon();
}

void AppConnection::doubt() {
    if (ended_ || doubting_.armed()) return;
    nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
    loop_.deadlines.arm(doubting_, patience_);
    act_soon();
}

/// The connection is over: so are all streams.
void AppConnection::end() {
    ended_ = true;
    for (const auto& [id, stream] : streams_) {
        stream->on_lost();
        changed_.push_back(id);
    }
    transport_->close();
    act_soon();
}

// ---- acting on what was noted ---------------------------------------------------------------------------------------

AppStream* AppConnection::find(std::int32_t id) const {
    const auto found = streams_.find(id);
    return found == streams_.end() ? nullptr : found->second;
}

void AppConnection::wake(std::int32_t id) {
    if (AppStream* stream = find(id)) stream->wake_writer();
    if (AppStream* stream = find(id)) stream->wake_reader();
}

void AppConnection::act() {
    act_is_due_ = false;
    send();
    while (!changed_.empty()) {
        std::vector<std::int32_t> noted = std::exchange(changed_, {});
        std::sort(noted.begin(), noted.end());
        noted.erase(std::unique(noted.begin(), noted.end()), noted.end());
        for (const std::int32_t id : noted) wake(id);
        send();
    }
    if (has_settings_ || ended_) introduced_.notify();
    if (has_settings_) introducing_.disarm();
    if (on_rest_ && (streams_.empty() || ended_)) on_rest_();
}

/// Behind all that is ready now: what other streams do in this turn goes along.
void AppConnection::act_soon() {
    if (std::exchange(act_is_due_, true)) return;
    asio::post(loop_.context, [self = shared_from_this()] { self->act(); });
}

void AppConnection::changed(std::int32_t id) {
    changed_.push_back(id);
    act_soon();
}

// ---- sending --------------------------------------------------------------------------------------------------------

void AppConnection::send() {
    if (sending_ || ended_) return;
    thread_local std::string out;
    bool more = true;
    while (more) {
        more = take_to_send(session_.get(), most_sent_at_once, out);
        if (out.empty() || transport_->send({out})) continue;
        sending_ = true;
        loop_.tasks.start(finish_sending(shared_from_this()));
        return;
    }
    if (nghttp2_session_want_read(session_.get()) || nghttp2_session_want_write(session_.get())) return;
    ended_ = true;
    transport_->interrupt();
}

Task<> AppConnection::finish_sending([[maybe_unused]] std::shared_ptr<AppConnection> self) {
    sending_since_ = loop_.deadlines.now();
    transport_->was_taken(0);
    loop_.deadlines.arm(writing_, limit_);
    const error_code ec = co_await transport_->flush();
    writing_.disarm();
    sending_ = false;
    // Where it has failed, what the app said before is still read.
    if (!ec) act_soon();
}

}  // namespace rotagate::proxy::http2
