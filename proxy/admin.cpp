#include "proxy/admin.hpp"

#include <list>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "proxy/admin_api.hpp"
#include "proxy/admin_gate.hpp"
#include "proxy/admin_socket.hpp"

namespace rotagate::proxy {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t max_connections = 64;
constexpr std::uint32_t max_head = 8 * config::KiB;
constexpr std::uint64_t max_body = 8 * config::KiB;  // no endpoint reads one
constexpr auto timeout = 10s;                        // of each read and each write
constexpr auto accept_pause = 100ms;                 // when the process is out of file descriptors

constexpr auto or_error = asio::as_tuple(asio::use_awaitable);

using AdminStream = beast::basic_stream<AdminSocket::Protocol>;
using Parser = http::request_parser<http::string_body>;

http::status status_of(beast::error_code error) {
    if (error == http::error::header_limit) return http::status::request_header_fields_too_large;
    if (error == http::error::body_limit) return http::status::payload_too_large;
    return http::status::bad_request;
}

bool is_http_error(beast::error_code error) {
    return error.category() == make_error_code(http::error::bad_method).category() &&
           error != http::error::end_of_stream && error != http::error::partial_message;
}

/// What belongs on every answer.
void finish(AdminResponse& answer, bool head, bool keep_alive, unsigned version) {
    answer.version(version);
    answer.set(http::field::cache_control, "no-store");
    answer.set("X-Content-Type-Options", "nosniff");
    answer.keep_alive(keep_alive);
    answer.prepare_payload();
    if (head) answer.body().clear();  // the length stays
}

}  // namespace

struct Admin::Impl {
    Impl(asio::io_context& on, const config::Admin& settings, AdminParts parts)
        : loop{on}, gate{settings}, api{std::move(parts)}, socket{on, settings.address}, accept_timer{on} {}

    asio::awaitable<void> accept(std::shared_ptr<Impl> self);
    asio::awaitable<void> serve(std::shared_ptr<Impl> self, AdminSocket::Protocol::socket client);
    asio::awaitable<bool> exchange(AdminStream& stream, beast::flat_buffer& buffer);
    void stop();

    asio::io_context& loop;
    AdminGate gate;
    AdminApi api;
    AdminSocket socket;
    asio::steady_timer accept_timer;
    /// Those that wait for a request, the longest first; and those that have one.
    std::list<AdminStream*> waiting, busy;
};

asio::awaitable<void> Admin::Impl::accept(std::shared_ptr<Impl> self) {
    auto& acceptor = socket.acceptor();
    while (acceptor.is_open()) {
        auto [error, client] = co_await acceptor.async_accept(or_error);
        if (error == asio::error::operation_aborted) break;
        if (error) {
            accept_timer.expires_after(accept_pause);
            co_await accept_timer.async_wait(or_error);
        } else if (busy.size() < max_connections) {
            if (waiting.size() + busy.size() >= max_connections) waiting.front()->close();  // it ends by itself then
            asio::co_spawn(loop, serve(self, std::move(client)), asio::detached);
        }
    }
}

asio::awaitable<void> Admin::Impl::serve(std::shared_ptr<Impl> self, AdminSocket::Protocol::socket client) {
    AdminStream stream{std::move(client)};
    busy.push_back(&stream);
    beast::flat_buffer buffer;
    while (co_await exchange(stream, buffer)) {
    }
    busy.remove(&stream);
    self.reset();
}

/// Answers one request. @return whether another may follow on the connection
asio::awaitable<bool> Admin::Impl::exchange(AdminStream& stream, beast::flat_buffer& buffer) {
    Parser parser;
    parser.header_limit(max_head);
    parser.body_limit(max_body);
    stream.expires_after(timeout);
    busy.remove(&stream);
    waiting.push_back(&stream);
    const auto [read_error, read] = co_await http::async_read(stream, buffer, parser, or_error);
    waiting.remove(&stream);
    busy.push_back(&stream);
    if (read_error && !is_http_error(read_error)) co_return false;
    AdminResponse answer;
    const AdminRequest& request = parser.get();
    if (read_error) {
        answer = admin_error(status_of(read_error), read_error.message());
    } else if (auto refused = gate.refuse(request)) {
        answer = std::move(*refused);
    } else {
        stream.expires_never();
        answer = co_await api.answer(request);
    }
    const bool keep_alive = !read_error && request.keep_alive();
    finish(answer, request.method() == http::verb::head, keep_alive, request.version() == 10 ? 10 : 11);
    stream.expires_after(timeout);
    const auto [write_error, written] = co_await http::async_write(stream, answer, or_error);
    co_return keep_alive && !write_error && socket.acceptor().is_open();
}

void Admin::Impl::stop() {
    socket.close();
    accept_timer.cancel();
    for (const auto* streams : {&waiting, &busy})
        for (AdminStream* stream : *streams) stream->close();
}

Admin::Admin(asio::io_context& loop, const config::Admin& settings, AdminParts parts)
    : impl_{std::make_shared<Impl>(loop, settings, std::move(parts))} {
    asio::co_spawn(loop, impl_->accept(impl_), asio::detached);
}

Admin::~Admin() { stop(); }

void Admin::stop() {
    asio::post(impl_->loop, [impl = impl_] { impl->stop(); });
}

void Admin::set_gate(AdminGate gate) { impl_->gate = std::move(gate); }

std::string Admin::address() const { return impl_->socket.address().text(); }

}  // namespace rotagate::proxy
