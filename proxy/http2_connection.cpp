#include "proxy/http2_connection.hpp"

#include <algorithm>
#include <chrono>

#include <boost/asio/post.hpp>

#include "proxy/http2_limits.hpp"

namespace rotagate::proxy::http2 {
namespace {

// A page that is left may reset all its streams some times over, and go on. Time forgives, not requests that go well:
// those can be had for nothing.
constexpr int most_strikes = 800;
constexpr std::chrono::milliseconds one_forgiven_after{30};
// A client that knows its limit has no more streams than most_streams that it has not heard of being reset.
constexpr std::size_t most_resets_known = std::size_t{2} * most_streams;

/// The error to close a connection with that nghttp2 does not read on.
std::uint32_t last_word(ssize_t error) {
    const bool flooded = error == NGHTTP2_ERR_FLOODED || error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;
    if (flooded) return NGHTTP2_ENHANCE_YOUR_CALM;
    return error == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_INTERNAL_ERROR;
}

}  // namespace

Connection::Connection(Frontend& frontend, std::shared_ptr<proxy::Stream> transport)
    : frontend_(frontend),
      transport_(std::move(transport)),
      deadline_([this] { timed_out_ = true, transport_->interrupt(); }),
      writing_([this] {
          // One who takes it slowly may not hold up the gateway's end.
          const bool goes_on = transport_->was_taken(slowest) && !frontend_.ending();
          goes_on ? watch_client() : transport_->give_up_sending();
      }),
      last_call_([this] { tell_last_request(); }) {
    open_session();
}

// ---- reading --------------------------------------------------------------------------------------------------------

Task<> Connection::run() {
    const auto self = shared_from_this();
    introduce();
    if (frontend_.ending()) drain();  // it began during the handshake
    while (!ended_) {
        while (sending_ && !taken_ && !ended_) co_await progress_.wait();  // who takes nothing is not listened to
        taken_ = false;
        const error_code ec = transport_->input().empty() ? co_await more() : error_code();
        if (ended_) break;
        // An idle connection may hear of a request in the very turn in which its time is over.
        if (std::exchange(timed_out_, false) && (ec || head_of_ != 0)) {
            nghttp2_session_terminate_session(session_.get(), NGHTTP2_NO_ERROR);
            act();
            break;
        }
        if (ec == asio::error::operation_aborted) continue;
        if (ec || !read_input()) break;
    }
    end();
    while (!streams_.empty() || sending_) co_await progress_.wait();
}

/// Waits for what the client sends. A head that has begun has header_timeout to its end, a connection without requests
/// idle_timeout, whatever else the client says; streams look after themselves.
Task<error_code> Connection::more() {
    Deadlines& deadlines = frontend_.loop.deadlines;
    const auto limit = frontend_.idle_limit();
    if (head_of_ != 0) {
        if (!deadline_.armed()) deadlines.arm(deadline_, frontend_.loop.site->config.limits.header_timeout);
    } else if (streams_.empty() && !deadline_.armed()) {
        arm_idle();
    }
    error_code ec;
    if (parked_) ec = co_await transport_->wait_parked();
    if (!ec) ec = co_await transport_->more(0);
    const bool may_park = ec && streams_.empty() && head_of_ == 0 && !ended_ && !parked_ && limit > park_after;
    if (may_park && std::exchange(timed_out_, false)) {
        parked_ = true;
        deadlines.arm(deadline_, limit - park_after);
    }
    co_return ec;
}

void Connection::arm_idle() { frontend_.loop.deadlines.arm(deadline_, std::min(frontend_.idle_limit(), park_after)); }

/// Returns whether the connection goes on.
bool Connection::read_input() {
    const std::string_view input = transport_->input();
    const auto n = receive(input);
    transport_->consume(input.size());
    if (n < 0) nghttp2_session_terminate_session(session_.get(), last_word(n));
    act();
    transport_->release_input();
    return n >= 0 && !ended_;
}

/// Gives it all to nghttp2, which says nothing of DATA for a stream that it has forgotten: to have it remember them
/// would cost 23 KiB for each connection. So what may be such is looked at, when all that came ahead of it has been
/// read.
ssize_t Connection::receive(std::string_view input) {
    std::size_t read = 0, at = 0;
    bool resets = false;
    const auto read_up_to = [&](std::size_t end) {
        const std::string_view part = input.substr(read, end - read);
        read = end;
        return nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const std::uint8_t*>(part.data()),
                                        part.size());
    };
    while (const auto head = frames_.next(input, at)) {
        resets |= head->type == NGHTTP2_RST_STREAM;
        if (head->type != NGHTTP2_DATA) continue;
        const Stream* stream = find(head->stream);
        if (stream && !stream->closed() && !resets) continue;
        if (const auto n = read_up_to(at); n < 0) return n;
        // With content, there may honestly be any number of them under way.
        if (head->size == 0 && !nghttp2_session_find_stream(session_.get(), head->stream)) note_frame();
        if (is_late(head->stream)) nghttp2_session_terminate_session(session_.get(), NGHTTP2_STREAM_CLOSED);
    }
    return read_up_to(input.size());
}

