// The half of a stream that only TLS has: OpenSSL between what the socket gives and takes, and plain bytes.
#include <boost/asio/ssl/error.hpp>
#include <boost/system/errc.hpp>
#include <openssl/err.h>

#include "proxy/stream.hpp"

namespace rotagate::proxy {
namespace {

constexpr std::size_t record_size = 16'384;   // RFC 8446 section 5.1
constexpr std::size_t most_replies = 16'384;  // hundreds of key updates

}  // namespace

void Stream::attach_tls() {
    bio_.out = &poller_.outbox().draft();
    tls::attach(ssl_.get(), bio_);
}

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
            const unsigned long code = ERR_get_error();
            if (ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST) {
                co_return read_error_ = make_error_code(boost::system::errc::wrong_protocol_type);
            }
            co_return read_error_ = error_code(static_cast<int>(code), asio::error::get_ssl_category());
        }
        if (!reading_) start_read();
        co_await arrived_.wait();
    }
    co_return read_error_;
}

/// Decrypts what was just read, and keeps what has to wait: for room, or for the handshake, which reads by itself.
bool Stream::take_ciphertext() {
    const bool progress = SSL_is_init_finished(ssl_.get()) && decrypt();
    if (!bio_.in.empty()) {
        if (!ciphertext_) ciphertext_ = Buffer(Buffer::client_size);
        bio_.in = {ciphertext_.data(), bio_.in.copy(ciphertext_.data(), bio_.in.size())};
    }
    return progress;
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
    const std::size_t replies = poller_.outbox().drafted().size();  // key updates and alerts
    if (replies > 0 && !send_sealed()) {
        unsent_replies_ += replies;
        // Who has TLS answer on and on, and takes none of it, would have us keep it all.
        if (unsent_replies_ > most_replies) abort(asio::error::connection_aborted);
    }
    return progress;
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

/// Sends what OpenSSL wrote, now.
bool Stream::send_sealed() {
    Outbox& outbox = poller_.outbox();
    if (committed_) outbox.flush();
    const bool sent = send_plain({outbox.drafted()});
    outbox.discard();
    return sent;
}

}  // namespace rotagate::proxy
