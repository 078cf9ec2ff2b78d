#include "proxy/stream.hpp"

#include <algorithm>
#include <cerrno>

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rotagate::proxy {

Stream::Stream(asio::io_context& loop, Descriptor socket, tls::Ssl ssl, std::size_t buffer_size)
    : loop_(loop),
      poller_(asio::use_service<Poller>(loop)),
      descriptor_(socket.release()),
      ssl_(std::move(ssl)),
      input_size_(buffer_size) {
    read_error_ = write_error_ = poller_.add(descriptor_, *this);  // which is handled at the first use
    if (ssl_) attach_tls();
}

Stream::~Stream() { release(); }

Task<error_code> Stream::more(std::size_t seen) {
    interrupted_ = false;
    while (input().size() <= seen) {
        if (ssl_ && decrypt()) continue;
        if (read_error_) co_return read_error_;
        if (interrupted_) co_return asio::error::operation_aborted;
        if (!reading_) {
            if (full()) co_return asio::error::no_buffer_space;
            start_read();
        }
        co_await arrived_.wait();
    }
    co_return error_code();
}

/// A block is taken only when there is something to put into it: those of connections that wait would be as many as
/// they are, and none of them in the processor's cache.
bool Stream::make_room() {
    if (!input_) input_ = Buffer(input_size_);
    if (begin_ == end_) begin_ = end_ = 0;
    if (end_ < input_.size()) return true;
    if (begin_ == 0) return false;
    std::copy(input_.data() + begin_, input_.data() + end_, input_.data());
    end_ -= begin_;
    begin_ = 0;
    return true;
}

void Stream::release_input() {
    if (begin_ != end_) return;
    begin_ = end_ = 0;
    input_ = Buffer();
    if (bio_.in.empty()) ciphertext_ = Buffer();
}

Buffer Stream::detach_input(std::size_t size) {
    Buffer next(std::max(size, end_ - begin_));
    std::copy(input_.data() + begin_, input_.data() + end_, next.data());
    std::swap(input_, next);
    end_ -= begin_;
    begin_ = 0;
    return next;
}

void Stream::receive(std::uint32_t events) {
    const bool closed = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    peer_closed_ |= closed;
    readable_ |= closed || (events & EPOLLIN) != 0;
    if (!reading_ || !readable_ || parked_) return;
    received_ = read();
    if (received_) poller_.take_room(bio_.in.size());
}

void Stream::on_events(std::uint32_t events) {
    std::shared_ptr<Stream> self;
    if (!unsent_.empty() && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 && drain()) {
        self = shared_from_this();  // who waits may give up the stream
        writable_.notify();
    }
    if (received_) return tell();
    if (!readable_) return;
    if (std::exchange(parked_, false)) return arrived_.notify();
    if (reading_) start_read();
}

void Stream::start_read() {
    reading_ = true;
    if (!readable_) return;
    // Behind all that is ready now, so that a peer who sends without end keeps nobody waiting.
    asio::post(loop_, [self = shared_from_this()] {
        if (self->reading_ && self->readable_ && self->read()) self->tell();
    });
}

/// Reads what has arrived. Returns whether there is something to tell.
bool Stream::read() {
    if (descriptor_ < 0) return false;
    std::span<char> room;
    if (ssl_) {
        room = poller_.room();
        if (room.size() < Buffer::client_size) return false;
        room = room.first(Buffer::client_size);
    } else if (make_room()) {
        room = {input_.data() + end_, input_.size() - end_};
    } else {
        reading_ = false;
        return true;
    }
    ssize_t n = 0;
    do n = ::recv(descriptor_, room.data(), room.size(), 0);
    while (n < 0 && errno == EINTR);
    // What fits was all there was. But the end is told once only, perhaps together with what came before it.
    if (n < static_cast<ssize_t>(room.size())) readable_ = n >= 0 && peer_closed_;
    if (n < 0 && errno == EAGAIN) return false;
    reading_ = false;
    if (n < 0) {
        fail_reading(error_code(errno, boost::system::system_category()));
    } else if (n == 0) {
        // Not told by the peer, it is perhaps by somebody in between.
        const bool truncated = ssl_ && !(SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN);
        fail_reading(truncated ? error_code(asio::ssl::error::stream_truncated) : error_code(asio::error::eof));
    } else if (ssl_) {
        bio_.in = {room.data(), static_cast<std::size_t>(n)};
    } else {
        end_ += static_cast<std::size_t>(n);
    }
    return true;
}

/// Has those who wait hear of what was read.
void Stream::tell() {
    received_ = false;
    // TLS brings records that carry nothing for us, such as session tickets.
    const bool progress = !ssl_ || take_ciphertext();
    if (arrived_.waited_for()) return arrived_.notify();
    if (!watcher_) return;
    if (!progress && !read_error_) return start_read();
    std::exchange(watcher_, nullptr)->on_idle_event(*this);
}

bool Stream::quiet() {
    if (ssl_) decrypt();
    if (received_ || !input().empty() || read_error_ || peer_closed_) return false;
    if (write_error_ || committed_ || !unsent_.empty()) return false;
    // A read that filled its buffer to the last byte leaves open whether there is more.
    return !readable_ || quiet_now();
}

bool Stream::quiet_now() {
    if (received_ || !input().empty() || read_error_ || peer_closed_ || descriptor_ < 0) return false;
    char next = 0;
    if (::recv(descriptor_, &next, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN) return false;
    readable_ = false;
    return true;
}

void Stream::watch(StreamWatcher& watcher) {
    watcher_ = &watcher;
    release_input();
    if (!reading_) start_read();
}

void Stream::park(StreamWatcher& watcher) {
    if (ssl_) SSL_free_buffers(ssl_.get());
    watch(watcher);
}

Task<error_code> Stream::wait_parked() {
    release_input();
    if (ssl_) SSL_free_buffers(ssl_.get());
    interrupted_ = false;
    // What TLS has not decrypted yet came while the input was full.
    while (!readable_ && bio_.in.empty() && !read_error_ && !interrupted_) {
        parked_ = true;
        co_await arrived_.wait();
    }
    parked_ = false;
    if (read_error_) co_return read_error_;
    co_return interrupted_ ? error_code(asio::error::operation_aborted) : error_code();
}

void Stream::fail_reading(error_code reason) {
    if (!read_error_) read_error_ = reason;
}

void Stream::abort(error_code reason) {
    fail_reading(reason);
    if (!write_error_) write_error_ = reason;
    wake();
}

void Stream::give_up_sending() {
    constexpr linger drop{.l_onoff = 1, .l_linger = 0};
    if (descriptor_ >= 0) ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
    abort(asio::error::timed_out);
}

bool Stream::was_taken(std::size_t few) {
    const std::size_t left = unsent_.size() - unsent_from_ + untaken();  // the system asks for more in large steps
    return std::exchange(unsent_then_, left) >= left + few;
}

std::size_t Stream::untaken() const {
    int bytes = 0;
    return descriptor_ >= 0 && ::ioctl(descriptor_, SIOCOUTQ, &bytes) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

bool Stream::may_lose_what_was_sent(std::size_t few) {
    if (read_error_ || write_error_ || descriptor_ < 0) return false;
    return untaken() > few || !quiet_now();
}

void Stream::interrupt() {
    interrupted_ = true;
    wake();
}

/// Has those who wait look again, but not inside of who calls.
void Stream::wake() {
    reading_ = false;
    if (!arrived_.waited_for() && !writable_.waited_for()) return;
    asio::post(loop_, [self = shared_from_this()] {
        self->writable_.notify();
        self->arrived_.notify();
    });
}

void Stream::say_goodbye() {
    if (!ssl_ || write_error_ || !SSL_is_init_finished(ssl_.get())) return;
    if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
    tls::forget_errors();
    SSL_shutdown(ssl_.get());
    if (committed_) {
        poller_.outbox().commit(*this);
    } else {
        send_sealed();
    }
}

void Stream::shutdown() {
    say_goodbye();
    if (committed_) poller_.outbox().flush();
    if (descriptor_ >= 0) ::shutdown(descriptor_, SHUT_WR);
}

void Stream::close() {
    if (descriptor_ < 0) return;
    release();
    abort(asio::error::bad_descriptor);
}

void Stream::release() {
    if (descriptor_ < 0) return;
    if (committed_) poller_.outbox().flush();
    poller_.forget(*this);
    ::close(std::exchange(descriptor_, -1));
}

}  // namespace rotagate::proxy
