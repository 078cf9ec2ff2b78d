#include "session/keys.hpp"

#include <cerrno>
#include <stdexcept>
#include <string_view>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session/base64url.hpp"
#include "session/fingerprint.hpp"

namespace rotagate::session {
namespace {

constexpr std::size_t secret_characters = base64url_size(32);

struct File {
    int descriptor;
    explicit File(int opened) : descriptor(opened) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (descriptor >= 0) ::close(descriptor);
    }
};

boost::system::error_code last_error() { return {errno, boost::system::system_category()}; }

boost::system::error_code no_key() { return make_error_code(boost::system::errc::invalid_argument); }

/// A key's text on the stack, wiped when it goes.
struct KeyText {
    std::array<char, secret_characters + 2> characters{};  // the line end, and one that must not be there
    std::size_t size = 0;
    ~KeyText() { OPENSSL_cleanse(characters.data(), characters.size()); }

    std::string_view without_line_end() const {
        std::string_view text{characters.data(), size};
        if (text.ends_with('\n')) text.remove_suffix(1);
        return text;
    }
};

/// Reads what fits. Errors: the system's.
boost::system::error_code read_text(int descriptor, KeyText& text) {
    while (text.size < text.characters.size()) {
        const ssize_t count =
            ::read(descriptor, text.characters.data() + text.size, text.characters.size() - text.size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return last_error();
        if (count == 0) break;
        text.size += static_cast<std::size_t>(count);
    }
    return {};
}

std::string key_id(const std::array<std::uint8_t, 32>& secret) {
    std::string text = "rotagate key id";
    text.append(reinterpret_cast<const char*>(secret.data()), secret.size());
    std::string id = fingerprint(text);
    OPENSSL_cleanse(text.data(), text.size());
    return id;
}

}  // namespace

CookieKey::~CookieKey() { OPENSSL_cleanse(secret.data(), secret.size()); }

CookieKey CookieKey::generate() {
    CookieKey key;
    if (RAND_priv_bytes(key.secret.data(), static_cast<int>(key.secret.size())) != 1) {
        throw std::runtime_error("no randomness");
    }
    key.id = key_id(key.secret);
    return key;
}

CookieKey CookieKey::from_secret(const std::array<std::uint8_t, 32>& secret) {
    CookieKey key;
    key.secret = secret;
    key.id = key_id(secret);
    return key;
}

std::string CookieKey::file_text() const {
    std::string text;
    text.reserve(secret_characters + 1);
    append_base64url(text, secret);
    text += '\n';
    return text;
}

Result<CookieKey> CookieKey::read(const std::filesystem::path& file) {
    // The descriptor is asked, not the path, so that nobody can swap the file in between. O_NONBLOCK: a named pipe in
    // its place must not hang the start.
    const File opened{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    struct stat status {};
    if (opened.descriptor < 0 || ::fstat(opened.descriptor, &status) != 0) return last_error();
    if (!S_ISREG(status.st_mode)) return no_key();
    if (status.st_mode & S_IRWXO) return make_error_code(boost::system::errc::permission_denied);

    KeyText text;
    if (const auto error = read_text(opened.descriptor, text)) return error;
    CookieKey key;
    const std::string_view line = text.without_line_end();
    if (line.size() != secret_characters || !from_base64url(line, key.secret)) return no_key();
    key.id = key_id(key.secret);
    return key;
}

}  // namespace rotagate::session
