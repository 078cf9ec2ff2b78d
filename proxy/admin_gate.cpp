#include "proxy/admin_gate.hpp"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/json/serialize.hpp>
#include <openssl/crypto.h>

#include "config/address.hpp"

namespace rotagate::proxy {

namespace http = boost::beast::http;
using boost::beast::iequals;

namespace {

/// The host of "host", "host:port" or "[v6]:port", without brackets.
std::string_view host_of(std::string_view authority) {
    if (authority.substr(0, 1) == "[") return authority.substr(1, authority.find(']') - 1);
    return authority.substr(0, authority.find(':'));
}

bool is_token(std::string_view authorization, std::string_view token) {
    constexpr std::string_view scheme = "Bearer ";
    if (!iequals(authorization.substr(0, scheme.size()), scheme)) return false;
    authorization.remove_prefix(scheme.size());
    return authorization.size() == token.size() && CRYPTO_memcmp(authorization.data(), token.data(), token.size()) == 0;
}

bool needs_no_token(std::string_view target) {
    const std::string_view path = target.substr(0, target.find('?'));
    return path == "/healthz" || path == "/readyz";
}

}  // namespace

AdminResponse admin_answer(http::status status, const boost::json::object& json) {
    AdminResponse answer{status, 11, boost::json::serialize(json) + '\n'};
    answer.set(http::field::content_type, "application/json");
    return answer;
}

AdminResponse admin_error(http::status status, std::string_view message) {
    return admin_answer(status, {{"error", message}});
}

std::string read_admin_token(const std::filesystem::path& file) {
    std::ifstream in{file};
    if (!in) {
        throw std::runtime_error("cannot read the token file " + file.string() + ": " +
                                 std::system_category().message(errno));
    }
    std::string token{std::istreambuf_iterator<char>{in}, {}};
    constexpr std::string_view space = " \t\r\n";
    token.erase(token.find_last_not_of(space) + 1);
    token.erase(0, token.find_first_not_of(space));
    if (token.empty()) throw std::runtime_error("the token file " + file.string() + " is empty");
    return token;
}

AdminGate::AdminGate(const config::Admin& settings)
    : address_{settings.address},
      token_{settings.token_file.empty() ? std::string{} : read_admin_token(settings.token_file)} {}

bool AdminGate::knows_host(std::string_view authority) const {
    // Rebinding needs a name, whose address the attacker can change; a page at an IP address is another origin.
    const std::string_view host = host_of(authority);
    const auto colon = authority.rfind(':');
    const bool has_port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
    if (has_port && authority.find_first_not_of("0123456789", colon + 1) != std::string_view::npos) return false;
    return address_.is_unix() || iequals(host, "localhost") || iequals(host, address_.host) ||
           config::is_ip_address(host);
}

std::optional<AdminResponse> AdminGate::refuse(const AdminRequest& request) const {
    const auto hosts = request.count(http::field::host);
    if (hosts > 1 || (hosts == 0 && request.version() >= 11)) {
        return admin_error(http::status::bad_request, "one Host field is needed");
    }
    // Where a token is required, a page that was rebound to this address does not have it.
    if (hosts == 1 && token_.empty() && !knows_host(request[http::field::host])) {
        return admin_error(http::status::misdirected_request,
                           "the admin address answers to its own address and to localhost only");
    }
    const std::string_view site = request["Sec-Fetch-Site"];
    if (request.count(http::field::origin) > 0 || (!site.empty() && site != "none")) {
        return admin_error(http::status::forbidden, "the admin address is not for web pages");
    }
    const bool open = token_.empty() || needs_no_token(request.target());
    if (!open && !is_token(request[http::field::authorization], token_)) {
        AdminResponse answer = admin_error(http::status::unauthorized, "send Authorization: Bearer TOKEN");
        answer.set(http::field::www_authenticate, "Bearer");
        return answer;
    }
    return std::nullopt;
}

}  // namespace rotagate::proxy
