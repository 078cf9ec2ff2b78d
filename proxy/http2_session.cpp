// The half of an HTTP/2 connection that speaks with nghttp2: what its callbacks note, and what is submitted to it.
#include <algorithm>
#include <charconv>
#include <iterator>
#include <new>

#include <spdlog/spdlog.h>

#include "proxy/grammar.hpp"
#include "proxy/http2_connection.hpp"
#include "proxy/http2_limits.hpp"
#include "proxy/http2_memory.hpp"

namespace rotagate::proxy::http2 {
namespace {

constexpr std::uint32_t no_limit = 0xffffffff;
// Of what a client may send ahead of the app: for one stream, and for the connection. Bytes.
constexpr std::int32_t stream_window = 256 * 1024, connection_window = 1024 * 1024;

// Of a client's strikes: for a reset that it made us send, for one that ended work that nobody saw anything of yet, and
// for one that came ahead of all work, or of a stream whose answer is under way, as of a page that is left.
constexpr int for_a_fault = 4, for_lost_work = 2, for_little = 1;

/// Of what we reset a stream for. A client that has us do so costs as much as one that resets its streams itself.
bool is_clients_fault(std::uint32_t error) {
    return error == NGHTTP2_PROTOCOL_ERROR || error == NGHTTP2_FLOW_CONTROL_ERROR || error == NGHTTP2_STREAM_CLOSED ||
           error == NGHTTP2_REFUSED_STREAM;
}

}  // namespace

struct Connection::Callbacks {
    static Connection& self(void* user) { return *static_cast<Connection*>(user); }

    static int on_begin_frame(nghttp2_session* session, const nghttp2_frame_hd* head, void* user) {
        Connection& me = self(user);
        me.note_frame();
        // nghttp2 ignores a head for a stream that it has forgotten.
        if (head->type == NGHTTP2_HEADERS && me.is_late(head->stream_id))
            nghttp2_session_terminate_session(session, NGHTTP2_STREAM_CLOSED);
        return 0;
    }

    static int on_begin(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
        if (frame->hd.type != NGHTTP2_HEADERS) return 0;
        Connection& me = self(user);
        me.head_of_ = frame->hd.stream_id;
        me.deadline_.disarm();
        me.parked_ = false;
        if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
        // Those that were reset while their app had not noticed yet are still served.
        if (me.open_ >= most_streams || me.streams_.size() >= 2 * std::size_t{most_streams}) {
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
            return 0;  // nothing was done for it: it may be asked for again
        }
        ++me.open_;
        me.streams_.emplace(frame->hd.stream_id, std::make_unique<Stream>(me, frame->hd.stream_id));
        return 0;
    }

    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                         const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
        Stream* stream = self(user).find(frame->hd.stream_id);
        if (!stream) return 0;
        if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
            if (stream->on_trailer(text_of(name, name_size), text_of(value, value_size))) return 0;
            self(user).strike(for_a_fault);
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        stream->head().add(text_of(name, name_size), text_of(value, value_size));
        if (!stream->head().hopeless()) return 0;
        self(user).strike(for_a_fault);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }

    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        Connection& me = self(user);
        const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        Stream* stream = me.find(frame->hd.stream_id);
        switch (frame->hd.type) {
            case NGHTTP2_HEADERS:
                me.head_of_ = 0;
                me.deadline_.disarm();
                me.chatter_ = 0;
                if (!stream) return 0;
                if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
                    me.begun_.push_back({frame->hd.stream_id, !ends});
                } else if (ends) {
                    stream->on_body_end();
                    me.changed_.push_back(stream->id());
                }
                return 0;
            case NGHTTP2_DATA:
                if (!stream || !ends) return 0;
                stream->on_body_end();
                me.changed_.push_back(stream->id());
                return 0;
            case NGHTTP2_RST_STREAM:
                me.strike(stream && stream->unanswered() ? for_lost_work : for_little);
                return 0;
            case NGHTTP2_PING:
                if (ends && me.last_call_.armed() && std::ranges::equal(frame->ping.opaque_data, last_call))
                    me.tell_last_request();
                return 0;
            default:
                return 0;
        }
    }

    static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                       void* user) {
        Connection& me = self(user);
        if (size > 0) me.chatter_ = 0;
        Stream* stream = me.find(id);
        if (!stream) {
            me.consumed(id, size);
            return 0;
        }
        stream->on_body(text_of(data, size));
        me.changed_.push_back(id);
        return 0;
    }

    static int on_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
        Connection& me = self(user);
        const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (frame->hd.type == NGHTTP2_DATA) me.chatter_ = 0;
        if (frame->hd.type == NGHTTP2_GOAWAY && me.last_call_.armed())
            nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, last_call.data());
        if (frame->hd.type == NGHTTP2_RST_STREAM) {
            if (me.head_of_ == frame->hd.stream_id) me.head_of_ = 0, me.deadline_.disarm();  // given up
            me.note_reset(frame->hd.stream_id);
            if (is_clients_fault(frame->rst_stream.error_code)) me.strike(for_a_fault);
        }
        if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
        Stream* stream = me.find(frame->hd.stream_id);
        if (!stream) return 0;
        me.changed_.push_back(stream->id());
        if (!ends) return 0;
        // The answer is complete, and the rest of the request is not wanted (RFC 9113 section 8.1).
        if (!stream->body_ended())
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id(), NGHTTP2_NO_ERROR);
        return 0;
    }

    /// What cannot be sent would leave the client waiting.
    static int on_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int error, void*) {
        const std::int32_t id = frame->hd.stream_id;
        if (frame->hd.type != NGHTTP2_HEADERS || !nghttp2_session_find_stream(session, id)) return 0;
        if (error == NGHTTP2_ERR_STREAM_CLOSING) return 0;  // it is being reset
        spdlog::warn("http2.head_not_sent error=\"{}\"", nghttp2_strerror(error));
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
        return 0;
    }

    static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
        Stream* stream = self(user).find(id);
        if (!stream) return 0;
        --self(user).open_;
        stream->on_close();
        self(user).changed_.push_back(id);
        return 0;
    }

    static ssize_t read_answer(nghttp2_session* session, std::int32_t id, std::uint8_t* to, std::size_t room,
                               std::uint32_t* flags, nghttp2_data_source* source, void* user) {
        bool end = false;
        auto& stream = *static_cast<Stream*>(source->ptr);
        const std::size_t n = stream.read_answer({reinterpret_cast<char*>(to), room}, end);
        self(user).sent_ += n;
        if (end) *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (end && !stream.trailers().empty()) {
            const auto trailers = self(user).section_.of({}, stream.trailers());
            if (nghttp2_submit_trailer(session, id, trailers.data(), trailers.size()) == 0)
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        }
        return n == 0 && !end ? static_cast<ssize_t>(NGHTTP2_ERR_DEFERRED) : static_cast<ssize_t>(n);
    }
};

