#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace rotagate::proxy {

/// What is known of one request when it is over: access log and metrics read it, exactly once.
struct RequestRecord {
    std::string_view request_id;
    std::string_view client;  ///< address without port
    std::string_view method;
    std::string_view host;       ///< lower case, without port
    std::string_view path;       ///< canonical, without the query, which may hold secrets; "-" where none could be read
    std::string_view protocol;   ///< "HTTP/1.1"
    std::string_view user, org;  ///< of the session, as the app reads them; empty: nobody
    std::string session;         ///< SessionId::log_name(); empty: none
    unsigned status = 0;         ///< 0: the client went away before an answer
    bool tunnel = false;         ///< it became a WebSocket; the sizes and the duration are that one's
    std::string_view reason;     ///< why the gateway answered itself or cut the answer; empty: the app answered
    std::string_view upstream;   ///< name; empty: none was asked
    std::string_view server;     ///< the server that answered
    std::uint64_t bytes_in = 0;  ///< of the request's body
    std::uint64_t bytes_out = 0;                 ///< of the answer's body
    std::chrono::microseconds duration{};        ///< from the head's last byte to the answer's last
    std::chrono::microseconds store_duration{};  ///< of the presentation, where there was one
};

}  // namespace rotagate::proxy
