#pragma once

#include <boost/asio/awaitable.hpp>

#include "proxy/admin.hpp"
#include "proxy/admin_gate.hpp"
#include "proxy/admin_query.hpp"

namespace rotagate::proxy {

/// What the admin address answers (SPEC section 6), to requests that have passed the gate:
///   GET    /v1/sessions?user=U&org=O[&cursor=C][&limit=N]
///          {"sessions": [{"id", "user", "org": "" for none, "created", "expires", "permanent", "last_seen",
///          "client"}], "cursor": "" on the last page}; times are RFC 3339, UTC, with milliseconds
///   DELETE /v1/sessions?user=U&org=O | ?all=true, /v1/sessions/ID         {"revoked": n}
///   GET    /v1/users/count[?org=O]                                        {"users": n}
///   GET    /healthz                {"status": "ok"}
///   GET    /readyz                 {"ready": true}, or 503 {"ready": false, "reasons": [...]}
///   GET    /metrics                Prometheus text
/// Errors are {"error": message}: 400 with the cure, 404, 405, and 503 where the store does not answer.
class AdminApi {
public:
    explicit AdminApi(AdminParts parts) : parts_{std::move(parts)} {}
    boost::asio::awaitable<AdminResponse> answer(const AdminRequest& request);

private:
    using Answer = boost::asio::awaitable<AdminResponse>;
    Answer route(const AdminRequest& request);
    Answer list(const AdminTarget& target);
    Answer revoke_selected(const AdminTarget& target);
    Answer revoke_one(std::string_view admin_name);
    Answer count_users(const AdminTarget& target);
    Answer ready();
    AdminResponse metrics() const;
    void log_end(const session::SessionId& id, Reason reason);
    /// The store has not answered whether an ending happened. @param session  its name in the log; empty: several
    void log_unconfirmed(const session::User& user, const std::string& session);

    AdminParts parts_;
};

}  // namespace rotagate::proxy
