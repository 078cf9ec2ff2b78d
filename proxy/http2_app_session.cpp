// The half of an HTTP/2 connection to an app that speaks with nghttp2: what its callbacks note, and what is submitted.
#include <iterator>

#include "proxy/forwarding.hpp"
#include "proxy/http2_app_connection.hpp"
#include "proxy/http2_limits.hpp"
#include "proxy/http2_memory.hpp"

namespace rotagate::proxy::http2 {
namespace {

// Of what an app may send ahead of a client: for one stream, and for the connection, which no slow client holds up for
// the others. Bytes.
constexpr std::int32_t app_stream_window = 128 * 1024, app_connection_window = 16 * 1024 * 1024;

}  // namespace

struct AppConnection::Callbacks {
    static AppConnection& self(void* user) { return *static_cast<AppConnection*>(user); }

    static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd*, void* user) {
        self(user).note_frame();
        return 0;
    }

    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                         const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
        AppStream* stream = self(user).find(frame->hd.stream_id);
        if (stream) stream->on_field(text_of(name, name_size), text_of(value, value_size));
        return 0;
    }

    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        AppConnection& me = self(user);
        const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        const bool acknowledges = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
        AppStream* stream = me.find(frame->hd.stream_id);
        switch (frame->hd.type) {
            case NGHTTP2_HEADERS:
                me.chatter_ = 0;
                if (!stream) return 0;
                stream->on_head_end(ends);
                me.changed_.push_back(stream->id);
                return 0;
            case NGHTTP2_DATA:
                if (!stream || !ends) return 0;
                stream->on_end();
                me.changed_.push_back(stream->id);
                return 0;
            case NGHTTP2_SETTINGS:
                me.has_settings_ |= !acknowledges;
                return 0;
            case NGHTTP2_PING:
                if (acknowledges) me.doubting_.disarm();
                return 0;
            default:
                return 0;
        }
    }

    static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                       std::size_t size, void* user) {
        AppConnection& me = self(user);
        if (size > 0) me.chatter_ = 0;
        nghttp2_session_consume_connection(session, size);
        AppStream* stream = me.find(id);
        if (!stream) return 0;  // it is being reset
        stream->on_body(text_of(data, size));
        me.changed_.push_back(id);
        return 0;
    }

    static int on_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        AppConnection& me = self(user);
        AppStream* stream = me.find(frame->hd.stream_id);
        switch (frame->hd.type) {
            case NGHTTP2_DATA:
                me.chatter_ = 0;
                if (stream) me.changed_.push_back(stream->id);
                return 0;
            case NGHTTP2_HEADERS:
                me.chatter_ = 0;
                if (stream) stream->on_sent();
                return 0;
            case NGHTTP2_RST_STREAM:
                if (stream && frame->rst_stream.error_code != NGHTTP2_CANCEL) stream->on_refusal();
                return 0;
            default:
                return 0;
        }
    }

    static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
        AppConnection& me = self(user);
        --me.open_;
        AppStream* stream = me.find(id);
        if (!stream) return 0;
        stream->on_close(code);
        me.changed_.push_back(id);
        return 0;
    }

    static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t* to, std::size_t room,
                             std::uint32_t* flags, nghttp2_data_source*, void* user) {
        AppConnection& me = self(user);
        AppStream* stream = me.find(id);
        if (!stream) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        bool end = false;
        const std::size_t n = stream->body_source().read({reinterpret_cast<char*>(to), room}, end);
        if (end) *flags |= NGHTTP2_DATA_FLAG_EOF;
        const Fields& trailers = stream->request_trailers();
        if (end && !trailers.empty()) {
            const auto pairs = me.section_.of({}, {trailers.data(), trailers.size()});
            if (nghttp2_submit_trailer(session, id, pairs.data(), pairs.size()) == 0)
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        }
        return n == 0 && !end ? static_cast<ssize_t>(NGHTTP2_ERR_DEFERRED) : static_cast<ssize_t>(n);
    }
};

void AppConnection::open_session() {
    const auto callbacks =
        made<nghttp2_session_callbacks_new, nghttp2_session_callbacks_del, nghttp2_session_callbacks>();
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks.get(), &Callbacks::on_begin_frame);
    nghttp2_session_callbacks_set_on_header_callback(callbacks.get(), &Callbacks::on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks.get(), &Callbacks::on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks.get(), &Callbacks::on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks.get(), &Callbacks::on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks.get(), &Callbacks::on_close);
    const auto options = made<nghttp2_option_new, nghttp2_option_del, nghttp2_option>();
    nghttp2_option_set_no_auto_window_update(options.get(), 1);  // the client's pace is the app's
    nghttp2_option_set_no_closed_streams(options.get(), 1);
    nghttp2_option_set_max_send_header_block_length(options.get(), most_head_sent);
    nghttp2_session* session = nullptr;
    if (nghttp2_session_client_new3(&session, callbacks.get(), this, options.get(), pooled_memory()) != 0)
        throw std::bad_alloc();
    session_.reset(session);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                               {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, app_stream_window},
                                               {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, max_answer_head}};
    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings)) != 0 ||
        nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, app_connection_window) != 0)
        throw std::bad_alloc();
}

void AppConnection::open(AppStream& stream, FieldSection::Pseudo pseudo, std::span<const Field> fields, bool has_body) {
    nghttp2_data_provider body{};
    body.read_callback = &Callbacks::read_body;
    const auto pairs = section_.of(pseudo, fields);
    stream.id = ended_ ? -1
                       : nghttp2_submit_request(session_.get(), nullptr, pairs.data(), pairs.size(),
                                                has_body ? &body : nullptr, nullptr);
    if (stream.id < 0) return stream.on_lost();
    ++open_;
    streams_.emplace(stream.id, &stream);
    act_soon();
}

void AppConnection::resume_body(AppStream& stream) {
    if (!stream.open()) return;
    nghttp2_session_resume_data(session_.get(), stream.id);
    act_soon();
}

void AppConnection::consumed(const AppStream& stream, std::size_t bytes) {
    nghttp2_session_consume_stream(session_.get(), stream.id, bytes);
    act_soon();
}

void AppConnection::reset(AppStream& stream) {
    if (stream.open() && !ended_)
        nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_CANCEL);
    changed(stream.id);
}

void AppConnection::leave(AppStream& stream) {
    if (streams_.erase(stream.id) == 0) return;
    if (stream.open() && !ended_)
        nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_CANCEL);
    act_soon();
}

}  // namespace rotagate::proxy::http2
