#include "bench/http_client.hpp"

#include <algorithm>

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>

namespace rotagate::bench {

using proxy::Known;

Task<Failure> HttpClient::ask(const Request& request, const CookieJar& jar) {
    for (;;) {
        Failure failure = co_await send(request, jar);
        if (failure == Failure::none) failure = co_await read_head();
        if (failure == Failure::closed && was_stale()) continue;  // the next one is new, and not stale
        co_return failure;
    }
}

bool HttpClient::redirects_to(std::string_view path) const {
    const unsigned status = head().status;
    if (status < 300 || status >= 400 || status == 304) return false;
    std::string_view location = proxy::find(head().fields, Known::location).value_or("");
    // A whole URL, or a path.
    if (const auto scheme = location.find("://"); scheme != std::string_view::npos && scheme < location.find('/'))
        location.remove_prefix(std::min(location.find('/', scheme + 3), location.size()));
    return location.substr(0, location.find_first_of("?#")) == path;
}

unsigned HttpClient::adopt_cookies(CookieJar& jar) const {
    unsigned adopted = 0;
    for (const proxy::Field& field : head().fields) {
        if (field.known != Known::set_cookie) continue;
        const Target& site = loop_.site();
        adopted += jar.receive(field.value, site.server.host, path_, site.secure, loop_.wall_clock()) ? 1 : 0;
    }
    return adopted;
}

Failure connect_failure(proxy::error_code reason) {
    if (reason == asio::error::timed_out) return Failure::timeout;
    const bool is_tls =
        reason.category() == asio::error::get_ssl_category() || reason == asio::ssl::error::stream_truncated;
    return is_tls ? Failure::tls : Failure::connect;
}

}  // namespace rotagate::bench
