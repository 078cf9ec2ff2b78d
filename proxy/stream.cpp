#include "proxy/stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <sys/socket.h>
#include <unistd.h>

namespace rotagate::proxy {
namespace {

/// What TLS is read into, to be decrypted at once: one block, which stays in the processor's cache.
Buffer& arriving() {
    thread_local Buffer block(Buffer::client_size);
    return block;
}

}  // namespace

Stream::Stream(asio::io_context& loop, Socket socket, tls::Ssl ssl, std::size_t buffer_size)
    : loop_(loop), poller_(asio::use_service<Poller>(loop)), ssl_(std::move(ssl)), input_size_(buffer_size) {
    error_code ec;
    socket.non_blocking(true, ec);
    descriptor_ = socket.release();
    if (!ec) ec = poller_.add(descriptor_, *this);
    if (ec) read_error_ = write_error_ = ec;  // which is handled at the first use
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
            if (!make_room()) co_return asio::error::no_buffer_space;
            start_read();
        }
        co_await arrived_.wait();
    }
    co_return error_code();
}

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

void Stream::on_events(std::uint32_t events) {
    const bool closed = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    peer_closed_ |= closed;
    readable_ |= closed || (events & EPOLLIN) != 0;
    std::shared_ptr<Stream> self;
    if (writable_.waited_for() && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
        self = shared_from_this();  // who waits may give up the stream
        writable_.notify();
    }
    if (!readable_) return;
    if (std::exchange(parked_, false)) return arrived_.notify();
    if (reading_) read();
}

void Stream::start_read() {
    reading_ = true;
    if (!readable_) return;
    // Behind all that is ready now, so that a peer who sends without end keeps nobody waiting.
    asio::post(loop_, [self = shared_from_this()] {
        if (self->reading_ && self->readable_) self->read();
    });
}

void Stream::read() {
    if (descriptor_ < 0) return;
    if (!ssl_ && !make_room()) {
        reading_ = false;
        return arrived_.notify();
    }
    char* const at = ssl_ ? arriving().data() : input_.data() + end_;
    const std::size_t room = ssl_ ? arriving().size() : input_.size() - end_;
    const ssize_t n = ::recv(descriptor_, at, room, 0);
    if (n < 0 && errno == EINTR) return start_read();
    // What fits was all there was. But the end is told once only, perhaps together with what came before it.
    if (n < static_cast<ssize_t>(room)) readable_ = n >= 0 && peer_closed_;
    if (n < 0 && errno == EAGAIN) return;
    reading_ = false;
    if (n < 0) return on_read(error_code(errno, boost::system::system_category()), 0);
    on_read(n == 0 ? error_code(asio::error::eof) : error_code(), static_cast<std::size_t>(n));
}

void Stream::on_read(error_code ec, std::size_t n) {
    if (ec == asio::error::eof && ssl_ && !(SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN))
        ec = asio::ssl::error::stream_truncated;  // not told by the peer, so perhaps by somebody in between
    if (ec && !read_error_) read_error_ = ec;
    bool progress = true;
    if (ssl_) {
        progress = take_ciphertext({arriving().data(), n});
    } else {
        end_ += n;
    }
    if (arrived_.waited_for()) return arrived_.notify();
    if (!watcher_) return;
    // TLS brings records that carry nothing for us, such as session tickets.
    if (!progress && !read_error_) return start_read();
    std::exchange(watcher_, nullptr)->on_idle_event(*this);
}

bool Stream::send(std::initializer_list<std::string_view> pieces) {
    if (write_error_) return false;
    if (!ssl_) return send_plain(pieces);
    encrypt(pieces);
    return send_sealed();
}