/// Counts a reset; time takes the counts back.
void Connection::strike(int cost) {
    const auto forgiven = (std::chrono::steady_clock::now() - strikes_since_) / one_forgiven_after;
    strikes_since_ += forgiven * one_forgiven_after;
    strikes_ = static_cast<int>(std::max<std::int64_t>(0, strikes_ - forgiven)) + cost;
    if (strikes_ > most_strikes) give_up_on_client();
}

void Connection::note_frame() {
    const auto now = frontend_.loop.deadlines.now();
    if (chatter_++ == 0) chatter_since_ = now;
    if (chatter_ <= most_chatter) return;
    if (now - chatter_since_ < chatter_time) return give_up_on_client();
    chatter_ = 0;
}

void Connection::note_reset(std::int32_t id) {
    if (reset_.size() < most_resets_known) return reset_.push_back(id);
    reset_[resets_++ % most_resets_known] = id;
}

/// Whether HEADERS or DATA come for a stream that is closed, and the client must know: it is not one that we have reset
/// while they may have been on their way.
bool Connection::is_late(std::int32_t id) const {
    return id > 0 && id <= nghttp2_session_get_last_proc_stream_id(session_.get()) &&
           !nghttp2_session_find_stream(session_.get(), id) && std::ranges::find(reset_, id) == reset_.end();
}

void Connection::give_up_on_client() { nghttp2_session_terminate_session(session_.get(), NGHTTP2_ENHANCE_YOUR_CALM); }

Stream* Connection::find(std::int32_t id) {
    const auto found = streams_.find(id);
    return found == streams_.end() ? nullptr : found->second.get();
}

// ---- acting on what was noted ---------------------------------------------------------------------------------------

Task<> Connection::serve([[maybe_unused]] std::shared_ptr<Connection> self, Stream& stream, bool has_body) {
    try {
        co_await stream.serve(has_body);
    } catch (...) {
        stream.abandon();
        changed(stream);
        throw;  // to be logged
    }
    changed(stream);
}

void Connection::act() {
    act_is_due_ = false;
    for (const Begun begun : std::exchange(begun_, {})) {
        Stream* stream = find(begun.id);
        if (stream && !stream->closed()) frontend_.loop.tasks.start(serve(shared_from_this(), *stream, begun.has_body));
    }
    send();
    while (!changed_.empty()) {
        auto noted = std::exchange(changed_, {});
        std::sort(noted.begin(), noted.end());
        noted.erase(std::unique(noted.begin(), noted.end()), noted.end());
        for (const std::int32_t id : noted) {
            if (Stream* stream = find(id)) stream->wake();
        }
        send();
    }
    // Only here does a stream go: none of its coroutines is on the stack.
    std::erase_if(streams_, [this](const auto& entry) {
        const Stream& stream = *entry.second;
        if (!stream.closed() || stream.busy()) return false;
        nghttp2_session_consume_connection(session_.get(), stream.unread());
        return true;
    });
    if (!streams_.empty()) return;
    if (head_of_ == 0 && !ended_ && !deadline_.armed())
        arm_idle();  // the last stream ended while the client said nothing
    progress_.notify();
}

/// Behind all that is ready now: what other streams do in this turn goes along.
void Connection::act_soon() {
    if (std::exchange(act_is_due_, true)) return;
    asio::post(frontend_.loop.context, [self = shared_from_this()] { self->act(); });
}

void Connection::changed(Stream& stream) {
    changed_.push_back(stream.id());
    act_soon();
}

/// Says first that no more requests should come, and which was the last when the client must have heard: so none that
/// was under way is lost (RFC 9113 section 6.8).
void Connection::drain() {
    if (ended_) return;
    nghttp2_submit_shutdown_notice(session_.get());  // a PING follows it, lest it overtakes
    frontend_.loop.deadlines.arm(last_call_, drain_grace);
    act_soon();
}

void Connection::tell_last_request() {
    last_call_.disarm();
    nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_.get()),
                          NGHTTP2_NO_ERROR, nullptr, 0);
    for (const auto& [id, stream] : streams_) stream->drain();
    act_soon();
    if (streams_.empty()) transport_->interrupt();  // to wait for no longer than a draining gateway does
}

void Connection::look_after() {
    for (const auto& [id, stream] : streams_) stream->look_after();
}

/// The connection is over: so are all streams.
void Connection::end() {
    ended_ = true;
    deadline_.disarm();
    last_call_.disarm();
    for (const auto& [id, stream] : streams_) {
        stream->on_close();
        changed_.push_back(id);
    }
    act_soon();
}

}  // namespace rotagate::proxy::http2
