#include "bench/http2_connection.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>

#include "bench/http_client.hpp"

namespace rotagate::bench {
namespace {

using proxy::http2::pair_of;
using proxy::http2::take_to_send;
using proxy::http2::text_of;

constexpr std::int32_t window = 16 << 20;  // bytes: it shall never be the client that slows a download down

Http2Exchange* exchange_of(nghttp2_session* session, std::int32_t id) {
    return static_cast<Http2Exchange*>(nghttp2_session_get_stream_user_data(session, id));
}

ssize_t read_body(nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t room, std::uint32_t* flags,
                  nghttp2_data_source* source, void*) {
    auto& body = static_cast<Http2Exchange*>(source->ptr)->body;
    const std::size_t n = std::min(room, body.size());
    std::memcpy(to, body.data(), n);
    body.remove_prefix(n);
    if (body.empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
}

}  // namespace

/// What nghttp2 calls while it reads. Nobody is resumed from in there: who is could call nghttp2 in turn.
struct Http2Connection::Callbacks {
    static Http2Connection& self(void* user) { return *static_cast<Http2Connection*>(user); }

    static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                         std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                         void*) {
        Http2Exchange* exchange = exchange_of(session, frame->hd.stream_id);
        if (!exchange || exchange->has_head) return 0;
        const std::string_view field = text_of(name, name_size), content = text_of(value, value_size);
        if (field == ":status") {
            std::from_chars(content.data(), content.data() + content.size(), exchange->head.status);
            return 0;
        }
        const std::string_view kept_name = exchange->text.emplace_back(field);
        const std::string_view kept_value = exchange->text.emplace_back(content);
        exchange->head.fields.push_back({kept_name, kept_value, proxy::classify(kept_name)});
        return 0;
    }

    static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
        if (frame->hd.type == NGHTTP2_GOAWAY) self(user).going_away_ = true;
        if (frame->hd.type != NGHTTP2_HEADERS) return 0;
        Http2Exchange* exchange = exchange_of(session, frame->hd.stream_id);
        if (!exchange || exchange->has_head) return 0;
        if (exchange->head.status < 200) {  // an interim answer
            exchange->head.fields.clear();
            return 0;
        }
        exchange->has_head = true;
        self(user).changed_.push_back(exchange);
        return 0;
    }

    static int on_close(nghttp2_session* session, std::int32_t id, std::uint32_t error, void* user) {
        Http2Exchange* exchange = exchange_of(session, id);
        if (!exchange) return 0;
        exchange->has_end = true;
        exchange->id = 0;
        if (error != NGHTTP2_NO_ERROR) exchange->failure = Failure::closed;
        exchange->refused = error == NGHTTP2_REFUSED_STREAM;  // or beyond the last one that GOAWAY names
        std::erase(self(user).active_, exchange);
        self(user).changed_.push_back(exchange);
        return 0;
    }
};

Http2Connection::~Http2Connection() {
    if (stream_) stream_->close();
}

bool Http2Connection::greet() {
    nghttp2_session_callbacks* callbacks = nullptr;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
    nghttp2_session_callbacks_set_on_header_callback(callbacks, &Callbacks::on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &Callbacks::on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &Callbacks::on_close);
    nghttp2_session* session = nullptr;
    const int made = nghttp2_session_client_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    if (made != 0) throw std::bad_alloc();
    session_.reset(session);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                               {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    return nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings)) == 0 &&
           nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, window) == 0;
}

Task<Failure> Http2Connection::open() {
    while (opening_) {  // another request has it opened
        proxy::Signal opened;
        awaiting_open_.push_back(&opened);
        co_await opened.wait();
    }
    if (stream_) co_return Failure::none;
    opening_ = true;
    const Failure failure = co_await connect();
    opening_ = false;
    for (proxy::Signal* waiting : std::exchange(awaiting_open_, {})) loop_.post([waiting] { waiting->notify(); });
    co_return failure;
}

