#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <boost/system/result.hpp>
#include <openssl/ssl.h>

#include "config/config.hpp"
#include "proxy/file_stamp.hpp"

namespace rotagate::proxy::tls {

/// Seals session tickets by AES-256-CBC and HMAC-SHA-256 (RFC 5077 section 4). Its memory is wiped when it goes.
struct TicketKey {
    static constexpr std::size_t file_size = 80;
    std::array<unsigned char, 16> name{};  ///< stands in front of a ticket, for everybody to read
    std::array<unsigned char, 32> mac{}, cipher{};

    TicketKey() = default;
    TicketKey(const TicketKey&) = default;
    TicketKey& operator=(const TicketKey&) = default;
    ~TicketKey();

    static TicketKey generate();
    /// What a key file holds: 80 bytes, in the order of nginx and haproxy: name, MAC key, cipher key.
    std::string file_bytes() const;
    /// Errors: the system's (not found, ...), std::errc::permission_denied where others than the owner and the file's
    /// group may read the file, std::errc::invalid_argument where it does not hold 80 bytes.
    static boost::system::result<TicketKey> read(const std::filesystem::path& file);
};

/// The first seals, all open. Never empty.
using TicketRing = std::vector<TicketKey>;

/// The keys of the session tickets of a process. Safe to use from several threads; it outlives a reload, so that
/// tickets do.
class TicketKeys {
public:
    using Clock = std::chrono::steady_clock;

    /// Throws std::runtime_error where a key file cannot be used, and so does use().
    explicit TicketKeys(const config::TlsTickets& settings, Clock::time_point now = Clock::now()) {
        use(settings, now);
    }
    /// Takes new settings over, and reads key files anew; random keys that there are stay.
    void use(const config::TlsTickets& settings, Clock::time_point now = Clock::now());
    /// To be called every few seconds: has a new random key take the place of one that is old enough, or reads the
    /// files where they have changed. What cannot be used is logged, and the keys stay as they are.
    void look_after(Clock::time_point now = Clock::now());
    std::shared_ptr<const TicketRing> ring() const;

private:
    void rotate(Clock::time_point now);
    void read_files();
    void replace(TicketRing ring);

    mutable std::mutex mutex_;
    std::shared_ptr<const TicketRing> ring_;  ///< under the mutex; the rest is for one thread
    config::TlsTickets settings_;
    bool random_ = false;
    Clock::time_point made_;  ///< the random key that seals
    std::vector<FileStamp> stamps_;
};

/// Has a context seal and open its tickets with these keys, which must outlive it.
void use_ticket_keys(SSL_CTX* context, const TicketKeys& keys);

}  // namespace rotagate::proxy::tls