bool Stream::send_plain(std::initializer_list<std::string_view> pieces) {
    std::array<iovec, 4> vectors;
    std::size_t count = 0;
    for (const std::string_view piece : pieces)
        if (!piece.empty()) vectors.at(count++) = {const_cast<char*>(piece.data()), piece.size()};
    std::size_t sent = 0;
    if (unsent_.empty() && !flushing_ && count > 0 && !write_error_) sent = write({vectors.data(), count});
    if (write_error_) return false;
    for (const std::string_view piece : pieces) {
        const std::size_t gone = std::min(sent, piece.size());
        sent -= gone;
        unsent_ += piece.substr(gone);
    }
    return unsent_.empty() && !flushing_;
}

/// Gives the socket what it takes now. Returns how many bytes; leaves an error in write_error_.
std::size_t Stream::write(std::span<iovec> pieces) {
    ssize_t n = 0;
    do {
        // One buffer is a send(), which costs the kernel less than the sendmsg() of several.
        if (pieces.size() == 1) {
            n = ::send(descriptor_, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
        } else {
            msghdr message{};
            message.msg_iov = pieces.data();
            message.msg_iovlen = pieces.size();
            n = ::sendmsg(descriptor_, &message, MSG_NOSIGNAL);
        }
    } while (n < 0 && errno == EINTR);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EAGAIN) write_error_ = error_code(errno, boost::system::system_category());
    return 0;
}

Task<error_code> Stream::flush() {
    flushing_ = true;  // what is sent meanwhile goes behind this
    while (!unsent_.empty() && !write_error_) {
        std::string sending = std::exchange(unsent_, {});
        std::size_t sent = 0;
        while (sent < sending.size() && !write_error_) {
            iovec rest{.iov_base = sending.data() + sent, .iov_len = sending.size() - sent};
            const std::size_t n = write({&rest, 1});
            sent += n;
            if (n > 0 || write_error_) continue;
            // From here on, the poller tells every time that the socket takes something again, and at once if it does.
            if (!std::exchange(writes_polled_, true)) poller_.add_writing(descriptor_, *this);
            co_await writable_.wait();
        }
    }
    flushing_ = false;
    co_return write_error_;
}

bool Stream::quiet() {
    if (ssl_) decrypt();
    if (!input().empty() || read_error_ || write_error_ || !unsent_.empty() || peer_closed_) return false;
    // A read that filled its buffer to the last byte leaves open whether there is more.
    return !readable_ || quiet_now();
}

bool Stream::quiet_now() {
    if (read_error_ || peer_closed_ || descriptor_ < 0) return false;
    char next = 0;
    if (::recv(descriptor_, &next, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN) return false;
    readable_ = false;
    return true;
}

void Stream::watch(StreamWatcher& watcher) {
    watcher_ = &watcher;
    watched_in_round_ = poller_.round();
    release_input();
    if (!reading_) start_read();
}

Task<error_code> Stream::wait_parked() {
    release_input();
    if (ssl_) SSL_free_buffers(ssl_.get());
    interrupted_ = false;
    while (!readable_ && !read_error_ && !interrupted_) {
        parked_ = true;
        co_await arrived_.wait();
    }
    parked_ = false;
    if (read_error_) co_return read_error_;
    co_return interrupted_ ? error_code(asio::error::operation_aborted) : error_code();
}

void Stream::abort(error_code reason) {
    if (!read_error_) read_error_ = reason;
    if (!write_error_) write_error_ = reason;
    wake();
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

void Stream::shutdown() {
    if (ssl_ && !write_error_ && SSL_is_init_finished(ssl_.get())) {
        tls::forget_errors();
        SSL_shutdown(ssl_.get());
        send_sealed();
    }
    if (descriptor_ >= 0) ::shutdown(descriptor_, SHUT_WR);
}

void Stream::close() {
    if (descriptor_ < 0) return;
    release();
    abort(asio::error::bad_descriptor);
}

void Stream::release() {
    if (descriptor_ < 0) return;
    poller_.remove(descriptor_, *this);
    ::close(std::exchange(descriptor_, -1));
}

}  // namespace rotagate::proxy
