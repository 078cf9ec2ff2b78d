#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rotagate::proxy::http2 {

/// Follows the frames in what a client sends, wherever that is cut, for what nghttp2 does not tell.
class FrameHeads {
public:
    struct Head {
        std::uint32_t size;  ///< of what is behind the head
        std::uint8_t type;
        std::int32_t stream;
    };

    /// The next frame. @param at  where to go on in the input; out: the end of that frame's head, or of the input
    std::optional<Head> next(std::string_view input, std::size_t& at) {
        while (at < input.size()) {
            const std::size_t skipped = std::min(to_skip_, input.size() - at);
            to_skip_ -= skipped;
            at += skipped;
            const std::size_t n = input.copy(head_.data() + have_, head_.size() - have_, at);
            have_ += n;
            at += n;
            if (have_ < head_.size()) break;
            have_ = 0;
            to_skip_ = number(0, 3);
            return Head{.size = number(0, 3),
                        .type = static_cast<std::uint8_t>(number(3, 1)),
                        .stream = static_cast<std::int32_t>(number(5, 4) & 0x7fffffffU)};
        }
        return std::nullopt;
    }

private:
    std::uint32_t number(std::size_t from, std::size_t size) const {
        std::uint32_t value = 0;
        for (const char byte : std::string_view(head_.data() + from, size))
            value = value << 8U | static_cast<unsigned char>(byte);
        return value;
    }

    static constexpr std::size_t preface = 24;
    std::size_t to_skip_ = preface;
    std::array<char, 9> head_{};
    std::size_t have_ = 0;  ///< of the head
};

}  // namespace rotagate::proxy::http2
