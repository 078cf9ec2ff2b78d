// rotagate-demo-app: a small stand-in for a legacy app behind the gateway, and the upstream of benchmarks and tests.

#include <csignal>
#include <deque>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "bench/demo_connection.hpp"

namespace rotagate::demo {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

/// One event loop with its own listening socket; the kernel spreads the connections.
struct Loop {
    asio::io_context context{1};
    tcp::acceptor acceptor{context};

    void listen(const tcp::endpoint& endpoint, bool shared) {
        acceptor.open(endpoint.protocol());
        acceptor.set_option(tcp::acceptor::reuse_address(true));
        acceptor.set_option(ReusePort(shared));
        acceptor.bind(endpoint);
        acceptor.listen(4096);
    }
};

asio::awaitable<void> accept_all(Loop& loop, Pages& pages) {
    for (;;) {
        tcp::socket socket = co_await loop.acceptor.async_accept(asio::use_awaitable);
        asio::co_spawn(loop.context, serve(std::move(socket), pages), asio::detached);
    }
}

/// Reads "127.0.0.1:9000" or "[::1]:9000".
tcp::endpoint parse_endpoint(const std::string& text) {
    const auto colon = text.rfind(':');
    if (colon == std::string::npos) throw CLI::ValidationError("--listen", "expected ADDRESS:PORT");
    std::string host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return {asio::ip::make_address(host), static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1)))};
}

void run(tcp::endpoint endpoint, unsigned threads) {
    Pages pages;
    std::deque<Loop> loops(threads);
    for (Loop& loop : loops) {
        loop.listen(endpoint, threads > 1);
        endpoint = loop.acceptor.local_endpoint();
        asio::co_spawn(loop.context, accept_all(loop, pages), asio::detached);
    }
    std::cout << "demo app listening on http://" << endpoint << std::endl;

    asio::signal_set signals(loops.front().context, SIGINT, SIGTERM);
    signals.async_wait([&](const boost::system::error_code&, int) {
        for (Loop& loop : loops) loop.context.stop();
    });
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < loops.size(); ++i) others.emplace_back([&, i] { loops[i].context.run(); });
    loops.front().context.run();
}

}  // namespace
}  // namespace rotagate::demo

int main(int argc, char** argv) {
    CLI::App app("A small stand-in for a legacy app: it believes X-User-Id, and has no sessions of its own.");
    std::string listen = "127.0.0.1:9000";
    unsigned threads = 1;
    app.add_option("--listen", listen, "address and port; port 0 takes a free one")->capture_default_str();
    app.add_option("--threads", threads, "event loops")->capture_default_str()->check(CLI::Range(1, 64));
    CLI11_PARSE(app, argc, argv);
    try {
        rotagate::demo::run(rotagate::demo::parse_endpoint(listen), threads);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "rotagate-demo-app: " << listen << ": " << error.what() << "\n";
        return 1;
    }
}
