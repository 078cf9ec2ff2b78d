#pragma once

#include <optional>
#include <string_view>

#include "proxy/body.hpp"
#include "proxy/message.hpp"
#include "proxy/task.hpp"

namespace rotagate::proxy {

/// The head of an answer as the client gets it; how its body is framed is the connection's matter.
struct AnswerHead {
    unsigned status = 200;
    std::string_view reason;  ///< empty: the standard phrase
    Fields fields;            ///< without framing fields, Connection and Date
    bool has_body = true;
    std::optional<std::uint64_t> content_length;  ///< where it is known; also without a body, for an answer to HEAD
    bool tunnel = false;  ///< what follows is bytes as they are, both ways, without an end that is told before
};

/// What the pipeline needs of the client's side of an exchange; the same for HTTP/1 and HTTP/2.
class Client {
public:
    /// What has arrived of the request's body, without waiting.
    virtual BodyPiece take_body() = 0;
    /// Waits for more of it; in a tunnel for as long as it takes, and without buffers. Errors: bad_message (malformed),
    /// message_size (over limits.body_bytes), timed_out (the client stalls), operation_aborted (stop_body()); others:
    /// the client is gone.
    virtual Task<BodyPiece> next_body() = 0;
    /// Ends a waiting next_body(). The rest of the body is not wanted; the connection will be closed.
    virtual void stop_body() = 0;

    /// A 1xx answer, ahead of the final one. This and the next two return false where some of it is still kept here, or
    /// the client is gone: await flush() before sending more.
    virtual bool send_informational(const AnswerHead& head) = 0;
    /// The final head with the first bytes of the body, in one piece. @param last  whether they are all of it
    virtual bool send_head(AnswerHead& head, std::string_view first, bool last) = 0;
    virtual bool send_body(std::string_view data, bool last) = 0;
    /// Whether trailers reach the client.
    virtual bool takes_trailers() const { return false; }
    /// Fields behind the body: called ahead of what sends the last of it. Their text lives as long as the exchange.
    virtual void set_trailers(const Fields&) {}
    /// Waits until the client has taken what was sent.
    virtual Task<error_code> flush() = 0;
    /// The answer cannot be completed: makes sure that the client cannot take it for complete.
    virtual void cut() = 0;
    /// After the answer to this request the connection ends.
    virtual void close_after_answer() = 0;
    /// As the access log tells it: "HTTP/1.1".
    virtual std::string_view protocol() const = 0;

protected:
    ~Client() = default;
};

}  // namespace rotagate::proxy
