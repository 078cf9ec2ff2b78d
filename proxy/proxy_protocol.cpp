#include "proxy/proxy_protocol.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include <boost/asio/ip/address.hpp>

#include "proxy/grammar.hpp"

namespace rotagate::proxy {
namespace {

namespace ip = boost::asio::ip;

constexpr std::string_view text_start = "PROXY ";
constexpr std::string_view binary_start{"\r\n\r\n\0\r\nQUIT\n", 12};

std::string text_of(const ip::address_v6& address) {
    return address.is_v4_mapped() ? ip::make_address_v4(ip::v4_mapped, address).to_string() : address.to_string();
}

/// An address in its usual text; none: it is not one of that family.
std::optional<std::string> read_ip(std::string_view text, bool v6) {
    const bool clean = std::ranges::all_of(
        text, [](char c) { return grammar::hex_value(c) >= 0 || c == ':' || c == '.'; });  // no zone of an interface
    if (!clean) return std::nullopt;
    boost::system::error_code ec;
    if (!v6) {
        const auto address = ip::make_address_v4(text, ec);
        return ec ? std::nullopt : std::make_optional(address.to_string());
    }
    const auto address = ip::make_address_v6(text, ec);
    return ec ? std::nullopt : std::make_optional(text_of(address));
}

bool is_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool leading_zero = text.size() > 1 && text.front() == '0';
    return error == std::errc() && end == text.data() + text.size() && !leading_zero;
}

/// Cuts the next word off; words stand one space apart.
std::string_view next_word(std::string_view& line) {
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(word.size() + 1, line.size()));
    return word;
}

unsigned number(char byte) { return static_cast<unsigned char>(byte); }

/// How many bytes the two addresses of a family take.
std::size_t address_bytes(unsigned family) {
    constexpr std::size_t sizes[] = {0, 12, 36, 216};
    return sizes[family];
}

}  // namespace

std::size_t ProxyHeader::take(std::string_view bytes) {
    std::size_t taken = 0;
    while (state_ == State::incomplete && taken < bytes.size()) {
        if (skipped_ == 0) {
            take_byte(bytes[taken++]);
            continue;
        }
        const std::size_t n = std::min(skipped_, bytes.size() - taken);
        taken += n;
        skipped_ -= n;
        if (skipped_ == 0) state_ = State::complete;
    }
    return taken;
}

void ProxyHeader::fail(std::string_view why) {
    state_ = State::malformed;
    error_ = why;
}

void ProxyHeader::take_byte(char byte) {
    const std::size_t at = size_;
    bytes_[size_++] = byte;
    if (at == 0) binary_ = byte == binary_start[0];
    const std::string_view start = binary_ ? binary_start : text_start;
    if (at < start.size()) {
        if (byte != start[at]) fail("no PROXY header");
        return;
    }
    if (!binary_) {
        if (byte == '\n') return read_line();
        if (size_ == max_text) fail("the line is too long");
        return;
    }
    if (size_ == binary_head) read_binary_head();
    if (size_ == wanted_ && state_ == State::incomplete) read_addresses();
}

void ProxyHeader::read_line() {
    std::string_view line(bytes_.data(), size_ - 1);
    if (!line.ends_with('\r')) return fail("the line does not end in CR LF");
    line.remove_suffix(1);
    line.remove_prefix(text_start.size());
    const std::string_view protocol = next_word(line);
    if (protocol == "UNKNOWN") {
        state_ = State::complete;
        return;
    }
    if (protocol != "TCP4" && protocol != "TCP6") return fail("the line names no protocol that we know");
    const bool v6 = protocol == "TCP6";
    auto client = read_ip(next_word(line), v6);
    const auto proxy = read_ip(next_word(line), v6);
    const std::string_view client_port = next_word(line);
    if (!client || !proxy) return fail("the line has no two addresses");
    if (!is_port(client_port) || !is_port(line)) return fail("the line has no two ports");
    client_ = std::move(*client);
    state_ = State::complete;
}

void ProxyHeader::read_binary_head() {
    const unsigned command = number(bytes_[12]), family = number(bytes_[13]) >> 4U,
                   transport = number(bytes_[13]) & 15U;
    const std::size_t length = number(bytes_[14]) << 8U | number(bytes_[15]);
    constexpr unsigned local = 0x20, proxied = 0x21;
    if (command != local && command != proxied) return fail("no version and command that we know");
    if (length > max_binary - binary_head) return fail("the header is too long");
    std::size_t addresses = 0;
    if (command == proxied) {
        if (family > 3 || transport > 2) return fail("no family or transport that we know");
        // Without a transport there is no address either.
        addresses = transport == 0 ? 0 : address_bytes(family);
    }
    if (length < addresses) return fail("the header is too short for its addresses");
    wanted_ = binary_head + addresses;
    additions_ = length - addresses;
}

void ProxyHeader::read_addresses() {
    const auto* from = reinterpret_cast<const unsigned char*>(bytes_.data()) + binary_head;
    switch (wanted_ - binary_head) {
        case 12: {
            ip::address_v4::bytes_type address;
            std::copy_n(from, address.size(), address.begin());
            client_ = ip::address_v4(address).to_string();
            break;
        }
        case 36: {
            ip::address_v6::bytes_type address;
            std::copy_n(from, address.size(), address.begin());
            client_ = text_of(ip::address_v6(address));
            break;
        }
        case most_addresses:
            client_ = "unix";
            break;
        default:
            break;
    }
    skipped_ = additions_;
    if (skipped_ == 0) state_ = State::complete;
}

}  // namespace rotagate::proxy
