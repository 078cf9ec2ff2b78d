#pragma once

#include <string>

#include <boost/beast/http/verb.hpp>
#include <boost/json/value.hpp>

#include "config/config.hpp"

namespace rotagate::proxy {

/// Talks to the admin address of a running gateway, for the commands.
class AdminClient {
public:
    /// @param token  empty: none is sent
    AdminClient(config::Address address, std::string token) : address_(std::move(address)), token_(std::move(token)) {}
    /// One request, one JSON answer. Throws std::runtime_error with a message for the operator where the gateway cannot
    /// be reached or refuses.
    boost::json::value ask(boost::beast::http::verb method, const std::string& target) const;

private:
    config::Address address_;
    std::string token_;
};

/// Percent-encodes a query's value.
std::string query_value(std::string_view text);

}  // namespace rotagate::proxy
