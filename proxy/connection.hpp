#pragma once

#include <memory>
#include <optional>

#include <boost/intrusive/list.hpp>

#include "proxy/client.hpp"
#include "proxy/frontend.hpp"
#include "proxy/stream.hpp"

namespace rotagate::proxy {

namespace http2 {
class Connection;
}

/// One client's connection: TLS handshake, then one HTTP/1 request after the other, each an exchange for the pipeline;
/// or HTTP/2, which is not its own matter. It holds itself while it runs, and while it is parked: what is left of it
/// then is this object, its stream and what OpenSSL keeps.
class Connection final
    : public Client,
      private StreamWatcher,
      public std::enable_shared_from_this<Connection>,
      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    Connection(EventLoop& loop, std::shared_ptr<const Listening> listening, Descriptor socket, const Peer& peer,
               ClientConnections::Place place);
    ~Connection();

    const Listening& listening() const { return *frontend_.listening; }

    Task<> run();
    /// The gateway is going down: end soon if there is no request.
    void drain();
    /// A few times a second: cuts a long answer whose session has ended, and lets the app stop when the client has
    /// left.
    void look_after();
    /// The loop is at its end: a connection that is parked, which no task holds, is closed.
    void abandon() { const auto self = std::move(parked_); }

    BodyPiece take_body() override;
    Task<BodyPiece> next_body() override;
    void stop_body() override;
    bool send_informational(const AnswerHead& head) override;
    bool send_head(AnswerHead& head, std::string_view first, bool last) override;
    bool send_body(std::string_view data, bool last) override;
    Task<error_code> flush() override;
    void cut() override;
    void close_after_answer() override { keep_alive_ = false; }
    std::string_view protocol() const override {
        return exchange_->request.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
    }

private:
    Task<> serve();
    Task<bool> next_request();
    bool park();
    void on_idle_event(Stream& stream) override;
    Task<> go_on();
    void end_parked();
    std::size_t whole_head() const;
    Task<std::size_t> read_head();
    Task<> refuse(unsigned status, std::string_view reason);
    std::chrono::milliseconds patience_at_the_end() const;
    Task<> linger(std::chrono::milliseconds time);
    Task<> carry(std::unique_ptr<Tunnel> tunnel);
    Task<BodyPiece> next_of_tunnel();
    bool client_left();
    std::optional<Answer> prepare(std::string_view text);
    BodyPiece limited(BodyPiece piece);
    void frame(AnswerHead& head, std::array<char, 20>& length);
    bool send(bool last, std::initializer_list<std::string_view> pieces);
    Task<> finish();
    void wait_until(std::chrono::milliseconds after);
    void on_deadline();
    void watch_client();

    enum class Phase { handshake, idle, head, exchange, lingering };

    EventLoop& loop_;
    const ClientConnections::Place place_;
    Frontend frontend_;
    std::shared_ptr<Stream> stream_;
    Deadline deadline_;  ///< of reading, and of the handshake
    Deadline writing_;   ///< while the client does not take what is sent; both may be under way at once
    Phase phase_ = Phase::handshake;
    bool timed_out_ = false, keep_alive_ = true, chunked_ = false;
    bool ends_by_close_ = false;  ///< of the answer: nothing else tells its end
    std::size_t untaken_ = 0;     ///< of what was sent, when that was looked at last while lingering
    std::chrono::milliseconds linger_step_{};
    std::chrono::steady_clock::time_point linger_until_;
    bool stopped_ = false;                      ///< what the client sends is not wanted
    std::shared_ptr<Connection> parked_;        ///< itself, while it is
    std::shared_ptr<http2::Connection> http2_;  ///< where that was negotiated; nothing below is used then
    std::unique_ptr<Exchange> exchange_;
    std::unique_ptr<Tunnel> tunnel_;    ///< what the connection has become; there is no exchange then
    std::unique_ptr<BodyReader> body_;  ///< of the request, or of the tunnel
    std::uint64_t body_bytes_ = 0;
    Buffer head_;  ///< keeps the request's head while its body is read into another block
};

}  // namespace rotagate::proxy
