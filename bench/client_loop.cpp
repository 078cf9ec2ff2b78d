#include "bench/client_loop.hpp"

namespace rotagate::bench {

ClientLoop::ClientLoop(const ConnectionSettings& settings) : settings_(settings) {
    config::UpstreamTls tls;
    tls.ca = settings.ca;
    tls_ = proxy::tls::upstream_context(tls);
    if (!settings.verify) SSL_CTX_set_verify(tls_.get(), SSL_VERIFY_NONE, nullptr);
    static constexpr unsigned char http1[] = "\x08http/1.1", http2[] = "\x02h2";
    if (settings.http2) {
        SSL_CTX_set_alpn_protos(tls_.get(), http2, sizeof http2 - 1);
    } else {
        SSL_CTX_set_alpn_protos(tls_.get(), http1, sizeof http1 - 1);
    }
    const std::string& name = site().server.host;
    for (const Target& target : settings.targets)
        connectors_.emplace_back(loop_, target.server, target.secure ? tls_.get() : nullptr, name);
    wall_clock_ = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

ClientLoop::~ClientLoop() { stop(); }

void ClientLoop::start() {
    ticks_.expires_after(proxy::Deadlines::tick_length);
    tick();
    thread_ = std::thread([this] { loop_.run(); });
}

void ClientLoop::stop() {
    if (!thread_.joinable()) return;
    loop_.stop();
    thread_.join();
    tasks_.reset();
}

void ClientLoop::tick() {
    ticks_.async_wait([this](proxy::error_code error) {
        if (error) return;
        note_lag(ticks_.expiry());
        wall_clock_ = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        deadlines_.tick(Clock::now());
        ticks_.expires_after(proxy::Deadlines::tick_length);
        tick();
    });
}

Task<> ClientLoop::sleep_until(Clock::time_point time) {
    asio::steady_timer timer(loop_, time);
    proxy::Signal over;
    timer.async_wait([&](proxy::error_code) {
        note_lag(time);
        over.notify();
    });
    co_await over.wait();
}

proxy::Connector& ClientLoop::next_connector() {
    proxy::Connector& next = connectors_[turn_];
    turn_ = (turn_ + 1) % connectors_.size();
    return next;
}

}  // namespace rotagate::bench
