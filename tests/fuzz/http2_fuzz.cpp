#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "app_request.hpp"
#include "proxy/http2_frames.hpp"
#include "proxy/http2_request.hpp"

/// What a client sends behind its preface: the frames are told the same however they are cut, and each request that is
/// accepted leaves as one request over HTTP/1 that names no user but the gateway's.
namespace {

using namespace rotagate::proxy;
using rotagate::fuzz::require;

constexpr std::size_t header_limit = 16384;

std::string text_of(const std::uint8_t* data, std::size_t size) { return {reinterpret_cast<const char*>(data), size}; }

struct Request {
    Arena arena;
    RequestHead head;
    http2::RequestReader reader{head, arena, header_limit};
};

struct Requests {
    std::map<std::int32_t, std::unique_ptr<Request>> streams;

    static Requests& of(void* user) { return *static_cast<Requests*>(user); }

    static int on_begin(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
            of(user).streams.emplace(frame->hd.stream_id, std::make_unique<Request>());
        return 0;
    }

    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                         const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
        const auto found = of(user).streams.find(frame->hd.stream_id);
        if (found == of(user).streams.end()) return 0;
        auto& reader = found->second->reader;
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
            reader.add(text_of(name, name_size), text_of(value, value_size));
        return reader.hopeless() ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
    }

    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        const auto found = of(user).streams.find(frame->hd.stream_id);
        if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
        if (found == of(user).streams.end()) return 0;
        Request& request = *found->second;
        const bool has_body = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0;
        if (request.reader.finish(true, has_body) || request.head.websocket != WebSocket::none) return 0;
        rotagate::fuzz::check_app_request(request.head, false);
        rotagate::fuzz::check_app_request(request.head, true);
        return 0;
    }

    static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
        of(user).streams.erase(id);
        return 0;
    }
};

void read_requests(const std::string& sent) {
    Requests requests;
    nghttp2_session_callbacks* callbacks = nullptr;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, &Requests::on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, &Requests::on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &Requests::on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &Requests::on_close);
    nghttp2_session* session = nullptr;
    if (nghttp2_session_server_new(&session, callbacks, &requests) != 0) throw std::bad_alloc();
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}};
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 1);
    const std::uint8_t* out = nullptr;
    while (nghttp2_session_mem_send(session, &out) > 0) continue;
    nghttp2_session_mem_recv(session, reinterpret_cast<const std::uint8_t*>(sent.data()), sent.size());
    while (nghttp2_session_mem_send(session, &out) > 0) continue;
    nghttp2_session_del(session);
}

/// Type and stream of each frame, read in pieces of that size.
std::vector<std::pair<unsigned, std::int32_t>> frames(const std::string& sent, std::size_t piece) {
    http2::FrameHeads heads;
    std::vector<std::pair<unsigned, std::int32_t>> all;
    for (std::size_t from = 0; from < sent.size(); from += piece) {
        const std::string_view input = std::string_view(sent).substr(from, piece);
        std::size_t at = 0;
        while (const auto head = heads.next(input, at)) {
            require(at <= input.size() && head->stream >= 0);
            all.emplace_back(head->type, head->stream);
        }
        require(at == input.size());
    }
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string sent = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + text_of(data, size);
    const auto whole = frames(sent, sent.size());
    require(frames(sent, 1) == whole && frames(sent, 100) == whole);
    read_requests(sent);
    return 0;
}
