#include "bench/http_client.hpp"

#include <algorithm>

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>

namespace rotagate::bench {

using proxy::Known;

Task<Failure> HttpClient::ask(const Request& request, const CookieJar& jar) {
    // Once more where the connection was an old one. One of HTTP/2 may go on, and its server refuse the next stream,
    // too.
    for (bool again = false;; again = true) {
        Failure failure = co_await send(request, jar);
        if (failure == Failure::none) failure = co_await read_head();
        if (failure != Failure::closed || !was_stale() || again) co_return failure;
    }
}

bool HttpClient::redirects_to(std::string_view path) const {
    const unsigned status = head().status;
    if (status < 300 || status >= 400 || status == 304) return false;
    // A whole URL, a path, or what is relative to the path that was asked for.
    const std::string_view told = proxy::find(head().fields, Known::location).value_or("");
    const auto location = boost::urls::parse_uri_reference(told.substr(0, told.find_first_of("?#")));
    const auto asked = boost::urls::parse_uri_reference(path_);
    boost::urls::url base("http://host"), target;
    if (!location || !asked) return false;
    base.set_encoded_path(asked->encoded_path());
    return boost::urls::resolve(base, *location, target) && target.encoded_path() == path;
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

Failure connect_failure(ClientLoop& loop, proxy::error_code reason) {
    if (reason == boost::system::errc::address_not_available) loop.note_no_port();
    if (reason == asio::error::timed_out) return Failure::timeout;
    const bool is_tls =
        reason.category() == asio::error::get_ssl_category() || reason == asio::ssl::error::stream_truncated;
    return is_tls ? Failure::tls : Failure::connect;
}

}  // namespace rotagate::bench
