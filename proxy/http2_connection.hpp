#pragma once

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "proxy/frontend.hpp"
#include "proxy/http2_frames.hpp"
#include "proxy/http2_stream.hpp"
#include "proxy/http2_text.hpp"
#include "proxy/stream.hpp"

namespace rotagate::proxy::http2 {

/// Streams of a client at a time, as it is told.
inline constexpr std::uint32_t most_streams = 100;
/// What the PING says whose echo tells that the client has heard of the drain.
inline constexpr std::array<std::uint8_t, 8> last_call = {'l', 'a', 's', 't', 'c', 'a', 'l', 'l'};

/// A client's HTTP/2 connection after its TLS handshake (RFC 9113, by nghttp2). Nothing of the pipeline runs inside of
/// nghttp2's callbacks: what they tell is noted, and acted on behind them.
class Connection final : public std::enable_shared_from_this<Connection> {
public:
    Connection(Frontend& frontend, std::shared_ptr<proxy::Stream> transport);

    /// Serves requests until the connection ends, and all of them have.
    Task<> run();
    /// The gateway is going down: no more requests than those that have come.
    void drain();
    void look_after();

    Frontend& frontend() { return frontend_; }

    // What streams ask for.
    void submit_informational(Stream& stream, const AnswerHead& head);
    void submit_answer(Stream& stream, const AnswerHead& head, bool has_body);
    void resume_answer(Stream& stream);
    void consumed(std::int32_t id, std::size_t bytes);
    void reset(Stream& stream, std::uint32_t error);
    /// Bytes of all answers' bodies that were sent.
    std::uint64_t sent() const { return sent_; }
    std::size_t streams() const { return streams_.size(); }
    /// Whether the client would take more of its answer, as far as this and not the connection is concerned.
    bool has_credit(const Stream& stream) const;
    /// Has the stream woken soon.
    void changed(Stream& stream);

private:
    struct Callbacks;
    struct Begun {
        std::int32_t id;
        bool has_body;
    };

    void open_session();
    Task<error_code> more();
    void arm_idle();
    bool read_input();
    ssize_t receive(std::string_view input);
    Task<> serve(std::shared_ptr<Connection> self, Stream& stream, bool has_body);
    void act();
    void act_soon();
    void introduce();
    void send();
    void watch_client();
    Task<> finish_sending(std::shared_ptr<Connection> self);
    void end();
    void strike(int cost);
    void note_frame();
    void note_reset(std::int32_t id);
    bool is_late(std::int32_t id) const;
    void tell_last_request();
    void give_up_on_client();
    Stream* find(std::int32_t id);
    std::span<const nghttp2_nv> fields_of(const AnswerHead& head);

    Frontend& frontend_;
    std::shared_ptr<proxy::Stream> transport_;
    Session session_;
    FrameHeads frames_;
    std::map<std::int32_t, std::unique_ptr<Stream>, std::less<>,
             pool::Allocator<std::pair<const std::int32_t, std::unique_ptr<Stream>>>>
        streams_;
    std::int32_t head_of_ = 0;            ///< the stream whose head has begun and is not whole; 0: none
    pool::Vector<Begun> begun_;           ///< whose heads have come
    pool::Vector<std::int32_t> changed_;  ///< that something has happened to
    Deadline deadline_, writing_;
    Deadline last_call_;  ///< until which a client that has heard of the drain may send requests
    Signal progress_;     ///< sending has come to its end, or a stream has
    unsigned open_ = 0;   ///< streams that are not closed
    int strikes_ = 0, chatter_ = 0;
    std::chrono::steady_clock::time_point strikes_since_ = std::chrono::steady_clock::now(), chatter_since_;
    std::vector<std::int32_t> reset_;  ///< the streams that we reset last
    std::size_t resets_ = 0;
    std::uint64_t sent_ = 0;
    bool act_is_due_ = false, sending_ = false, ended_ = false, timed_out_ = false;
    bool taken_ = false;   ///< the client has taken a batch since it was last listened to
    bool parked_ = false;  ///< the memory was given back
    FieldSection section_;
    char status_[3];
};

}  // namespace rotagate::proxy::http2
