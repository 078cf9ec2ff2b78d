#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json/object.hpp>

#include "config/config.hpp"

namespace rotagate::proxy {

using AdminRequest = boost::beast::http::request<boost::beast::http::string_body>;
using AdminResponse = boost::beast::http::response<boost::beast::http::string_body>;

/// An answer of the admin address: JSON that nobody may cache.
AdminResponse admin_answer(boost::beast::http::status status, const boost::json::object& json);
/// {"error": message}
AdminResponse admin_error(boost::beast::http::status status, std::string_view message);

/// Who may talk to the admin address: not a web page, however it got there, and only who has the token.
class AdminGate {
public:
    /// Throws std::runtime_error where the token file cannot be read.
    explicit AdminGate(const config::Admin& settings);

    /// The answer to a request that may not pass, in this order:
    ///   400  no Host, or several
    ///   421  without a token: a Host that is a name of somebody else's (DNS rebinding); on a TCP address it must be
    ///        the configured host, localhost or an IP address, with any port
    ///   403  Origin, or a Sec-Fetch-Site other than none: a browser's request on behalf of a page
    ///   401  without the token, where one is configured; /healthz and /readyz need none, for load balancers
    std::optional<AdminResponse> refuse(const AdminRequest& request) const;

private:
    bool knows_host(std::string_view authority) const;

    config::Address address_;
    std::string token_;  ///< empty: none is needed
};

/// The token in a file, without white space around it. Throws std::runtime_error where it cannot be read or is empty.
std::string read_admin_token(const std::filesystem::path& file);

}  // namespace rotagate::proxy
