#include "proxy/admin_client.hpp"

#include <stdexcept>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/beast/core/basic_stream.hpp>
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

namespace asio = boost::asio;
namespace http = boost::beast::http;
using namespace std::chrono_literals;

namespace {

constexpr auto connect_timeout = 5s;
constexpr auto answer_timeout = 60s;  // to end a million sessions takes a while
constexpr std::uint64_t max_answer = 64 * config::MiB;

using Protocol = asio::generic::stream_protocol;
using AdminStream = boost::beast::basic_stream<Protocol>;
using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

std::vector<Protocol::endpoint> endpoints(asio::io_context& loop, const config::Address& address) {
    if (address.is_unix()) return {asio::local::stream_protocol::endpoint{address.unix_path}};
    std::vector<Protocol::endpoint> found;
    asio::ip::tcp::resolver resolver{loop};
    for (const auto& entry : resolver.resolve(address.host, std::to_string(address.port))) {
        found.emplace_back(entry.endpoint());
    }
    return found;
}

asio::awaitable<void> connect(AdminStream& stream, const std::vector<Protocol::endpoint>& candidates) {
    boost::system::error_code error = asio::error::host_not_found;
    for (const Protocol::endpoint& endpoint : candidates) {
        stream.expires_after(connect_timeout);
        std::tie(error) = co_await stream.async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
        if (!error) co_return;
        stream.close();
    }
    throw boost::system::system_error{error};
}

asio::awaitable<Response> exchange(AdminStream& stream, const std::vector<Protocol::endpoint>& candidates,
                                   const Request& request) {
    co_await connect(stream, candidates);
    stream.expires_after(answer_timeout);
    co_await http::async_write(stream, request, asio::use_awaitable);
    boost::beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(max_answer);
    co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
    co_return parser.release();
}

Response send(const config::Address& address, const Request& request) {
    asio::io_context loop{1};
    const auto candidates = endpoints(loop, address);
    AdminStream stream{loop};
    auto answer = asio::co_spawn(loop, exchange(stream, candidates, request), asio::use_future);
    loop.run();
    return answer.get();
}

/// What the gateway says is wrong: its JSON's "error".
std::string complaint(const boost::json::value& json) {
    const auto* object = json.if_object();
    const auto* error = object ? object->if_contains("error") : nullptr;
    return error && error->is_string() ? ": " + std::string{error->as_string()} : "";
}

}  // namespace

boost::json::value AdminClient::ask(http::verb method, const std::string& target) const {
    Request request{method, target, 11};
    request.set(http::field::host, "localhost");  // which every admin address answers to
    request.set(http::field::connection, "close");
    if (!token_.empty()) request.set(http::field::authorization, "Bearer " + token_);
    Response answer;
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
    const bool no_token = answer.result() == http::status::unauthorized;
    throw std::runtime_error(
        fmt::format("the admin address {} answered {}{}", address_.text(), answer.result_int(),
                    no_token ? ": it wants another token; give its file with --token-file" : complaint(json)));
}

std::string query_value(std::string_view text) {
    const boost::urls::string_view plain(text.data(), text.size());
    return boost::urls::encode(plain, boost::urls::unreserved_chars);
}

}  // namespace rotagate::proxy
