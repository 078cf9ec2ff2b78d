#pragma once

#include <string>
#include <string_view>

#include "bench/client_loop.hpp"
#include "bench/cookie_jar.hpp"
#include "bench/failure.hpp"
#include "proxy/message.hpp"

namespace rotagate::bench {

/// What a request asks for.
struct Request {
    std::string_view method = "GET";
    std::string_view target = "/";  ///< with its query
    std::string_view content_type;  ///< of the body; empty: there is none
    std::string_view body;
    bool navigates = false;  ///< as if a page was loaded, in place of what a script asks for

    std::string_view path() const { return target.substr(0, target.find('?')); }
    /// Also where there is no body, but might be one (RFC 9110 section 8.6): else servers answer with 411.
    bool tells_length() const {
        return !content_type.empty() || method == "POST" || method == "PUT" || method == "PATCH";
    }
};

/// Sends one request at a time, and reads its answer, over whatever protocol there is.
class HttpClient {
public:
    HttpClient(const HttpClient&) = delete;
    virtual ~HttpClient() = default;

    /// Sends a request and reads the head of its answer. Where the server has closed a kept connection meanwhile, it
    /// goes once more over a new one, as browsers do.
    Task<Failure> ask(const Request& request, const CookieJar& jar);

    /// The two halves of ask(), without the second try.
    virtual Task<Failure> send(const Request& request, const CookieJar& jar) = 0;
    virtual Task<Failure> read_head() = 0;
    /// Whether a kept connection turned out to be closed before it answered anything, or the server says that it has
    /// not acted on the request.
    virtual bool was_stale() const = 0;

    /// Of the answer; its views hold until read_body().
    virtual const proxy::ResponseHead& head() const = 0;
    /// Whether the answer sends the browser to that path of the site.
    bool redirects_to(std::string_view path) const;
    /// Has a jar adopt the cookies of the answer. Returns how many had an effect.
    unsigned adopt_cookies(CookieJar& jar) const;
    /// Reads the body to its end, and drops it. Afterwards the next request may be sent.
    virtual Task<Failure> read_body() = 0;

    /// Gives up what is under way.
    virtual void close() = 0;
    /// Whether it has a connection that the next request may use.
    virtual bool is_open() const = 0;

protected:
    explicit HttpClient(ClientLoop& loop) : loop_(loop) {}

    ClientLoop& loop_;
    std::string path_;  ///< of the request
};

/// How a connection that could not be made has failed; the loop counts what is this machine's own limit.
Failure connect_failure(ClientLoop& loop, proxy::error_code reason);

}  // namespace rotagate::bench
