#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "proxy/client.hpp"
#include "proxy/event_loop.hpp"
#include "proxy/exchange.hpp"
#include "proxy/http1.hpp"

namespace rotagate::proxy {

/// What a client's connection knows of its requests before they come, the same for HTTP/1 and HTTP/2.
class Frontend {
public:
    /// @param peer  whether it is trusted is found out here
    Frontend(EventLoop& its_loop, std::shared_ptr<const Listening> its_listening, const Peer& peer);

    /// The client, as a request sees it that begins now: the configuration in force says whether it is trusted.
    const Peer& peer();
    /// The certificate that the client has shown in the handshake; null: none.
    void identify(const std::shared_ptr<ClientCertificate>& certificate);

    /// Gives a request whose head was read its id and origin.
    /// @param error  what speaks against its head
    /// @return the answer where it goes no further
    std::optional<Answer> prepare(Exchange& x, const std::optional<http1::HeadError>& error);
    /// How long the connection may be silent between requests.
    std::chrono::milliseconds idle_limit() const;

    /// Adds Content-Length, where the length is known and not told yet, and Date. @param room  has to live as long as
    /// them
    void complete(AnswerHead& head, std::array<char, 20>& room) const;

    /// Whether the connection ends as soon as it has no request.
    bool ending() const { return loop.draining() || listening->closed(); }

    EventLoop& loop;
    const std::shared_ptr<const Listening> listening;
    const std::shared_ptr<const tls::ServerContexts> tls;  ///< with which the connection began; null: plain
    const SSL* ssl = nullptr;                              ///< null: plain

private:
    bool serves(const std::string& host);

    std::array<Peer, 2> peers_;               ///< the client as one that is not trusted, and as one that is
    std::size_t trusted_ = 0;                 ///< the index of what it is
    std::uint64_t trusted_as_of_ = 0;         ///< the site that said so
    std::optional<std::string> served_host_;  ///< the last host that may be asked for on this connection
};

/// While draining: how long a client that did not know yet may take to send one more request.
inline constexpr std::chrono::milliseconds drain_grace{1000};

/// A connection that is silent for longer gives its buffers back while it waits.
inline constexpr std::chrono::milliseconds park_after{1000};

/// Whether the session of a long upload or answer has ended.
bool session_ended(EventLoop& loop, Exchange& x);

/// Aborts the app's connection where its answer is wanted no more: the session of a long upload or answer has ended, or
/// the client has left. Returns whether the client's connection has to be cut: nothing else can be said to it.
bool give_up(EventLoop& loop, Exchange& x, bool client_left);

}  // namespace rotagate::proxy
