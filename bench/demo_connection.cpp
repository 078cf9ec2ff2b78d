#include "bench/demo_connection.hpp"

#include <chrono>
#include <random>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "bench/demo_exchange.hpp"
#include "bench/demo_streams.hpp"

namespace rotagate::demo {

namespace asio = boost::asio;
namespace json = boost::json;
using asio::awaitable;

namespace {

constexpr std::size_t max_form = 65'536;  // bytes

awaitable<void> pause(std::chrono::milliseconds duration) {
    asio::steady_timer timer(co_await asio::this_coro::executor, duration);
    co_await timer.async_wait(asio::use_awaitable);
}

Reply headers_as_received(const Head& head) {
    json::array headers;
    for (const auto& field : head)
        headers.push_back(json::array{json::string(field.name_string()), json::string(field.value())});
    const std::string version = head.version() == 11 ? "HTTP/1.1" : "HTTP/1.0";
    const json::object seen{{"method", json::string(head.method_string())},
                            {"target", json::string(head.target())},
                            {"version", version},
                            {"headers", std::move(headers)}};
    return {200, "application/json", {}, json::serialize(seen)};
}

Reply with_status(std::uint64_t code) {
    if (code < 200 || code > 999) return {400, "text/plain", {}, "code is a number from 200 to 999\n"};
    return {static_cast<unsigned>(code), "text/plain", {}, "status " + std::to_string(code) + "\n"};
}

/// Tiles take their time, so that answers overtake each other.
awaitable<void> delay_tile(const Target& target) {
    static thread_local std::minstd_rand random{std::random_device{}()};
    if (target.path.starts_with("/tile/"))
        co_await pause(std::chrono::milliseconds(std::uniform_int_distribution(0, 300)(random)));
}

awaitable<Reply> small_answer(Exchange& exchange, Pages& pages, const Target& target) {
    if (target.path == "/healthz") co_return Reply{200, "text/plain", {}, "ok\n"};
    if (target.path == "/headers") co_return headers_as_received(exchange.head());
    if (target.path == "/status") co_return with_status(target.number("code", 200));
    if (target.path == "/slow") {
        const std::uint64_t ms = target.number("ms", 1000);
        co_await pause(std::chrono::milliseconds(ms));
        co_return Reply{200, "text/plain", {}, "slept for " + std::to_string(ms) + " ms\n"};
    }
    std::string form;
    if (exchange.head().method() == http::verb::post) form = co_await exchange.read_all(max_form);
    co_await delay_tile(target);
    co_return pages.answer(exchange.head(), target, form);
}

awaitable<void> answer(Exchange& exchange, Pages& pages) {
    const auto target = Target::parse({exchange.head().target().data(), exchange.head().target().size()});
    if (!target) {
        const Reply refusal{400, "text/plain", {}, "the target is not a path\n"};
        co_return co_await exchange.send(refusal);
    }
    if (target->path == "/bytes") co_return co_await send_bytes(exchange, *target);
    if (target->path == "/chunked") co_return co_await send_chunked(exchange, *target);
    if (target->path == "/echo") co_return co_await echo(exchange);
    if (target->path == "/count") co_return co_await count(exchange);
    const Reply reply = co_await small_answer(exchange, pages, *target);
    co_await exchange.send(reply);
}

}  // namespace

awaitable<void> serve(asio::ip::tcp::socket socket, Pages& pages) try {
    socket.set_option(asio::ip::tcp::no_delay(true));
    boost::beast::flat_buffer buffer;
    buffer.reserve(16'384);
    for (bool open = true; open;) {
        Exchange exchange(socket, buffer);
        if (!co_await exchange.read_head()) break;
        co_await answer(exchange, pages);
        open = co_await exchange.finish();
    }
    boost::system::error_code ignored;
    socket.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
} catch (const boost::system::system_error&) {
    // The peer is gone: there is nobody to tell.
}

}  // namespace rotagate::demo
