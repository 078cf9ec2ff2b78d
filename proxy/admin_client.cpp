#include "proxy/admin_client.hpp"

#include <stdexcept>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <fmt/format.h>

namespace rotagate::proxy {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

template <class Socket>
http::response<http::string_body> exchange(Socket& socket, const http::request<http::empty_body>& request) {
    http::write(socket, request);
    boost::beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(64 * config::MiB);
    http::read(socket, buffer, parser);
    return parser.release();
}

http::response<http::string_body> send(const config::Address& address, const http::request<http::empty_body>& request) {
    asio::io_context context;
    if (address.is_unix()) {
        asio::local::stream_protocol::socket socket(context);
        socket.connect(asio::local::stream_protocol::endpoint(address.unix_path));
        return exchange(socket, request);
    }
    asio::ip::tcp::socket socket(context);
    asio::ip::tcp::resolver resolver(context);
    asio::connect(socket, resolver.resolve(address.host, std::to_string(address.port)));
    return exchange(socket, request);
}

}  // namespace

boost::json::value AdminClient::ask(http::verb method, const std::string& target) const {
    http::request<http::empty_body> request{method, target, 11};
    request.set(http::field::host, address_.is_unix() ? "localhost" : address_.text());
    request.set(http::field::connection, "close");
    if (!token_.empty()) request.set(http::field::authorization, "Bearer " + token_);
    http::response<http::string_body> answer;
    try {
        answer = send(address_, request);
    } catch (const boost::system::system_error& error) {
        throw std::runtime_error(fmt::format(
            "cannot reach the admin address {}: {}; is rotagate running, and does its configuration have `admin:`?",
            address_.text(), error.code().message()));
    }
    boost::system::error_code not_json;
    boost::json::value json = boost::json::parse(answer.body(), not_json);
    if (answer.result() == http::status::ok && !not_json) return json;
    const auto* message = !not_json && json.is_object() ? json.as_object().if_contains("error") : nullptr;
    throw std::runtime_error(fmt::format("the admin address {} answered {}{}{}", address_.text(), answer.result_int(),
                                         message ? ": " : "",
                                         message && message->is_string() ? message->as_string().c_str() : ""));
}

std::string query_value(std::string_view text) {
    const boost::urls::string_view plain(text.data(), text.size());
    return boost::urls::encode(plain, boost::urls::unreserved_chars);
}

}  // namespace rotagate::proxy
