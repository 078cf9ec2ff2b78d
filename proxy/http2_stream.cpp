#include "proxy/http2_stream.hpp"

#include <algorithm>
#include <utility>

#include <boost/system/errc.hpp>

#include "proxy/http2_connection.hpp"
#include "proxy/pipeline.hpp"

namespace rotagate::proxy::http2 {
namespace {

namespace errc = boost::system::errc;

// What an answer may be ahead of its client: enough that the app need not wait for each of the client's window updates.
constexpr std::size_t most_waiting = 64 * config::KiB;
// What an idle tunnel may keep of each of its texts.
constexpr std::size_t most_kept = 1 * config::KiB;
// After a tunnel, for the client to take the goodbye.
constexpr std::chrono::milliseconds time_to_read_goodbye{1000};

void give_back(pool::String& text) {
    if (text.empty() && text.capacity() > most_kept) pool::String().swap(text);
}

}  // namespace

Stream::Stream(Connection& connection, std::int32_t id)
    : connection_(connection),
      id_(id),
      exchange_(std::make_unique<Exchange>(*this, connection.frontend().peer(), connection.frontend().loop.site)),
      head_(exchange_->request, exchange_->arena, exchange_->site->config.limits.header_bytes),
      reading_([this] { timed_out_ = true, body_changed_.notify(); }),
      writing_([this] { taken_or_reset(); }) {}

Task<> Stream::serve(bool has_body) {
    EventLoop& loop = connection_.frontend().loop;
    started_ = true;
    body_ended_ |= !has_body;
    Exchange& x = *exchange_;
    x.began = std::chrono::steady_clock::now();
    const auto error = head_.finish(connection_.frontend().ssl != nullptr, has_body);
    if (error) x.request.framing = Framing::none;
    if (const auto answer = connection_.frontend().prepare(x, error)) {
        co_await answer_and_record(loop, x, *answer);
    } else {
        co_await handle(loop, x);
    }
    if (x.tunnel) co_await carry();
    served_ = true;
    connection_.consumed(id_, std::exchange(body_, {}).size());
    if (closed_) co_return;
    // What is left of the answer is the connection's, for as long as the client may take.
    if (says_goodbye_) {
        loop.deadlines.arm(writing_, time_to_read_goodbye);
    } else {
        watch_client();
    }
}

/// Has the client take what waits.
void Stream::watch_client() {
    EventLoop& loop = connection_.frontend().loop;
    sent_then_ = sent_;
    all_sent_then_ = connection_.sent();
    loop.deadlines.arm(writing_, loop.site->config.limits.idle_timeout);
}

/// The client has had its time for what waits. It may be one that is slow, or takes the answers of other streams first.
void Stream::taken_or_reset() {
    // One who takes it slowly may not hold up the gateway's end.
    const bool slow = sent_ - sent_then_ >= (connection_.frontend().ending() ? most_waiting : slowest);
    const bool in_turn = connection_.sent() - all_sent_then_ >= slowest * connection_.streams();  // for each of them
    if (!says_goodbye_ && (slow || (in_turn && connection_.has_credit(*this)))) return watch_client();
    reset(NGHTTP2_CANCEL);
}

/// Carries a WebSocket to its end.
Task<> Stream::carry() {
    tunnel_ = std::move(exchange_->tunnel);
    exchange_.reset();
    if (connection_.frontend().ending()) tunnel_->drain();
    co_await tunnel_->run();
    says_goodbye_ = tunnel_->ended_here();
    tunnel_.reset();
}

void Stream::abandon() {
    served_ = true;
    cut();
}

void Stream::wake() {
    if (closed_ && !all_sent() && tunnel_) tunnel_->abandon();
    if (closed_ && !all_sent() && exchange_ && exchange_->app) exchange_->app->abort(make_error_code(errc::owner_dead));
    if (!body_.empty() || body_ended_ || body_stopped_ || closed_) body_changed_.notify();
    if (closed_ || reset_ || has_room()) room_.notify();
}

void Stream::look_after() {
    if (tunnel_) return tunnel_->look_after();
    if (!exchange_) return;
    EventLoop& loop = connection_.frontend().loop;
    Exchange& x = *exchange_;
    // What waits here is the session's, too, when the app has ended.
    const bool over = served_ ? x.session && !closed_ && !all_sent() && session_ended(loop, x)
                              : give_up(loop, x, closed_ && !all_sent());
    if (over) reset(NGHTTP2_CANCEL);
}

void Stream::drain() {
    if (tunnel_) tunnel_->drain();
}

// ---- the request's body ---------------------------------------------------------------------------------------------

void Stream::on_body(std::string_view bytes) {
    if (served_ || body_stopped_) return connection_.consumed(id_, bytes.size());
    body_ += bytes;
}

bool Stream::on_trailer(std::string_view name, std::string_view value) {
    // In a tunnel there is nothing but DATA (RFC 9113 section 8.5).
    return exchange_ && head_.add_trailer(name, value, exchange_->trailers);
}

BodyPiece Stream::take_body() {
    taken_.clear();
    std::swap(body_, taken_);
    if (!taken_.empty()) connection_.consumed(id_, taken_.size());
    if (!exchange_) return {.data = taken_, .end = body_ended_, .error = {}};
    body_bytes_ += taken_.size();
    exchange_->record.bytes_in = body_bytes_;
    const std::uint64_t limit = exchange_->site->config.limits.body_bytes;
    BodyPiece piece{.data = taken_, .end = body_ended_, .error = {}};
    if (limit > 0 && body_bytes_ > limit) piece.error = make_error_code(errc::message_size);
    return piece;
}

Task<BodyPiece> Stream::next_body() {
    EventLoop& loop = connection_.frontend().loop;
    timed_out_ = false;
    if (exchange_) {
        loop.deadlines.arm(reading_, loop.site->config.limits.idle_timeout);
    } else {
        taken_.clear();
        for (pool::String* text : {&taken_, &body_, &answer_}) give_back(*text);
    }
    while (body_.empty() && !body_ended_ && !closed_ && !body_stopped_ && !timed_out_) co_await body_changed_.wait();
    reading_.disarm();
    if (!body_.empty() || body_ended_) co_return take_body();
    const error_code why = timed_out_      ? error_code(asio::error::timed_out)
                           : body_stopped_ ? error_code(asio::error::operation_aborted)
                                           : error_code(asio::error::connection_reset);
    co_return BodyPiece{.data = {}, .end = false, .error = why};
}

void Stream::stop_body() {
    body_stopped_ = true;
    connection_.changed(*this);
}

// ---- the answer -----------------------------------------------------------------------------------------------------

bool Stream::has_room() const { return answer_.size() - answer_from_ < most_waiting; }

std::size_t Stream::read_answer(std::span<char> into, bool& end) {
    const std::size_t n = std::min(into.size(), answer_.size() - answer_from_);
    answer_.copy(into.data(), n, answer_from_);
    answer_from_ += n;
    sent_ += n;
    // Not for each frame, since it moves what is left.
    if (answer_from_ == answer_.size() || answer_from_ >= most_waiting)
        answer_.erase(0, std::exchange(answer_from_, 0));
    end = all_sent();
    return n;
}

bool Stream::send_informational(const AnswerHead& head) {
    if (!closed_) connection_.submit_informational(*this, head);
    return !closed_;
}

bool Stream::send_head(AnswerHead& head, std::string_view first, bool last) {
    exchange_->head_sent = true;
    if (closed_) return false;
    connection_.frontend().complete(head, length_text_);
    if (!head.has_body) first = {};
    answer_ += first;
    answer_ended_ = last || !head.has_body;
    exchange_->record.bytes_out += first.size();
    const bool ends = answer_.empty() && answer_ended_ && trailers_.empty();
    connection_.submit_answer(*this, head, !ends);
    return has_room();
}

bool Stream::send_body(std::string_view data, bool last) {
    if (closed_ || reset_) return false;
    answer_ += data;
    answer_ended_ = last;
    if (exchange_) exchange_->record.bytes_out += data.size();
    connection_.resume_answer(*this);
    return has_room();
}

Task<error_code> Stream::flush() {
    watch_client();
    while (!closed_ && !reset_ && !has_room()) co_await room_.wait();
    writing_.disarm();
    const bool over = closed_ || reset_;
    co_return over && !all_sent() ? error_code(asio::error::connection_reset) : error_code();
}

/// Ends the stream for the client, as soon as that takes something; and at once for who waits for room.
void Stream::reset(std::uint32_t code) {
    if (std::exchange(reset_, true)) return;
    pool::String().swap(answer_);
    answer_from_ = 0;
    connection_.reset(*this, code);
    connection_.changed(*this);
}

void Stream::cut() {
    // What a client may act on; all else is between the app and us.
    const std::uint32_t code = exchange_ ? exchange_->reset_code : 0;
    const bool tells = code == NGHTTP2_CANCEL || code == NGHTTP2_ENHANCE_YOUR_CALM;
    reset(tells ? code : static_cast<std::uint32_t>(NGHTTP2_INTERNAL_ERROR));
}

}  // namespace rotagate::proxy::http2
