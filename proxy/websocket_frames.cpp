#include "proxy/websocket_frames.hpp"

#include <algorithm>

namespace rotagate::proxy::websocket {
namespace {

constexpr unsigned char opcode_bits = 0x0f, mask_bit = 0x80, length_bits = 0x7f, final_bit = 0x80;
constexpr unsigned char last_data_opcode = 7, close_opcode = 8;
constexpr unsigned char two_bytes_follow = 126, eight_bytes_follow = 127;
constexpr std::size_t mask_size = 4;

}  // namespace

/// As far as is known from what was read of it.
std::size_t Frames::header_size() const {
    if (header_bytes_ < 2) return 2;
    const unsigned char length = header_[1] & length_bits;
    const std::size_t longer = length == eight_bytes_follow ? 8 : length == two_bytes_follow ? 2 : 0;
    return 2 + longer + ((header_[1] & mask_bit) != 0 ? mask_size : 0);
}

void Frames::begin_payload() {
    const unsigned char length = header_[1] & length_bits;
    payload_left_ = length < two_bytes_follow ? length : 0;
    const std::size_t longer = length == eight_bytes_follow ? 8 : length == two_bytes_follow ? 2 : 0;
    for (std::size_t i = 0; i < longer; ++i) payload_left_ = payload_left_ << 8U | header_[2 + i];
    const unsigned char opcode = header_[0] & opcode_bits;
    closed_ |= opcode == close_opcode;
    message_ |= opcode <= last_data_opcode;
    in_payload_ = true;
}

std::size_t Frames::take(std::string_view bytes) {
    std::size_t taken = 0;
    while (!in_payload_ && taken < bytes.size()) {
        if (header_bytes_ < header_.size()) header_[header_bytes_] = static_cast<unsigned char>(bytes[taken]);
        ++header_bytes_;
        ++taken;
        if (header_bytes_ == header_size()) begin_payload();
    }
    if (!in_payload_) return taken;
    const auto payload = std::min<std::uint64_t>(payload_left_, bytes.size() - taken);
    payload_left_ -= payload;
    if (payload_left_ == 0) {
        in_payload_ = false;
        header_bytes_ = 0;
    }
    return taken + payload;
}

std::string close_frame(CloseCode code, std::string_view reason, std::optional<std::array<char, 4>> mask) {
    const auto number = static_cast<std::uint16_t>(code);
    std::string payload{static_cast<char>(number >> 8U), static_cast<char>(number & 0xffU)};
    payload += reason;
    std::string frame{static_cast<char>(final_bit | close_opcode),
                      static_cast<char>(payload.size() | (mask ? mask_bit : 0U))};
    if (mask) {
        frame.append(mask->data(), mask->size());
        for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ (*mask)[i % 4]);
    }
    return frame += payload;
}

}  // namespace rotagate::proxy::websocket
