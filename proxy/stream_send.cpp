// What a stream sends: at once, at the end of the turn, or when the socket takes it.
#include <algorithm>
#include <array>
#include <cerrno>

#include <sys/socket.h>

#include "proxy/stream.hpp"

namespace rotagate::proxy {
namespace {

// What is larger is sent at once: to copy it would cost more than the outbox saves.
constexpr std::size_t most_soon = 16'384;

}  // namespace

bool Stream::send(std::initializer_list<std::string_view> pieces) {
    if (committed_) poller_.outbox().flush();
    if (write_error_) return false;
    if (!ssl_) return send_plain(pieces);
    encrypt(pieces);
    return send_sealed();
}

bool Stream::send_soon(std::initializer_list<std::string_view> pieces) {
    std::size_t size = 0;
    for (const std::string_view piece : pieces) size += piece.size();
    if (size > most_soon || !unsent_.empty() || write_error_) return send(pieces);
    Outbox& outbox = poller_.outbox();
    if (ssl_) {
        encrypt(pieces);
    } else {
        for (const std::string_view piece : pieces) outbox.draft() += piece;
    }
    if (write_error_) {
        outbox.discard();
        return false;
    }
    committed_ = true;
    outbox.commit(*this);
    return true;
}

void Stream::send_now(std::string_view bytes) {
    committed_ = false;
    send_plain({bytes});
    drain();
}

/// Gives the socket what it takes now, and keeps the rest. Returns whether there is none.
bool Stream::send_plain(std::initializer_list<std::string_view> pieces) {
    std::array<iovec, 4> vectors;
    std::size_t count = 0;
    for (const std::string_view piece : pieces)
        if (!piece.empty()) vectors.at(count++) = {const_cast<char*>(piece.data()), piece.size()};
    std::size_t sent = 0;
    if (unsent_.empty() && count > 0 && !write_error_) sent = write({vectors.data(), count});
    if (write_error_) return false;
    for (const std::string_view piece : pieces) {
        const std::size_t gone = std::min(sent, piece.size());
        sent -= gone;
        unsent_ += piece.substr(gone);
    }
    return unsent_.empty();
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

/// Goes on with what is unsent. Returns false where the socket takes no more now; the poller will tell when it does.
bool Stream::drain() {
    while (unsent_from_ < unsent_.size() && !write_error_) {
        iovec rest{.iov_base = unsent_.data() + unsent_from_, .iov_len = unsent_.size() - unsent_from_};
        const std::size_t n = write({&rest, 1});
        unsent_from_ += n;
        if (n > 0 || write_error_) continue;
        // From here on, the poller tells every time that the socket takes something again, and at once if it does.
        if (!std::exchange(writes_polled_, true)) poller_.add_writing(descriptor_, *this);
        return false;
    }
    if (!unsent_.empty()) std::string().swap(unsent_);
    unsent_from_ = unsent_replies_ = 0;
    return true;
}

Task<error_code> Stream::flush() {
    if (committed_) poller_.outbox().flush();
    while (!drain()) co_await writable_.wait();
    co_return write_error_;
}

}  // namespace rotagate::proxy
