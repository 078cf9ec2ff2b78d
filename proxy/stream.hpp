#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <sys/uio.h>

#include "proxy/abortable.hpp"
#include "proxy/buffer.hpp"
#include "proxy/descriptor.hpp"
#include "proxy/poller.hpp"
#include "proxy/task.hpp"
#include "proxy/tls.hpp"

namespace rotagate::proxy {

/// Bytes that a peer has to take of what is sent to it, or to bring of a body, in the time that it has for that: a byte
/// now and then would hold the other side for as long as it likes.
inline constexpr std::size_t slowest = 1024;

/// Hears of a stream that nobody reads from: something arrived, or the peer closed.
class StreamWatcher {
public:
    virtual void on_idle_event(class Stream& stream) = 0;

protected:
    ~StreamWatcher() = default;
};

/// A connected stream of bytes, plain or TLS, towards a client or an app. OpenSSL works between memory blocks; the
/// socket is read and written with one system call for as many records as there are. One coroutine reads, one writes.
class Stream final : public std::enable_shared_from_this<Stream>,
                     public Abortable,
                     private Pollable,
                     private Outbox::Sender {
public:
    /// @param socket       connected, and does not block
    /// @param ssl          with its role set; null: plain
    /// @param buffer_size  of the input
    Stream(asio::io_context& loop, Descriptor socket, tls::Ssl ssl, std::size_t buffer_size);
    ~Stream();

    /// Errors: wrong_protocol_type (the peer speaks HTTP without TLS); what abort() said; the system's; OpenSSL's.
    Task<error_code> handshake();
    /// Sends plain text on a stream whose handshake has failed, as far as the socket takes it.
    void send_unsealed(std::string_view text) { send_plain({text}); }

    /// What has arrived and was not consumed. The bytes may be changed in place.
    std::string_view input() const { return {input_.data() + begin_, end_ - begin_}; }
    char* input_data() { return input_.data() + begin_; }
    void consume(std::size_t n) { begin_ += n; }
    /// Waits until input() holds more than `seen` bytes.
    /// Errors: eof; no_buffer_space (the input is full); what abort() said; the system's; OpenSSL's.
    Task<error_code> more(std::size_t seen);
    /// Gives away the block that holds the input, so that views of consumed bytes stay valid; what was not consumed
    /// goes on in a new one of at least `size` bytes.
    Buffer detach_input(std::size_t size);

    /// Sends the pieces, as far as the socket takes them now, in as few records and calls as can be; keeps the rest.
    /// @return false: some is kept, or it failed: await flush()
    bool send(std::initializer_list<std::string_view> pieces);
    /// The same at the end of the loop's turn, for what the peer's answer will be waited for anyway: if the socket
    /// takes only some of it then, the rest follows as it can.
    bool send_soon(std::initializer_list<std::string_view> pieces);
    /// Waits until the socket has taken all.
    Task<error_code> flush();
    /// Whether it has not taken all.
    bool has_unsent() const { return !unsent_.empty(); }

    /// Whether nothing arrived beyond what was consumed, and the peer has not closed, as far as the poller has told.
    bool quiet();
    /// The same by a look at the descriptor itself, for what the poller has not told yet.
    bool quiet_now();
    /// Gives the input's block back where all of it is consumed; the next bytes get another. The one that was given
    /// back last is used first, and is still in the processor's cache.
    void release_input();
    /// Tells the watcher, once, of the next event while nobody reads. For pooled connections that are quiet().
    void watch(StreamWatcher& watcher);
    void unwatch() { watcher_ = nullptr; }
    /// The same, and gives back the memory that OpenSSL holds for records.
    void park(StreamWatcher& watcher);

    /// The same with a coroutine that waits: gives the memory back while the peer is silent; waits until it is not.
    Task<error_code> wait_parked();

    /// Whether the peer has closed its side, or is gone, which may be known before all is read that it sent.
    bool peer_closed() const { return peer_closed_; }

    void abort(error_code reason) override;
    /// abort(timed_out) for a peer that does not take what is sent to it. The kernel forgets that too: it would keep it
    /// for as long as the peer goes on not taking it.
    void give_up_sending();
    /// Ends a waiting more() with operation_aborted; the stream stays usable.
    void interrupt();
    /// Has TLS say goodbye, behind all that was sent and in the same call as what the outbox still holds.
    void say_goodbye();
    /// Whether the peer has taken `few` bytes or more of what waits to be sent, since this was asked last.
    bool was_taken(std::size_t few);
    /// Bytes of what was sent that the peer's system has not acknowledged.
    std::size_t untaken() const;
    /// Whether the system would forget them, where there are more than `few`, if this were closed now and the peer sent
    /// something; or does for certain, since it has sent something that nobody has read.
    bool may_lose_what_was_sent(std::size_t few);
    /// Ends what is sent, with TLS' goodbye. What the peer still sends can be read.
    void shutdown();
    void close();

    SSL* ssl() const { return ssl_.get(); }

private:
    void receive(std::uint32_t events) override;
    void on_events(std::uint32_t events) override;
    void send_now(std::string_view bytes) override;
    void start_read();
    bool read();
    void tell();
    void fail_reading(error_code reason);
    void wake();
    void release();
    bool full() const { return input_ && begin_ == 0 && end_ == input_.size(); }
    bool make_room();

    // In stream_send.cpp.
    bool send_plain(std::initializer_list<std::string_view> pieces);
    std::size_t write(std::span<iovec> pieces);
    bool drain();

    // In stream_tls.cpp.
    void attach_tls();
    bool take_ciphertext();
    bool decrypt();
    void encrypt(std::initializer_list<std::string_view> pieces);
    bool send_sealed();

    asio::io_context& loop_;
    Poller& poller_;
    int descriptor_;  ///< -1: closed
    tls::Ssl ssl_;
    tls::MemoryBio bio_;
    const std::size_t input_size_;
    Buffer input_;
    Buffer ciphertext_;  ///< what has arrived while the input was full; empty otherwise
    std::size_t begin_ = 0, end_ = 0;
    std::string unsent_;
    std::size_t unsent_from_ = 0;     ///< what is before has been sent
    std::size_t unsent_replies_ = 0;  ///< of it, what TLS itself had to say
    std::size_t unsent_then_ = 0;     ///< how much waited here and in the system when was_taken() was asked last
    error_code read_error_, write_error_;
    bool readable_ = false;       ///< the descriptor may hold something
    bool peer_closed_ = false;    ///< it holds at least the end
    bool writes_polled_ = false;  ///< the poller tells when the descriptor takes something again
    bool reading_ = false;        ///< somebody wants what arrives
    bool parked_ = false;         ///< somebody wants to know that something arrived
    bool received_ = false;       ///< something was read, of which nobody was told yet
    bool committed_ = false;      ///< something is in the outbox
    bool interrupted_ = false;
    Signal arrived_, writable_;
    StreamWatcher* watcher_ = nullptr;
};

}  // namespace rotagate::proxy
