#include "bench/demo_exchange.hpp"

#include <limits>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/rfc7230.hpp>

namespace rotagate::demo {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::awaitable;
using asio::use_awaitable;

namespace {

constexpr std::size_t max_head = 65'536;  // bytes
constexpr auto as_result = asio::as_tuple(use_awaitable);

bool has_body(unsigned status) { return status != 204 && status != 304; }

}  // namespace

Exchange::Exchange(asio::ip::tcp::socket& socket, beast::flat_buffer& buffer) : socket_(socket), buffer_(buffer) {
    parser_.header_limit(max_head);
    parser_.body_limit(std::numeric_limits<std::uint64_t>::max());
}

awaitable<bool> Exchange::read_head() {
    const auto [error, size] = co_await http::async_read_header(socket_, buffer_, parser_, as_result);
    const bool not_http = error && error.category() == http::make_error_code(http::error::bad_method).category();
    if (not_http && error != http::error::end_of_stream && error != http::error::partial_message) {
        const std::string_view refusal = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        co_await write(refusal);
    }
    if (error) co_return false;
    continue_expected_ = beast::iequals(parser_.get()[http::field::expect], "100-continue") && !parser_.is_done();
    co_return true;
}

std::optional<std::uint64_t> Exchange::content_length() const {
    if (parser_.chunked()) return std::nullopt;
    const auto length = parser_.content_length();
    return length ? *length : 0;
}

awaitable<void> Exchange::invite_body() {
    if (!std::exchange(continue_expected_, false)) co_return;
    const std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await write(go_on);
}

awaitable<std::string_view> Exchange::read_piece() {
    if (parser_.is_done()) co_return std::string_view();
    co_await invite_body();
    std::size_t size = 0;
    while (size == 0 && !parser_.is_done()) {
        auto& body = parser_.get().body();
        body.data = piece_.data();
        body.size = piece_.size();
        const auto [error, read] = co_await http::async_read_some(socket_, buffer_, parser_, as_result);
        if (error && error != http::error::need_buffer) throw boost::system::system_error(error);
        size = piece_.size() - body.size;
    }
    co_return std::string_view(piece_.data(), size);
}

awaitable<std::string> Exchange::read_all(std::size_t limit) {
    std::string body;
    for (std::string_view piece = co_await read_piece(); !piece.empty(); piece = co_await read_piece())
        body.append(piece.substr(0, limit - body.size()));
    co_return body;
}

std::string Exchange::status_line_and(std::string_view headers, unsigned status) const {
    const auto reason = http::obsolete_reason(http::int_to_status(status));
    std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
    head.append(reason.data(), reason.size()).append("\r\nServer: rotagate-demo-app\r\n").append(headers);
    if (!parser_.keep_alive())
        head.append("Connection: close\r\n");
    else if (parser_.get().version() == 10)
        head.append("Connection: keep-alive\r\n");
    return head.append("\r\n");
}

awaitable<void> Exchange::send(const Reply& reply) {
    std::string headers;
    for (const auto& [name, value] : reply.headers) headers.append(name).append(": ").append(value).append("\r\n");
    const bool body = has_body(reply.status);
    if (body) {
        headers.append("Content-Type: ").append(reply.type).append("\r\nContent-Length: ");
        headers.append(std::to_string(reply.body.size())).append("\r\n");
    }
    std::string message = status_line_and(headers, reply.status);
    if (body && head().method() != http::verb::head) message.append(reply.body);
    co_await write(message);
}

awaitable<bool> Exchange::start(std::string_view type, std::optional<std::uint64_t> length, asio::const_buffer first) {
    std::string headers = "Content-Type: ";
    headers.append(type).append("\r\n");
    headers.append(length ? "Content-Length: " + std::to_string(*length) : "Transfer-Encoding: chunked").append("\r\n");
    const std::string text = status_line_and(headers, 200);
    const bool is_head = head().method() == http::verb::head;
    const std::array<asio::const_buffer, 2> both{asio::buffer(text), is_head ? asio::const_buffer() : first};
    co_await asio::async_write(socket_, both, use_awaitable);
    co_return !is_head;
}

awaitable<void> Exchange::write(std::string_view piece) {
    const auto bytes = asio::buffer(piece);
    co_await asio::async_write(socket_, bytes, use_awaitable);
}

awaitable<void> Exchange::write_chunk(std::string_view piece) {
    std::array<char, 20> size{};
    const int length = std::snprintf(size.data(), size.size(), "%zx\r\n", piece.size());
    const std::array<asio::const_buffer, 3> chunk{asio::buffer(size.data(), static_cast<std::size_t>(length)),
                                                  asio::buffer(piece), asio::buffer("\r\n", 2)};
    co_await asio::async_write(socket_, chunk, use_awaitable);
}

awaitable<bool> Exchange::finish() {
    // A client that still waits for "100 Continue" may or may not send its body now: only closing is unambiguous.
    if (continue_expected_) co_return false;
    while (!parser_.is_done()) co_await read_piece();
    co_return parser_.keep_alive();
}

}  // namespace rotagate::demo
