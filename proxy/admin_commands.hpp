#pragma once

#include <string>

#include "proxy/admin_client.hpp"

/// The commands that ask a running gateway, over its admin address. All print their result to standard output, and
/// throw std::runtime_error with a message for the operator where they fail.
namespace rotagate::proxy {

/// Where the gateway's admin address is, as told on the command line; empty: not told.
struct AdminAccess {
    std::string address;      ///< host:port or unix:/path
    std::string config_file;  ///< whose `admin:` says address and token where those are not told
    std::string token_file;

    AdminClient client() const;
};

/// Which sessions are meant.
struct SessionChoice {
    std::string user, org, id;  ///< empty: not told
    bool all = false;

    std::string target() const;  ///< of the request: path and query
};

/// A table, or with `json` an object a line.
void list_sessions(const AdminAccess& access, const SessionChoice& choice, bool json);
void revoke_sessions(const AdminAccess& access, const SessionChoice& choice);
/// @param org  empty: all users
void count_users(const AdminAccess& access, const std::string& org);

}  // namespace rotagate::proxy
