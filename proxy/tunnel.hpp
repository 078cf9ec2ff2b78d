#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "proxy/client.hpp"
#include "proxy/event_loop.hpp"
#include "proxy/record.hpp"
#include "proxy/session_watch.hpp"
#include "proxy/upstreams.hpp"
#include "proxy/websocket_frames.hpp"

namespace rotagate::proxy {

struct Exchange;

/// A WebSocket between a client and an app, once both have agreed: carries bytes both ways, as they are, each way at
/// the pace of who takes them, until one side ends it, or the gateway does. It outlives its exchange, whose memory an
/// idle one does not need, and holds no buffers while nothing comes.
class Tunnel {
public:
    /// @param x  answered by the app's 101, which the client has got
    Tunnel(EventLoop& loop, Exchange& x, UpstreamPool::Lease lease);
    ~Tunnel();
    Tunnel(const Tunnel&) = delete;

    /// Carries all that comes; then it is in the access log. What ends the client's connection is the caller's.
    Task<> run();
    /// A few times a second: ends it with its session, and renews that while the client speaks.
    void look_after();
    /// The gateway is going down.
    void drain();
    /// Whether it was the gateway that ended it, not the app or the client.
    bool ended_here() const { return ending_.has_value(); }
    /// The client is gone: what it sent before has nobody to wait for.
    void abandon();

private:
    Task<> carry_down();
    Task<> carry_up();
    Task<error_code> await_app();
    Task<bool> pass_up(std::string_view bytes);
    void pass(std::uint64_t& count, std::size_t bytes);
    void end(websocket::CloseCode code, std::string_view reason, std::string_view told);
    void be_late();
    Task<> say_goodbye();
    void record();
    Stream& app() const { return lease_.stream(); }

    EventLoop& loop_;
    Client& client_;
    std::shared_ptr<const Site> site_;  ///< whose route and upstream these are
    const config::Route& route_;
    UpstreamPool::Lease lease_;
    websocket::Frames down_, up_;          ///< from the app, from the client
    std::optional<SessionWatch> session_;  ///< none: nobody is signed in
    std::chrono::steady_clock::time_point began_;
    bool spoke_ = false;  ///< the client, since the session was renewed
    Deadline idle_;
    Deadline last_;  ///< for what is left to do when it ends
    std::optional<websocket::CloseCode> ending_;
    std::string_view told_;  ///< to both, why
    error_code app_ended_;
    bool late_ = false, sending_up_ = false, client_left_ = false, over_ = false, up_over_ = false;
    Signal up_ended_;
    RequestRecord record_;
    std::string text_;  ///< that the record refers to
};

}  // namespace rotagate::proxy
