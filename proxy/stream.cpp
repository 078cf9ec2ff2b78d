#include "proxy/stream.hpp"

#include <algorithm>
#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/ssl/error.hpp>
#include <openssl/err.h>

namespace rotagate::proxy {
namespace {

constexpr std::size_t record_size = 16'384;  // RFC 8446 section 5.1

/// Ciphertext that OpenSSL wrote and the socket has not taken yet; empty whenever a coroutine could run.
std::string& sealed() {
    thread_local std::string bytes;
    return bytes;
}

}  // namespace

Stream::Stream(Socket socket, tls::Ssl ssl, std::size_t buffer_size)
    : socket_(std::move(socket)), ssl_(std::move(ssl)), input_(buffer_size) {
    error_code ignored;  // a socket that cannot be set up fails at its first use, where that is handled
    socket_.non_blocking(true, ignored);
    if (ssl_) {
        bio_.out = &sealed();
        tls::attach(ssl_.get(), bio_);
    }
}

Stream::~Stream() { close(); }

Task<error_code> Stream::handshake() {
    while (!read_error_) {
        tls::forget_errors();
        const int result = SSL_do_handshake(ssl_.get());
        const int error = SSL_get_error(ssl_.get(), result);
        if (!send_sealed()) {
            if (const error_code ec = co_await flush()) co_return ec;
        }
        if (result == 1) co_return error_code();
        if (error != SSL_ERROR_WANT_READ) {
            const auto code = static_cast<int>(ERR_get_error());
            co_return read_error_ = error_code(code, asio::error::get_ssl_category());
        }
        if (!reading_) start_read();
        co_await arrived_.wait();
    }
    co_return read_error_;
}

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
    if (!input_) input_ = Buffer(Buffer::client_size);
    if (begin_ == end_) begin_ = end_ = 0;
    if (end_ < input_.size()) return true;
    if (begin_ == 0) return false;
    std::copy(input_.data() + begin_, input_.data() + end_, input_.data());
    end_ -= begin_;
    begin_ = 0;
    return true;
}

Buffer Stream::detach_input(std::size_t size) {
    Buffer next(std::max(size, end_ - begin_));
    std::copy(input_.data() + begin_, input_.data() + end_, next.data());
    std::swap(input_, next);
    end_ -= begin_;
    begin_ = 0;
    return next;
}

// Behind all that is ready now: what is waited for has hardly come in the very moment in which the question was sent,
// and a read that finds nothing costs a system call.
void Stream::start_read() {
    reading_ = true;
    asio::defer(socket_.get_executor(), [self = shared_from_this()] { self->read(); });
}

void Stream::read() {
    if (interrupted_ || read_error_) {  // meanwhile, by somebody who could not cancel what had not begun
        reading_ = false;
        return arrived_.notify();
    }
    if (ssl_ && !cipher_) cipher_ = Buffer(Buffer::client_size);
    const auto room =
        ssl_ ? asio::buffer(cipher_.data(), cipher_.size()) : asio::buffer(input_.data() + end_, input_.size() - end_);
    socket_.async_read_some(room, [self = shared_from_this()](error_code ec, std::size_t n) { self->on_read(ec, n); });
}

void Stream::on_read(error_code ec, std::size_t n) {
    reading_ = false;
    if (ec == asio::error::eof && ssl_ && !(SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN))
        ec = asio::ssl::error::stream_truncated;  // not told by the peer, so perhaps by somebody in between
    // An aborted read is either interrupt(), after which the stream goes on, or abort(), which has left its reason.
    if (ec && ec != asio::error::operation_aborted && !read_error_) read_error_ = ec;
    if (ssl_) {
        bio_.in = {cipher_.data(), n};
    } else {
        end_ += n;
    }
    if (arrived_.waited_for()) return arrived_.notify();
    if (!watcher_) return;
    // TLS brings records that carry nothing for us, such as session tickets.
    if (ssl_ && !decrypt() && !read_error_) return start_read();
    std::exchange(watcher_, nullptr)->on_idle_event(*this);
}

/// Decrypts what has arrived, as far as the input has room. Returns whether there is more input than before.
bool Stream::decrypt() {
    bool progress = false;
    while (!read_error_ && (!bio_.in.empty() || SSL_pending(ssl_.get()) > 0) && make_room()) {
        tls::forget_errors();
        std::size_t n = 0;
        const int result = SSL_read_ex(ssl_.get(), input_.data() + end_, input_.size() - end_, &n);
        end_ += n;
        progress |= n > 0;
        if (result == 1) continue;
        const int error = SSL_get_error(ssl_.get(), result);
        if (error == SSL_ERROR_ZERO_RETURN) {
            read_error_ = asio::error::eof;
        } else if (error != SSL_ERROR_WANT_READ) {
            read_error_ = error_code(static_cast<int>(ERR_get_error()), asio::error::get_ssl_category());
        }
    }
    if (!sealed().empty()) send_sealed();  // key updates and alerts
    return progress;
}

