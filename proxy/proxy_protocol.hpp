#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace rotagate::proxy {

/// The header by which a proxy tells, ahead of all else, whose connection it passes on; in pieces, as they come.
/// Source: haproxy's proxy-protocol.txt, versions 1 (a line of text) and 2 (binary).
class ProxyHeader {
public:
    static constexpr std::size_t max_text = 107;     ///< bytes of version 1, as it says
    static constexpr std::size_t max_binary = 4096;  ///< of version 2, which could have 65551: additions are not read

    enum class State { incomplete, complete, malformed };

    /// Takes what belongs to the header. @return how many of the bytes did; all of them while it is incomplete
    std::size_t take(std::string_view bytes);
    State state() const { return state_; }
    /// Why it is malformed.
    std::string_view error() const { return error_; }
    /// The client's address, once the header is complete: an IP address without port, IPv4 for one that is mapped into
    /// IPv6; "unix" for a unix socket; empty: that of the connection itself (LOCAL, UNKNOWN, families without one).
    std::string_view client() const {
        return state_ == State::complete ? std::string_view(client_) : std::string_view();
    }

private:
    void take_byte(char byte);
    void read_line();
    void read_binary_head();
    void read_addresses();
    void fail(std::string_view why);

    static constexpr std::size_t binary_head = 16, most_addresses = 216;  ///< of two unix sockets

    State state_ = State::incomplete;
    std::string_view error_;
    std::string client_;
    std::array<char, binary_head + most_addresses> bytes_{};  ///< what is read of it
    std::size_t size_ = 0, wanted_ = 0;                       ///< of `bytes_`; of version 2
    std::size_t additions_ = 0, skipped_ = 0;                 ///< what is behind them; of that, what is to come now
    bool binary_ = false;
};

}  // namespace rotagate::proxy
