#pragma once

#include <memory>
#include <string_view>

#include <nghttp2/nghttp2.h>

/// What nghttp2 takes and gives, as C++ has it; for the gateway and the load generator.
namespace rotagate::proxy::http2 {

struct FreeSession {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
};
using Session = std::unique_ptr<nghttp2_session, FreeSession>;

inline std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

/// Names one field; the text has to live until it is submitted.
inline nghttp2_nv pair_of(std::string_view name, std::string_view value) {
    const auto bytes = [](std::string_view text) {
        return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace rotagate::proxy::http2
