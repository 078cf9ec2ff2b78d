#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "bench/demo_http.hpp"

namespace rotagate::demo {

/// One request and its answer on a connection. Bodies pass in pieces, so their size does not matter.
/// All reads and writes throw boost::system::system_error when the connection breaks.
class Exchange {
public:
    /// @param buffer  of the connection: holds what was read beyond this request
    Exchange(boost::asio::ip::tcp::socket& socket, boost::beast::flat_buffer& buffer);

    /// False where the client has closed, or sent what is not HTTP (which has been answered with 400).
    boost::asio::awaitable<bool> read_head();
    const Head& head() const { return parser_.get().base(); }
    /// Of the request's body; empty where it is chunked.
    std::optional<std::uint64_t> content_length() const;

    /// Tells a client that waits for "100 Continue" to send its body. read_piece() does it too, but after start() it is
    /// too late.
    boost::asio::awaitable<void> invite_body();
    /// The next piece of the request's body, valid until the next call; empty at its end.
    boost::asio::awaitable<std::string_view> read_piece();
    /// The body as a whole; what is beyond `limit` bytes is read and dropped.
    boost::asio::awaitable<std::string> read_all(std::size_t limit);

    boost::asio::awaitable<void> send(const Reply& reply);
    /// Starts an answer whose body the caller writes: with that length, or chunked. False for HEAD: no body follows.
    /// @param first  written with the head in one go
    boost::asio::awaitable<bool> start(std::string_view type, std::optional<std::uint64_t> length,
                                       boost::asio::const_buffer first = {});
    boost::asio::awaitable<void> write(std::string_view piece);
    /// One chunk; an empty one ends the body.
    boost::asio::awaitable<void> write_chunk(std::string_view piece);

    /// Reads what is left of the request. False where the connection cannot be used any more.
    boost::asio::awaitable<bool> finish();

private:
    std::string status_line_and(std::string_view headers, unsigned status) const;

    boost::asio::ip::tcp::socket& socket_;
    boost::beast::flat_buffer& buffer_;
    http::request_parser<http::buffer_body> parser_;
    std::array<char, 65'536> piece_;
    bool continue_expected_ = false;
};

}  // namespace rotagate::demo
