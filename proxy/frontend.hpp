#pragma once

#include <array>

#include "proxy/client.hpp"
#include "proxy/event_loop.hpp"
#include "proxy/exchange.hpp"
#include "proxy/http1.hpp"

namespace rotagate::proxy {

/// What a client's connection knows of its requests before they come, the same for HTTP/1 and HTTP/2.
class Frontend {
public:
    Frontend(EventLoop& its_loop, const Listening& its_listening, Peer its_peer)
        : loop(its_loop), listening(its_listening), tls(its_listening.tls), peer(std::move(its_peer)) {}

    /// Gives a request whose head was read its id and origin.
    /// @param error  what speaks against its head
    /// @return the answer where it goes no further
    std::optional<Answer> prepare(Exchange& x, const std::optional<http1::HeadError>& error);
    /// How long the connection may be silent between requests.
    std::chrono::milliseconds idle_limit() const;

    /// Adds Content-Length, where the length is known and not told yet, and Date. @param room  has to live as long as
    /// them
    void complete(AnswerHead& head, std::array<char, 20>& room) const;

    EventLoop& loop;
    const Listening& listening;
    const std::shared_ptr<const tls::ServerContexts> tls;  ///< that the connection was accepted with; null: plain
    Peer peer;
    const SSL* ssl = nullptr;  ///< null: plain

private:
    bool serves(const std::string& host);

    std::optional<std::string> served_host_;  ///< the last host that may be asked for on this connection
};

/// While draining: how long a client that did not know yet may take to send one more request.
inline constexpr std::chrono::milliseconds drain_grace{1000};

/// A connection that is silent for longer gives its buffers back while it waits.
inline constexpr std::chrono::milliseconds park_after{1000};

/// Aborts the app's connection where its answer is wanted no more: the session of a long answer has ended, or the
/// client has left. Returns whether it was so.
bool give_up(EventLoop& loop, Exchange& x, bool client_left);

}  // namespace rotagate::proxy
