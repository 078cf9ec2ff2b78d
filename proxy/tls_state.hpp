#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "proxy/tls_ocsp.hpp"
#include "proxy/tls_tickets.hpp"

namespace rotagate::proxy::tls {

/// What the TLS contexts of all event loops share, and what outlives them when a reload makes them anew: the keys of
/// session tickets, and OCSP responses. Safe to use from several threads. It must outlive all contexts.
class ServerState {
public:
    /// Throws std::runtime_error where a file cannot be used.
    explicit ServerState(const config::TlsTickets& settings) : tickets(settings) {}

    /// The response about a certificate, the same for all who ask for it. Throws std::runtime_error where it cannot be
    /// used.
    std::shared_ptr<const Staple> staple(const std::filesystem::path& file, X509* certificate);
    /// To be called every few seconds, by the one thread that calls tickets.use(): makes new keys, reads files that
    /// have changed.
    void look_after();

    TicketKeys tickets;

private:
    std::mutex mutex_;
    std::map<std::string, std::weak_ptr<Staple>> staples_;  ///< by certificate and file; those of no context go
};

}  // namespace rotagate::proxy::tls