Task<Failure> Http2Connection::connect() {
    auto connected = co_await loop_.next_connector().connect(loop_.deadlines(), loop_.settings().timeout);
    if (!connected) co_return connect_failure(loop_, connected.error());
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    if (SSL* ssl = (*connected)->ssl()) SSL_get0_alpn_selected(ssl, &protocol, &size);
    if (protocol && text_of(protocol, size) != "h2") co_return Failure::tls;
    if (!protocol && (*connected)->ssl()) co_return Failure::tls;
    stream_ = std::move(*connected);
    going_away_ = sending_ = false;
    if (!greet()) co_return Failure::malformed;
    flush();
    loop_.run(read(shared_from_this(), stream_));
    co_return Failure::none;
}

void Http2Connection::submit(Http2Exchange& exchange, const Fields& fields) {
    std::vector<nghttp2_nv> pairs;
    pairs.reserve(fields.size());
    for (const auto& [name, value] : fields) pairs.push_back(pair_of(name, value));
    nghttp2_data_provider body{};
    body.source.ptr = &exchange;
    body.read_callback = &read_body;
    if (is_open())
        exchange.id = nghttp2_submit_request(session_.get(), nullptr, pairs.data(), pairs.size(),
                                             exchange.body.empty() ? nullptr : &body, &exchange);
    if (exchange.id <= 0) {  // no stream ids are left, or the server has said goodbye since this was opened
        exchange.id = 0;
        exchange.has_end = exchange.refused = true;
        exchange.failure = Failure::closed;
        return;
    }
    active_.push_back(&exchange);
    flush_soon();
}

void Http2Connection::cancel(Http2Exchange& exchange) {
    std::erase(active_, &exchange);
    std::erase(changed_, &exchange);
    if (exchange.id == 0 || !session_) return;
    nghttp2_session_set_stream_user_data(session_.get(), exchange.id, nullptr);
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, exchange.id, NGHTTP2_CANCEL);
    exchange.id = 0;
    flush_soon();
}

void Http2Connection::close(Failure reason) {
    if (!stream_) return;
    std::exchange(stream_, nullptr)->close();
    for (Http2Exchange* exchange : std::exchange(active_, {})) {
        exchange->id = 0;
        exchange->has_end = true;
        exchange->failure = reason;
        changed_.push_back(exchange);
    }
    session_.reset();
    tell();
}

/// A server that says goodbye leaves it to the client to close.
void Http2Connection::end_if_done() {
    if (going_away_ && active_.empty()) close(Failure::closed);
}

/// Has those go on whose answers have changed.
void Http2Connection::tell() {
    while (!changed_.empty()) {
        Http2Exchange* exchange = changed_.back();
        changed_.pop_back();
        exchange->changed.notify();
    }
}

Task<> Http2Connection::read([[maybe_unused]] std::shared_ptr<Http2Connection> self,
                             std::shared_ptr<proxy::Stream> stream) {
    while (stream_ == stream) {
        const std::string_view input = stream->input();
        if (!input.empty()) {
            const auto n = nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const std::uint8_t*>(input.data()),
                                                    input.size());
            if (n < 0) break;
            stream->consume(static_cast<std::size_t>(n));
            flush();
            tell();
            if (stream_ == stream) end_if_done();
            continue;
        }
        const proxy::error_code error = co_await stream->more(0);
        if (error) break;
    }
    if (stream_ == stream) close(Failure::closed);
}

void Http2Connection::flush_soon() {
    if (std::exchange(flush_is_due_, true)) return;
    loop_.post([self = shared_from_this()] {
        self->flush_is_due_ = false;
        self->flush();
        self->tell();  // of what could not be sent any more
        self->end_if_done();
    });
}

void Http2Connection::flush() {
    if (!stream_) return;
    take_to_send(session_.get(), std::string::npos, out_);
    if (out_.empty() || stream_->send({out_}) || std::exchange(sending_, true)) return;
    loop_.run(finish_sending(shared_from_this(), stream_));
}

Task<> Http2Connection::finish_sending([[maybe_unused]] std::shared_ptr<Http2Connection> self,
                                       std::shared_ptr<proxy::Stream> stream) {
    co_await stream->flush();
    if (stream_ == stream) sending_ = false;
}

}  // namespace rotagate::bench