bool Stream::send(std::initializer_list<std::string_view> pieces) {
    if (write_error_) return false;
    if (!ssl_) return send_plain(pieces);
    encrypt(pieces);
    return send_sealed();
}

void Stream::encrypt(std::initializer_list<std::string_view> pieces) {
    thread_local std::string record;  // what is too small for a record of its own is gathered here
    const auto seal = [this](std::string_view plain) {
        std::size_t written = 0;
        if (SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &written) != 1)
            write_error_ = error_code(static_cast<int>(ERR_get_error()), asio::error::get_ssl_category());
    };
    record.clear();
    for (std::string_view piece : pieces) {
        while (!piece.empty() && !write_error_) {
            if (record.empty() && piece.size() >= record_size) {
                seal(piece.substr(0, record_size));
                piece.remove_prefix(record_size);
                continue;
            }
            const std::string_view part = piece.substr(0, record_size - record.size());
            record += part;
            piece.remove_prefix(part.size());
            if (record.size() == record_size) {
                seal(record);
                record.clear();
            }
        }
    }
    if (!record.empty() && !write_error_) seal(record);
}

bool Stream::send_sealed() {
    std::string& bytes = sealed();
    const bool sent = send_plain({bytes});
    bytes.clear();
    return sent;
}

bool Stream::send_plain(std::initializer_list<std::string_view> pieces) {
    std::array<asio::const_buffer, 4> buffers;
    std::size_t count = 0;
    for (const std::string_view piece : pieces)
        if (!piece.empty()) buffers.at(count++) = asio::buffer(piece.data(), piece.size());
    std::size_t sent = 0;
    if (unsent_.empty() && !flushing_ && count > 0 && !write_error_) {
        error_code ec;
        // One buffer is a send(), which costs the kernel less than the sendmsg() of several.
        sent = count == 1 ? socket_.write_some(buffers[0], ec) : socket_.write_some(buffers, ec);
        if (ec && ec != asio::error::would_block && ec != asio::error::try_again) write_error_ = ec;
    }
    if (write_error_) return false;
    for (const std::string_view piece : pieces) {
        const std::size_t gone = std::min(sent, piece.size());
        sent -= gone;
        unsent_ += piece.substr(gone);
    }
    return unsent_.empty() && !flushing_;
}

Task<error_code> Stream::flush() {
    flushing_ = true;  // what is sent meanwhile goes behind this
    while (!unsent_.empty() && !write_error_) {
        const std::string sending = std::exchange(unsent_, {});
        std::size_t sent = 0;
        while (sent < sending.size() && !write_error_) {
            error_code ec;
            Signal written;
            socket_.async_write_some(asio::buffer(sending) + sent, [&](error_code error, std::size_t n) {
                ec = error;
                sent += n;
                written.notify();
            });
            co_await written.wait();
            if (ec && ec != asio::error::operation_aborted && !write_error_) write_error_ = ec;
        }
    }
    flushing_ = false;
    co_return write_error_;
}

bool Stream::quiet() {
    if (ssl_) decrypt();
    return input().empty() && !read_error_ && !write_error_ && unsent_.empty();
}

void Stream::watch(StreamWatcher& watcher) {
    watcher_ = &watcher;
    if (!reading_ && make_room()) start_read();
}

Task<error_code> Stream::wait_parked() {
    if (begin_ == end_) {
        begin_ = end_ = 0;
        Buffer gone = std::move(input_);
        input_ = Buffer();
    }
    { Buffer gone = std::move(cipher_); }
    if (ssl_) SSL_free_buffers(ssl_.get());
    error_code ec;
    Signal readable;
    socket_.async_wait(Socket::wait_read, [&](error_code error) {
        ec = error;
        readable.notify();
    });
    co_await readable.wait();
    co_return read_error_ ? read_error_ : ec;
}

void Stream::abort(error_code reason) {
    if (!read_error_) read_error_ = reason;
    if (!write_error_) write_error_ = reason;
    error_code ignored;
    socket_.cancel(ignored);
}

void Stream::interrupt() {
    interrupted_ = true;
    error_code ignored;
    socket_.cancel(ignored);
}

void Stream::shutdown() {
    if (ssl_ && !write_error_ && SSL_is_init_finished(ssl_.get())) {
        tls::forget_errors();
        SSL_shutdown(ssl_.get());
        send_sealed();
    }
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() {
    error_code ignored;
    socket_.close(ignored);
}

}  // namespace rotagate::proxy
