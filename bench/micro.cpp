#include <atomic>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "proxy/http1.hpp"
#include "proxy/route.hpp"
#include "session/base64url.hpp"
#include "session/cookie.hpp"
#include "session/memory_store.hpp"

/// What the parts of a request cost, each alone and with warm caches. Where two trees differ here, look at what the
/// comparison says of whole requests before believing it.
namespace rotagate::bench {
namespace {

using namespace std::chrono_literals;
using session::CookieSealer;
using session::Millis;
using session::SessionCookie;

constexpr std::string_view audience = "__Host-session=app.example.org";
constexpr Millis began{1'700'000'000'000};

/// @param number  tells it from the others
SessionCookie cookie(const session::SessionId& id, std::int64_t number) {
    return {.id = id, .minted = began + Millis{number}, .expires = began + 1h};
}

// ---- cookies --------------------------------------------------------------------------------------------------------

session::KeyRing new_ring() { return {{session::CookieKey::generate()}}; }

void cookie_seal(benchmark::State& state) {
    CookieSealer sealer(new_ring());
    const auto id = session::SessionId::create({.id = "alice", .org = ""});
    std::int64_t number = 0;
    for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(sealer.seal(cookie(id, ++number), audience));
}
BENCHMARK(cookie_seal);

/// Cookies that differ, in turn: so many that an opener which remembered what it has opened would know none of them.
class Cookies {
public:
    /// @param sealers  event loops that have sealed them; the first half of the nonce is each one's own
    Cookies(const session::KeyRing& ring, std::size_t sealers) {
        const auto id = session::SessionId::create({.id = "alice", .org = ""});
        std::vector<CookieSealer> loops;
        for (std::size_t i = 0; i < sealers; ++i) loops.emplace_back(ring);
        for (std::size_t i = 0; i < count; ++i)
            sealed_.push_back(loops[i % sealers].seal(cookie(id, static_cast<std::int64_t>(i)), audience));
    }
    const std::string& next() { return sealed_[turn_++ % count]; }

private:
    static constexpr std::size_t count = 8192;
    std::vector<std::string> sealed_;
    std::size_t turn_ = 0;
};

/// Sealed by so many other event loops or gateways. Those of one are known, and of 256 never: their subkey is derived.
void cookie_open(benchmark::State& state) {
    const auto ring = new_ring();
    CookieSealer opener(ring);
    Cookies cookies(ring, static_cast<std::size_t>(state.range(0)));
    for ([[maybe_unused]] auto _ : state) {
        auto opened = opener.open(cookies.next(), audience);
        if (!opened) return state.SkipWithError("a cookie is not opened");
        benchmark::DoNotOptimize(opened);
    }
}
BENCHMARK(cookie_open)->Arg(1)->Arg(256);

/// What a browser mostly brings: the cookie that this very loop gave it with the last answer.
void cookie_seal_and_open_of_the_same_loop(benchmark::State& state) {
    CookieSealer sealer(new_ring());
    const auto id = session::SessionId::create({.id = "alice", .org = ""});
    std::int64_t number = 0;
    for ([[maybe_unused]] auto _ : state)
        benchmark::DoNotOptimize(sealer.open(sealer.seal(cookie(id, ++number), audience), audience));
}
BENCHMARK(cookie_seal_and_open_of_the_same_loop);

// ---- the store ------------------------------------------------------------------------------------------------------

/// Everybody comes in turn with the cookie of their last request, a second and a half after it: each presentation moves
/// the rotation on.
void memory_store_present(benchmark::State& state) {
    std::atomic<std::int64_t> time{began.count()};
    session::MemoryStore store(config::Session{}, [&] { return Millis{time.load()}; });
    const auto people = static_cast<std::size_t>(state.range(0));
    std::vector<SessionCookie> jars;
    for (std::size_t i = 0; i < people; ++i) {
        session::NewSession request;
        request.user.id = "user-" + std::to_string(i);
        store.start(std::move(request), [&](session::Result<session::Started> started) {
            jars.push_back({.id = started.value().session.id, .minted = store.now()});
        });
    }
    std::size_t turn = 0;
    bool refused = false;
    for ([[maybe_unused]] auto _ : state) {
        if (turn == 0) time += 1500;
        SessionCookie& jar = jars[turn];
        store.present(jar, {}, [&](session::Result<session::Session> session) {
            refused = refused || !session;
            benchmark::DoNotOptimize(session);
        });
        jar.minted = store.now();
        if (++turn == people) turn = 0;
    }
    if (refused) state.SkipWithError("a session is gone");
}
BENCHMARK(memory_store_present)->Arg(1)->Arg(1000)->Arg(100'000);

// ---- heads ----------------------------------------------------------------------------------------------------------

constexpr std::string_view request_text =
    "GET /account/orders?page=2&sort=date HTTP/1.1\r\nHost: app.example.org\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 "
    "Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Referer: https://app.example.org/account\r\nConnection: keep-alive\r\n"
    "Cookie: theme=dark; __Host-session=3f2a9c01.kWq0y5v1m0n8L2b7TtQe4xJcR6sUaZpDhFgVbNwXoIuYiKlMjHrE3SdCfGtA9zP1; "
    "lang=en\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n\r\n";

constexpr std::string_view response_text =
    "HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nServer: gunicorn\r\n"
    "Content-Type: text/html; charset=utf-8\r\nContent-Length: 1024\r\nCache-Control: private, no-cache\r\n"
    "ETag: \"33a64df551425fcc\"\r\nVary: Accept-Encoding\r\nX-Frame-Options: DENY\r\nConnection: keep-alive\r\n\r\n";

/// Finding a head's end is part of reading it.
bool is_whole(std::string_view text) {
    std::size_t scanned = 0;
    return proxy::http1::scan_head(text, scanned).length == text.size();
}

void parse_request_head(benchmark::State& state) {
    proxy::RequestHead head;
    for ([[maybe_unused]] auto _ : state) {
        if (!is_whole(request_text) || proxy::http1::parse_request_head(request_text, head))
            return state.SkipWithError("the head is refused");
        benchmark::DoNotOptimize(head);
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(request_text.size()));
}
BENCHMARK(parse_request_head);

void parse_response_head(benchmark::State& state) {
    proxy::ResponseHead head;
    for ([[maybe_unused]] auto _ : state) {
        if (!is_whole(response_text) || proxy::http1::parse_response_head(response_text, false, head))
            return state.SkipWithError("the head is refused");
        benchmark::DoNotOptimize(head);
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(response_text.size()));
}
BENCHMARK(parse_response_head);

// ---- routes ---------------------------------------------------------------------------------------------------------

/// The last of so many routes.
void route_lookup(benchmark::State& state) {
    std::vector<config::Route> routes(static_cast<std::size_t>(state.range(0)));
    for (std::size_t i = 0; i + 1 < routes.size(); ++i)
        routes[i].match = {i % 4 == 0 ? "api.example.org" : "", "/area-" + std::to_string(i) + "/", {}};
    routes.back().match = {"", "/", {}};
    for ([[maybe_unused]] auto _ : state) {
        const auto* found = proxy::find_route(routes, "app.example.org", "/account/orders", "GET");
        if (found != &routes.back()) return state.SkipWithError("another route is found");
        benchmark::DoNotOptimize(found);
    }
}
BENCHMARK(route_lookup)->Arg(5)->Arg(50);

// ---- base64url ------------------------------------------------------------------------------------------------------

/// As many bytes as a cookie has.
const std::vector<std::uint8_t> cookie_bytes(104, 0xa7);

void base64url_write(benchmark::State& state) {
    std::string text;
    for ([[maybe_unused]] auto _ : state) {
        text.clear();
        session::append_base64url(text, cookie_bytes);
        benchmark::DoNotOptimize(text.data());
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(cookie_bytes.size()));
}
BENCHMARK(base64url_write);

void base64url_read(benchmark::State& state) {
    std::string text;
    session::append_base64url(text, cookie_bytes);
    std::vector<std::uint8_t> bytes(cookie_bytes.size());
    for ([[maybe_unused]] auto _ : state) {
        if (!session::from_base64url(text, bytes)) return state.SkipWithError("the text is not read");
        benchmark::DoNotOptimize(bytes.data());
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(cookie_bytes.size()));
}
BENCHMARK(base64url_read);

}  // namespace
}  // namespace rotagate::bench

BENCHMARK_MAIN();