void Connection::open_session() {
    const auto callbacks =
        made<nghttp2_session_callbacks_new, nghttp2_session_callbacks_del, nghttp2_session_callbacks>();
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks.get(), &Callbacks::on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks.get(), &Callbacks::on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks.get(), &Callbacks::on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks.get(), &Callbacks::on_data);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks.get(), &Callbacks::on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks.get(), &Callbacks::on_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks.get(), &Callbacks::on_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks.get(), &Callbacks::on_close);
    const auto options = made<nghttp2_option_new, nghttp2_option_del, nghttp2_option>();
    nghttp2_option_set_no_auto_window_update(options.get(), 1);  // the app's pace is the client's
    nghttp2_option_set_no_closed_streams(options.get(), 1);
    nghttp2_option_set_max_send_header_block_length(options.get(), most_head_sent);
    nghttp2_session* session = nullptr;
    if (nghttp2_session_server_new3(&session, callbacks.get(), this, options.get(), pooled_memory()) != 0)
        throw std::bad_alloc();
    session_.reset(session);
    const auto header_bytes = static_cast<std::uint32_t>(frontend_.loop.site->config.limits.header_bytes);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, no_limit},  // see introduce()
                                               {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
                                               {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
                                               {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, header_bytes}};
    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings)) != 0 ||
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, connection_window) != 0)
        throw std::bad_alloc();
}

std::span<const nghttp2_nv> Connection::fields_of(const AnswerHead& head) {
    std::to_chars(status_, status_ + sizeof status_, head.status);
    return section_.of({{":status", {status_, sizeof status_}}}, {head.fields.data(), head.fields.size()});
}

void Connection::submit_informational(Stream& stream, const AnswerHead& head) {
    const auto fields = fields_of(head);
    nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, stream.id(), nullptr, fields.data(), fields.size(),
                           nullptr);
    act_soon();
}

void Connection::submit_answer(Stream& stream, const AnswerHead& head, bool has_body) {
    const auto fields = fields_of(head);
    nghttp2_data_provider body{};
    body.source.ptr = &stream;
    body.read_callback = &Callbacks::read_answer;
    nghttp2_submit_response(session_.get(), stream.id(), fields.data(), fields.size(), has_body ? &body : nullptr);
    act_soon();
}

bool Connection::has_credit(const Stream& stream) const {
    return nghttp2_session_get_stream_remote_window_size(session_.get(), stream.id()) > 0;
}

void Connection::resume_answer(Stream& stream) {
    nghttp2_session_resume_data(session_.get(), stream.id());
    act_soon();
}

void Connection::consumed(std::int32_t id, std::size_t bytes) {
    nghttp2_session_consume(session_.get(), id, bytes);
    act_soon();
}

void Connection::reset(Stream& stream, std::uint32_t error) {
    if (stream.closed()) return;
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream.id(), error);
    act_soon();
}

}  // namespace rotagate::proxy::http2
