#pragma once

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "proxy/grammar.hpp"
#include "proxy/message.hpp"

/// What nghttp2 takes and gives, as C++ has it; for the gateway and the load generator.
namespace rotagate::proxy::http2 {

struct FreeSession {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
};
using Session = std::unique_ptr<nghttp2_session, FreeSession>;

/// nghttp2 makes its objects by a function that fills a pointer in.
template <auto make, auto free, class T>
auto made() {
    T* object = nullptr;
    if (make(&object) != 0) throw std::bad_alloc();
    return std::unique_ptr<T, decltype([](T* p) { free(p); })>(object);
}

inline std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

/// Takes what nghttp2 has to send, whole frames, until it is `enough` bytes. @return whether there may be more
inline bool take_to_send(nghttp2_session* session, std::size_t enough, std::string& out) {
    const std::uint8_t* bytes = nullptr;
    out.clear();
    while (out.size() < enough) {
        const auto n = nghttp2_session_mem_send(session, &bytes);
        if (n <= 0) return false;
        out += text_of(bytes, static_cast<std::size_t>(n));
    }
    return true;
}

/// Names one field; the text has to live until it is submitted.
inline nghttp2_nv pair_of(std::string_view name, std::string_view value) {
    const auto bytes = [](std::string_view text) {
        return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

/// A field section on its way to nghttp2, with names in lower case. The values have to live until it is submitted.
class FieldSection {
public:
    using Pseudo = std::initializer_list<std::pair<std::string_view, std::string_view>>;

    /// Takes the place of what was there before.
    std::span<const nghttp2_nv> of(Pseudo pseudo, std::span<const Field> fields) {
        std::size_t size = 0;
        for (const Field& field : fields) size += field.name.size();
        names_.clear();
        names_.reserve(size);  // so that the views stay valid
        pairs_.clear();
        for (const auto& [name, value] : pseudo) pairs_.push_back(pair_of(name, value));
        for (const Field& field : fields) {
            const std::size_t from = names_.size();
            std::ranges::transform(field.name, std::back_inserter(names_), grammar::lower);
            pairs_.push_back(pair_of(std::string_view(names_).substr(from), field.value));
        }
        return pairs_;
    }

private:
    std::string names_;
    std::vector<nghttp2_nv> pairs_;
};

}  // namespace rotagate::proxy::http2
