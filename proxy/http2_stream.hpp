#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxy/client.hpp"
#include "proxy/exchange.hpp"
#include "proxy/http2_request.hpp"
#include "proxy/pool.hpp"
#include "proxy/tunnel.hpp"

namespace rotagate::proxy::http2 {

class Connection;

/// One stream of a client's HTTP/2 connection: a request and its answer, as the pipeline's Client.
class Stream final : public Client, public pool::Pooled {
public:
    Stream(Connection& connection, std::int32_t id);

    // What the connection hears of it. None of these resumes a coroutine: they are called from inside nghttp2.
    RequestReader& head() { return head_; }
    void on_body(std::string_view bytes);
    void on_body_end() { body_ended_ = true; }
    /// A field behind the body. Returns false where there are too many.
    bool on_trailer(std::string_view name, std::string_view value);
    /// The client is done with it, or the connection has ended.
    void on_close() { closed_ = true; }
    /// The next bytes of the answer's body. @param end  out: they are the last
    /// @return how many were copied; 0 without `end`: there are none yet
    std::size_t read_answer(std::span<char> into, bool& end);
    /// Of the answer, to be sent behind its body.
    std::span<const Field> trailers() const { return trailers_; }

    /// Has the stream's coroutines see what happened. May end the stream.
    void wake();
    /// A few times a second: cuts an answer that is wanted no more.
    void look_after();
    /// The gateway is going down: requests are answered, but no tunnel holds it up.
    void drain();
    /// Serves the request; the head has come whole. @param has_body  whether more than the head will come
    Task<> serve(bool has_body);

    /// serve() has failed.
    void abandon();

    std::int32_t id() const { return id_; }
    bool body_ended() const { return body_ended_; }
    bool closed() const { return closed_; }
    bool busy() const { return started_ && !served_; }
    /// Whether it is worked on, and the client has seen nothing of an answer.
    bool unanswered() const { return busy() && exchange_ && !exchange_->head_sent; }
    /// Of the request's body, what nobody has taken.
    std::size_t unread() const { return body_.size(); }

    BodyPiece take_body() override;
    Task<BodyPiece> next_body() override;
    void stop_body() override;
    bool send_informational(const AnswerHead& head) override;
    bool send_head(AnswerHead& head, std::string_view first, bool last) override;
    bool send_body(std::string_view data, bool last) override;
    bool takes_trailers() const override { return true; }
    void set_trailers(const Fields& fields) override { trailers_.assign(fields.begin(), fields.end()); }
    Task<error_code> flush() override;
    void cut() override;
    void close_after_answer() override {}
    std::string_view protocol() const override { return "HTTP/2.0"; }

private:
    bool has_room() const;
    Task<> carry();
    void watch_client();
    void taken_or_reset();
    void reset(std::uint32_t code);
    bool all_sent() const { return answer_ended_ && answer_.empty() && !reset_; }

    Connection& connection_;
    const std::int32_t id_;
    std::unique_ptr<Exchange> exchange_;
    std::unique_ptr<Tunnel> tunnel_;  ///< what the stream has become; there is no exchange then
    RequestReader head_;
    pool::String body_, taken_;  ///< the request's: what has arrived, and what was handed out last
    std::uint64_t body_bytes_ = 0;
    pool::String answer_;          ///< what of its body waits to be sent
    std::size_t answer_from_ = 0;  ///< what is before has been sent
    /// Bytes of it that were sent; and, when the client was last watched, of it, and of all answers.
    std::uint64_t sent_ = 0, sent_then_ = 0, all_sent_then_ = 0;
    std::vector<Field> trailers_;
    bool body_ended_ = false, body_stopped_ = false, answer_ended_ = false, closed_ = false, reset_ = false;
    bool started_ = false, served_ = false, timed_out_ = false, says_goodbye_ = false;
    Deadline reading_, writing_;
    Signal body_changed_, room_;
    std::array<char, 20> length_text_;
};

}  // namespace rotagate::proxy::http2
