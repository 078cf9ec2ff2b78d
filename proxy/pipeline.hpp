#pragma once

#include "proxy/event_loop.hpp"
#include "proxy/exchange.hpp"

/// The steps of a request in order; each is a file of its own.
namespace rotagate::proxy {

namespace http2 {
class AppStream;
}

/// Runs all steps for a request whose head was read: exactly one answer, and exactly one record of it; but for a
/// tunnel, which is left in the exchange, and makes its record at its end.
Task<> handle(EventLoop& loop, Exchange& x);
/// Fills in what the record tells of a request that was served.
void describe(Exchange& x);
/// The end of handle() alone, for a request that is answered without looking at it further.
Task<> answer_and_record(EventLoop& loop, Exchange& x, Answer answer);

/// Picks the route on the canonical path. Answers: 400, 404, 405.
std::optional<Answer> route(Exchange& x);
/// Opens the session cookie and presents it to the store. Answers: 401 or a redirect, 503.
Task<std::optional<Answer>> admit(EventLoop& loop, Exchange& x);
/// The same by the session cookie alone, and by the client's certificate, which a route may ask for. Answers of the
/// latter: 403 too.
Task<std::optional<Answer>> admit_by_cookie(EventLoop& loop, Exchange& x);
Task<std::optional<Answer>> admit_by_certificate(EventLoop& loop, Exchange& x);
/// The request is that of a session's user, or nobody's. Answers: 401 or a redirect, where the route requires a user.
void admit_session(EventLoop& loop, Exchange& x, session::Session session);
std::optional<Answer> admit_nobody(Exchange& x);
/// Sends the request to the app and relays its answer. Answers: 4xx for a bad body, 502, 503, 504.
Task<std::optional<Answer>> forward(EventLoop& loop, Exchange& x);

/// What was relayed of an app's answer.
enum class Relayed {
    in_part,    ///< nothing, or not all
    whole,      ///< all of it: the app's connection is ready for another request
    agreement,  ///< the 101 of a tunnel, which begins now
};
/// Obeys the app's session headers, mints the next cookie, and relays the answer. Answers, where nothing was sent yet:
/// 502, 503.
/// @param waiting   cuts the app's connection when it is silent for too long
/// @param relayed   out: what the client has got
Task<std::optional<Answer>> respond(EventLoop& loop, Exchange& x, Stream& app, Deadline& waiting, Relayed& relayed);
/// The same for an app that speaks HTTP/2.
Task<std::optional<Answer>> respond(EventLoop& loop, Exchange& x, http2::AppStream& app, Deadline& waiting);
/// Where a client of a plain listener finds the same over TLS. A Host without a port means that ports are mapped in
/// front of us, 80 to this listener: then the Location has none either; else it has that of the first TLS listener.
std::string https_location(const Exchange& x);
/// Answers for the gateway itself.
Task<> respond_with(EventLoop& loop, Exchange& x, const Answer& answer);

/// Obeys X-Session-*: logins, logouts, data. Answers: 502, 503.
Task<std::optional<Answer>> obey_session_command(EventLoop& loop, Exchange& x, const ResponseHead& head);
/// Starts a session, which becomes that of the request. Errors: the store's. @param detail  for the security log
Task<error_code> start_session(EventLoop& loop, Exchange& x, session::NewSession request, std::string_view detail);
/// Mints the session's next cookie into x.set_cookie, if there is a session and it has not ended meanwhile; drops a
/// deletion that was decided on too long ago.
/// @return false: that takes mint_with_store()
bool mint(EventLoop& loop, Exchange& x);
/// The same where the store has to be asked: after a long wait for the app, or with rotation.strict. Answers: 503.
Task<std::optional<Answer>> mint_with_store(EventLoop& loop, Exchange& x);

/// Notes a refusal, a start or an end of a session in the security log.
void note(EventLoop& loop, const Exchange& x, SecurityEvent::Kind kind, Reason reason, const session::SessionId* id,
          std::string_view detail = {});

}  // namespace rotagate::proxy
