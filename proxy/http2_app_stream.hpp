#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proxy/abortable.hpp"
#include "proxy/body.hpp"
#include "proxy/message.hpp"
#include "proxy/pool.hpp"
#include "proxy/request_body.hpp"

namespace rotagate::proxy::http2 {

class AppConnection;

/// One request to an app that speaks HTTP/2, and its answer. Reset, where it is not over, when it is destroyed.
class AppStream final : public Abortable {
public:
    /// What an answer is read into, and what it depends on.
    struct Answer {
        ResponseHead& head;  ///< the final one
        Arena& arena;        ///< keeps all text
        bool to_head;        ///< the request is HEAD
    };
    /// @param body  is sent as far as it is there, and the app takes it
    AppStream(std::shared_ptr<AppConnection> connection, Answer answer, RequestBody& body);
    AppStream(const AppStream&) = delete;
    ~AppStream();

    struct Request {
        std::string_view method, target;
        const Fields& fields;  ///< as HTTP/1 would have them; Host becomes :authority
        bool te_trailers;      ///< trailers of the answer reach somebody
        bool has_body;         ///< else the head ends it
    };
    /// Sends the head; the body follows by itself. What the app has said to be too large for it, here or in trailers,
    /// is not sent, and aborts the stream with message_size.
    void send(const Request& request);
    /// There is more of the body, or its end.
    void resume_body();
    void set_trailers(Fields trailers);

    /// Waits for a head, interim or final. Errors: timed_out and others of abort(); bad_message; message_size;
    /// connection_reset.
    Task<error_code> next_head();
    /// The 1xx heads that have come, one by one.
    std::optional<ResponseHead> take_interim();
    bool has_answer() const { return answered_; }

    /// What has arrived of the answer's body; no data and neither end nor error: nothing yet.
    BodyPiece take();
    Task<BodyPiece> next();
    bool ended() const { return ended_ && body_.empty(); }
    std::span<const Field> trailers() const { return trailers_; }

    void abort(error_code reason) override;
    /// Whether the app has certainly done nothing for it.
    bool unprocessed() const { return refused_ || !sent_; }
    /// Whether the connection has ended under it.
    bool lost() const { return lost_; }
    /// By which the app ended it early; 0: it did not.
    std::uint32_t reset_code() const { return reset_code_; }

    // What the connection hears of it. None of these resumes a coroutine.
    void on_field(std::string_view name, std::string_view value);
    void on_head_end(bool ends);
    void on_body(std::string_view bytes);
    void on_end() { ended_ = true; }
    void on_sent() { sent_ = true; }
    /// The app's answer is malformed: the connection has reset it.
    void on_refusal() { refuse(); }
    void on_close(std::uint32_t code);
    void on_lost();
    // Behind these, it may be gone.
    void wake_reader() { arrived_.notify(); }
    void wake_writer() { body_source_.wake(); }

    std::int32_t id = -1;  ///< the connection's to give
    RequestBody& body_source() { return body_source_; }
    const Fields& request_trailers() const { return request_trailers_; }
    bool open() const { return id >= 0 && !closed_; }

private:
    void refuse();
    bool read_final(bool ends);

    std::shared_ptr<AppConnection> connection_;
    Answer answer_;
    RequestBody& body_source_;
    Fields request_trailers_;
    std::vector<ResponseHead> interim_;
    std::vector<Field> trailers_;
    std::size_t head_bytes_ = 0, heads_ = 0;
    pool::String body_, taken_;  ///< of the answer: what has arrived, and what was handed out last
    error_code error_;
    std::uint32_t reset_code_ = 0;
    bool answered_ = false, ended_ = false, closed_ = false;
    bool sent_ = false, refused_ = false, lost_ = false;
    Signal arrived_;
};

}  // namespace rotagate::proxy::http2
