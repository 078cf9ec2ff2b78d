#include "bench/demo_streams.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/evp.h>

namespace rotagate::demo {

namespace asio = boost::asio;
using asio::awaitable;

namespace {

constexpr std::uint64_t block_size = 262'144;  // bytes; a multiple of the alphabet's 64

/// A part of the endless pattern, from a position on.
std::string_view pattern(std::uint64_t position, std::uint64_t size) {
    static const std::string block = [] {
        const std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        std::string repeated;
        while (repeated.size() < block_size) repeated.append(alphabet);
        return repeated;
    }();
    return std::string_view(block).substr(position % 64, size);
}

class Sha256 {
public:
    Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
            throw std::runtime_error("no SHA-256");
    }
    void add(std::string_view piece) { EVP_DigestUpdate(context_.get(), piece.data(), piece.size()); }
    std::string hex() {
        std::array<unsigned char, 32> digest{};
        EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr);
        std::string text;
        for (const unsigned char byte : digest)
            text.append({"0123456789abcdef"[byte >> 4U], "0123456789abcdef"[byte & 15U]});
        return text;
    }

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

awaitable<void> send_bytes(Exchange& exchange, const Target& target) {
    const std::uint64_t total = target.number("n", 1024);
    const std::string_view first = pattern(0, total);
    const auto first_buffer = asio::buffer(first);
    if (!co_await exchange.start("application/octet-stream", total, first_buffer)) co_return;
    for (std::uint64_t sent = first.size(); sent < total;) {
        const std::string_view piece = pattern(sent, total - sent);
        co_await exchange.write(piece);
        sent += piece.size();
    }
}

awaitable<void> send_chunked(Exchange& exchange, const Target& target) {
    const std::uint64_t total = target.number("n", 65536);
    const std::uint64_t chunk = std::clamp<std::uint64_t>(target.number("chunk", 4096), 1, block_size / 2);
    const std::chrono::milliseconds pause(target.number("pause", 0));
    asio::steady_timer timer(co_await asio::this_coro::executor);
    if (!co_await exchange.start("application/octet-stream", std::nullopt)) co_return;
    for (std::uint64_t sent = 0; sent < total;) {
        if (pause.count() > 0) {
            timer.expires_after(pause);
            co_await timer.async_wait(asio::use_awaitable);
        }
        const std::string_view piece = pattern(sent, std::min(chunk, total - sent));
        co_await exchange.write_chunk(piece);
        sent += piece.size();
    }
    const std::string_view end;
    co_await exchange.write_chunk(end);
}

awaitable<void> echo(Exchange& exchange) {
    const std::string_view sent_type = header(exchange.head(), "Content-Type");
    const std::string type(sent_type.empty() ? "application/octet-stream" : sent_type);
    const auto length = exchange.content_length();
    co_await exchange.invite_body();
    const bool body = co_await exchange.start(type, length);
    for (auto piece = co_await exchange.read_piece(); body && !piece.empty(); piece = co_await exchange.read_piece()) {
        if (length)
            co_await exchange.write(piece);
        else
            co_await exchange.write_chunk(piece);
    }
    const std::string_view end;
    if (body && !length) co_await exchange.write_chunk(end);
}

awaitable<void> count(Exchange& exchange) {
    Sha256 digest;
    std::uint64_t bytes = 0;
    for (auto piece = co_await exchange.read_piece(); !piece.empty(); piece = co_await exchange.read_piece()) {
        digest.add(piece);
        bytes += piece.size();
    }
    const Reply reply{
        200, "application/json", {}, "{\"bytes\":" + std::to_string(bytes) + ",\"sha256\":\"" + digest.hex() + "\"}\n"};
    co_await exchange.send(reply);
}

}  // namespace rotagate::demo
