#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/intrusive/list.hpp>
#include <openssl/ssl.h>

#include "proxy/task.hpp"
#include "session/session.hpp"

namespace rotagate::proxy {

/// Who a client is by the certificate that it has shown, which was verified. It belongs to the connection.
struct ClientCertificate {
    std::string subject;  ///< one line by RFC 2253, the most specific part first; percent-encoded as user ids are
    std::string user;     ///< its common name, where there is exactly one and it can be a user id; else empty
    std::optional<session::SessionId> session;  ///< that was started for it on this connection

    /// A request that waits until the session has been started which another one on this connection starts.
    struct Waiter : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
        Signal over;
        bool failed = false;
    };
    bool starting = false;
    boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>> waiters;
};

/// That of a connection after its handshake; null: the client has shown none.
std::shared_ptr<ClientCertificate> client_certificate(const SSL* ssl);

}  // namespace rotagate::proxy
