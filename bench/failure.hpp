#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rotagate::bench {

/// What can go wrong with a request.
enum class Failure : std::uint8_t {
    none,
    connect,    ///< no TCP connection
    tls,        ///< no agreement, or a certificate that is not trusted
    timeout,    ///< no whole answer in time
    closed,     ///< the connection ended before the answer did
    malformed,  ///< the answer is not HTTP
    status_4xx,
    status_5xx,
    session_lost,  ///< signed in, and answered as if not
    login,         ///< refused
};
inline constexpr std::array<std::string_view, 10> failure_names{
    "none", "connect", "tls", "timeout", "closed", "malformed", "status_4xx", "status_5xx", "session_lost", "login"};

/// Behind the number of those that failed to connect for it: EADDRNOTAVAIL.
inline constexpr std::string_view no_port_cure =
    "found no port, or no address, of this machine to come from. Ports of closed connections are kept for a minute "
    "(TIME_WAIT): keep connections alive, make fewer, name several addresses of the site by --target, or widen "
    "net.ipv4.ip_local_port_range";

/// How often each happened.
using FailureCounts = std::array<std::uint64_t, failure_names.size()>;

constexpr std::size_t index(Failure failure) { return static_cast<std::size_t>(failure); }

}  // namespace rotagate::bench
