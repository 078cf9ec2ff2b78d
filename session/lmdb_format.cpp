#include "session/lmdb_format.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <boost/crc.hpp>

#include "session/base64url.hpp"

namespace rotagate::session {
namespace {

constexpr std::uint8_t version = 1;
constexpr std::uint8_t flag_permanent = 1, flag_data = 2;
constexpr std::size_t key_size = base64url_size(16);

std::uint32_t checksum(std::string_view bytes) {
    boost::crc_32_type crc;
    crc.process_bytes(bytes.data(), bytes.size());
    return crc.checksum();
}

class Writer {
public:
    explicit Writer(std::size_t size) { bytes_.reserve(size + sizeof(std::uint32_t)); }

    template <class Number>
    Writer& number(Number value) {
        for (int shift = std::numeric_limits<Number>::digits - 8; shift >= 0; shift -= 8)
            bytes_.push_back(static_cast<char>(value >> shift));
        return *this;
    }
    Writer& time(Millis time) { return number(static_cast<std::uint64_t>(time.count())); }
    Writer& seen(const RotationState::Seen& pair) { return time(pair.minted).time(pair.at); }
    Writer& rest(std::string_view text) {
        bytes_.append(text);
        return *this;
    }
    Writer& text(std::string_view text) { return number(static_cast<std::uint32_t>(text.size())).rest(text); }

    std::string sealed() {
        number(checksum(bytes_));
        return std::move(bytes_);
    }

private:
    std::string bytes_;
};

/// Reads what a Writer wrote. Once something is missing, all is empty, and ok() is false.
class Parser {
public:
    explicit Parser(std::string_view sealed) {
        if (sealed.size() < sizeof(std::uint32_t)) return;
        rest_ = sealed.substr(sealed.size() - sizeof(std::uint32_t));
        const auto expected = number<std::uint32_t>();
        rest_ = sealed.substr(0, sealed.size() - sizeof(std::uint32_t));
        ok_ = checksum(rest_) == expected && number<std::uint8_t>() == version;
    }

    template <class Number>
    Number number() {
        Number value = 0;
        for (const char byte : bytes(sizeof(Number)))
            value = static_cast<Number>(value << (sizeof(Number) > 1 ? 8 : 0) | static_cast<unsigned char>(byte));
        return value;
    }
    Millis time() { return Millis{static_cast<std::int64_t>(number<std::uint64_t>())}; }
    RotationState::Seen seen() {
        const Millis minted = time();
        return {.minted = minted, .at = time()};
    }
    std::string_view text() { return bytes(number<std::uint32_t>()); }
    std::string_view rest() { return bytes(rest_.size()); }
    bool ok() const { return ok_ && rest_.empty(); }

private:
    std::string_view bytes(std::size_t size) {
        if (size > rest_.size()) {
            ok_ = false;
            return {};
        }
        const auto taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }

    std::string_view rest_;
    bool ok_ = false;
};

}  // namespace

std::string_view record_key(const SessionId& id) {
    return std::string_view{id.text}.substr(id.text.size() - std::min(id.text.size(), key_size));
}

std::string encode_session(const MemoryRecord& session) {
    const std::string_view data = session.data ? std::string_view{*session.data} : std::string_view{};
    const int flags = (session.permanent ? flag_permanent : 0) | (session.data ? flag_data : 0);
    return Writer{26 + session.id.text.size() + session.client.size() + data.size()}
        .number(version)
        .number(static_cast<std::uint8_t>(flags))
        .time(session.created)
        .number(session.serial)
        .text(session.id.text)
        .text(session.client)
        .rest(data)
        .sealed();
}

std::string encode_state(const MemoryRecord& session) {
    return Writer{57}
        .number(version)
        .seen(session.rotation.seen)
        .seen(session.rotation.mark)
        .time(session.rotation.floor)
        .time(session.expires)
        .time(session.last_seen)
        .sealed();
}

std::optional<KeptSession> decode(std::string_view key, std::string_view session, std::string_view state) {
    KeptSession kept;
    Parser fixed{session};
    const auto flags = fixed.number<std::uint8_t>();
    kept.session.permanent = (flags & flag_permanent) != 0;
    kept.session.created = fixed.time();
    kept.serial = fixed.number<std::uint64_t>();
    auto id = SessionId::parse(fixed.text());
    kept.session.client = fixed.text();
    const std::string_view data = fixed.rest();
    if ((flags & flag_data) != 0) kept.session.data = std::make_shared<const std::string>(data);

    Parser changing{state};
    kept.rotation.seen = changing.seen();
    kept.rotation.mark = changing.seen();
    kept.rotation.floor = changing.time();
    kept.session.expires = changing.time();
    kept.session.last_seen = changing.time();

    if (!fixed.ok() || !changing.ok() || !id || record_key(*id) != key) return std::nullopt;
    kept.session.id = std::move(*id);
    return kept;
}

}  // namespace rotagate::session
