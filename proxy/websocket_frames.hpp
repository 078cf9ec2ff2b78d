#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

/// As much of WebSocket's frames as it takes to say goodbye between two of them (RFC 6455 section 5).
namespace rotagate::proxy::websocket {

/// Follows the frames of one direction: reads their headers, and counts off their payload without looking at it.
class Frames {
public:
    /// Takes from the front of `bytes` what belongs to the frame that they are in, or begin.
    /// @return how many; all of them, or up to the frame's end
    std::size_t take(std::string_view bytes);
    /// Takes all.
    void take_all(std::string_view bytes) {
        while (!bytes.empty()) bytes.remove_prefix(take(bytes));
    }

    /// Whether a frame of another kind may stand here: control frames may come amid the fragments of a message.
    bool between() const { return header_bytes_ == 0; }
    /// Whether a close frame has begun: nothing may follow it.
    bool closed() const { return closed_; }
    /// Whether a part of a message has begun since this was asked last. A ping or a pong, which a browser sends by
    /// itself, is none.
    bool took_message() { return std::exchange(message_, false); }

private:
    std::size_t header_size() const;
    void begin_payload();

    std::array<unsigned char, 10> header_{};  ///< without the masking key
    std::size_t header_bytes_ = 0;            ///< of the frame's header, the masking key included; 0: between frames
    std::uint64_t payload_left_ = 0;
    bool in_payload_ = false, closed_ = false, message_ = false;
};

/// Why the gateway ends a WebSocket (RFC 6455 section 7.4.1).
enum class CloseCode : std::uint16_t { going_away = 1001, policy_violation = 1008 };

/// A close frame. @param reason  of 123 bytes at most. @param mask  what a client has to mask its frames with
std::string close_frame(CloseCode code, std::string_view reason, std::optional<std::array<char, 4>> mask = {});

}  // namespace rotagate::proxy::websocket
