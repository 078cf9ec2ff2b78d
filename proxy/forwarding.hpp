#pragma once

#include <optional>
#include <string_view>

#include "proxy/pipeline.hpp"

/// What forwarding over HTTP/1 and over HTTP/2 have in common.
namespace rotagate::proxy {

/// 1xx answers to one request: more is an app gone wrong.
inline constexpr std::size_t max_informational = 32;
/// Of an answer, bytes: X-Session-Data may have 64 KiB by itself.
inline constexpr std::size_t max_answer_head = 128 * config::KiB;

/// What came of one attempt to have an app answer.
struct Outcome {
    std::optional<Answer> answer;  ///< none: the app's answer was relayed
    bool retry = false;            ///< nothing came back, and asking again does no harm
};

/// Lets others end the waiting for the app for as long as it is asked.
class Asked {
public:
    Asked(Exchange& x, Abortable& app) : x_(x) { x.app = &app; }
    ~Asked() { x_.app = nullptr; }
    Asked(const Asked&) = delete;
    Asked& operator=(const Asked&) = delete;

private:
    Exchange& x_;
};

/// From here on the rest of a request's body is carried to the app, until that has answered or x.uploading is taken
/// back, and ends with the request's session.
void begin_upload(const EventLoop& loop, Exchange& x);

/// The answer where waiting for the app has been given up: see give_up().
Answer given_up(const Exchange& x);

/// Over HTTP/2, for apps that speak it; the same promise as forward().
Task<std::optional<Answer>> forward_http2(EventLoop& loop, Exchange& x);

/// Whether a request may be sent again though an app may have got it.
bool idempotent(std::string_view method);
/// The answer for a body that the client does not bring to its end; none: it was not the client's fault.
std::optional<Answer> body_refusal(const error_code& error);
/// Whether the client went away before it had brought its body: no fault of the app's.
bool left_in_upload(const error_code& body_error);

/// The path and query that the app gets.
std::string_view app_target(Exchange& x);
/// All fields that the app gets; those that only HTTP/1 has are for the sender to leave out.
void app_fields(Exchange& x, Fields& fields);
/// Passes a 1xx answer on. @return false: await the client's flush()
bool pass_informational(Exchange& x, const ResponseHead& head);

/// The answer for an app that has failed, which is logged.
Answer upstream_failure(const Exchange& x, const error_code& why);
/// The answer where no server is left to ask. @param last  why the last one was given up
Answer out_of_servers(const error_code& last);
void note_unreachable(const Exchange& x, std::size_t server, const error_code& why);

}  // namespace rotagate::proxy
