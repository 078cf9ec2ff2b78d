// Replies of Redis: whatever a server sends, in whatever pieces, is read or refused; and what is read holds together.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "session/redis/slots.hpp"
#include "session/redis/trouble.hpp"

using namespace rotagate::session::redis;

namespace {

/// Looks at every part. Returns how many there are.
std::size_t walk(Reply reply, unsigned depth = 0) {
    if (depth > 16) std::abort();  // hiredis refuses such replies
    if (reply.is_error()) diagnose(reply.text());
    static_cast<void>(reply.integer());
    std::size_t parts = 1;
    for (std::size_t i = 0; i < reply.size(); ++i) parts += walk(reply[i], depth + 1);
    if (!reply[reply.size()].is_nil()) std::abort();
    return parts;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    // The first byte says where the rest is cut in two.
    std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t first = bytes.empty() ? 0 : data[0] % bytes.size();
    ReplyReader reader;
    for (const std::string_view piece : {bytes.substr(0, first), bytes.substr(first)}) {
        reader.feed(piece);
        while (true) {
            const auto state = reader.next();
            if (state == ReplyReader::State::broken) return 0;
            if (state == ReplyReader::State::incomplete) break;
            walk(reader.reply());
            SlotMap().learn(reader.reply(), {.host = "h", .port = 1, .unix_path = {}});
        }
    }
    return 0;
}
