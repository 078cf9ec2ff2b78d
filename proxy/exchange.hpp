#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/abortable.hpp"
#include "proxy/client.hpp"
#include "proxy/cookies.hpp"
#include "proxy/headers.hpp"
#include "proxy/path.hpp"
#include "proxy/pool.hpp"
#include "proxy/record.hpp"
#include "proxy/session_watch.hpp"
#include "proxy/site.hpp"
#include "session/session.hpp"

namespace rotagate::proxy {

class Tunnel;

/// One request and its answer, and what the steps of the pipeline have found out so far.
struct Exchange : pool::Pooled {
    Exchange(Client& client, const Peer& peer, std::shared_ptr<const Site> site);
    Exchange(const Exchange&) = delete;
    ~Exchange();

    // What the connection read.
    Client& client;
    const Peer& peer;
    std::shared_ptr<const Site> site;  ///< the configuration that this request began with
    RequestHead request;
    std::vector<Field> trailers;  ///< of the request, behind its body: from clients of HTTP/2 only
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
    std::string_view request_id;
    std::string client_address;
    ClientOrigin origin;

    // What `route` found.
    std::string path_storage;
    Target target;
    const config::Route* route = nullptr;
    bool preflight = false;  ///< the app is asked what pages of another origin may do; no session has to do with it
    UpstreamPool* pool = nullptr;

    // What `admit` found.
    RequestCookies cookies;
    std::optional<session::Session> session;  ///< valid; empty: nobody is signed in
    session::User user;
    Identity identity;
    std::string_view audience;                               ///< what session cookies of this request are bound to
    std::string_view set_cookie;                             ///< the Set-Cookie that the answer carries; empty: none
    session::Millis presented{};                             ///< the mint time of the cookie of `session`
    std::optional<session::SessionId> ended;                 ///< that of a genuine cookie whose session is gone
    bool ambiguous = false;                                  ///< cookies of different sessions: none is set or deleted
    std::chrono::steady_clock::time_point admitted = began;  ///< when `session` and `set_cookie` were decided on last

    // What `forward` and `respond` are at.
    std::string_view server_host;                          ///< the Host of the server that is asked
    Abortable* app = nullptr;                              ///< what the app is asked over, while it is
    ResponseHead answer_head;                              ///< as the app sent it
    AnswerHead answer;                                     ///< as the client gets it
    std::chrono::steady_clock::time_point relaying_since;  ///< a body, of the request or of the answer
    std::optional<SessionWatch> watch;                     ///< of a long upload or answer
    bool uploading = false;                                ///< its body is on its way, and the app has not answered
    std::string_view websocket_key;                        ///< that the app has to answer
    std::unique_ptr<Tunnel> tunnel;  ///< that it has agreed to: it goes on where the exchange ends
    bool head_sent = false;
    std::uint32_t reset_code = 0;  ///< HTTP/2's, of an app that cut its answer; 0: none that says more

    RequestRecord record;
    Arena arena;

    bool session_route() const { return route && !preflight && route->access != config::Access::open; }
};

/// An answer of the gateway itself.
struct Answer {
    unsigned status;
    std::string_view reason;             ///< stable, for logs and programs: "unauthenticated", "store_unavailable", ...
    std::string location = {};           ///< of a redirect
    bool close = false;                  ///< the connection ends with it
    std::chrono::seconds retry_after{};  ///< 0: nothing is said of it
};

}  // namespace rotagate::proxy
