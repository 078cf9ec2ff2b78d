// Arbitrary text as a session cookie, as a session id, and as an operator's name for one. Nothing crashes, and what is
// accepted has exactly one form.
#include <cstdlib>

#include "session/cookie.hpp"

using namespace rotagate::session;

namespace {

constexpr std::string_view audience = "__Host-session";

void require(bool holds) {
    if (!holds) std::abort();
}

CookieSealer& sealer() {
    static CookieSealer sealer{KeyRing{{CookieKey::from_secret({1, 2, 3})}}};  // the seeds are sealed with this key
    return sealer;
}

void open_cookie(std::string_view text) {
    const auto cookie = sealer().open(text, audience);
    if (!cookie) return;
    require(text.size() <= CookieSealer::max_sealed);
    require(sealer().open(sealer().seal(*cookie, audience), audience).value() == *cookie);
    require(!sealer().open(std::string{text} + "A", audience));
    require(!sealer().open(text, "elsewhere"));
}

void parse_id(std::string_view text) {
    const auto id = SessionId::parse(text);
    if (!id) return;
    const User user = id->user();
    require(id->text == text && user.valid() && user.key() == id->user_key());
    const SessionCookie cookie{.id = *id, .minted = Millis{1}, .expires = Millis{2}};
    require(sealer().open(sealer().seal(cookie, audience), audience).value() == cookie);
    require(SessionId::from_admin_name(id->admin_name()).value() == *id);
}

void parse_admin_name(std::string_view text) {
    const auto id = SessionId::from_admin_name(text);
    require(!id || id->admin_name() == text);
}

void parse_user_key(std::string_view text) {
    const auto user = User::from_key(text);
    require(!user || (user->valid() && user->key() == text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    open_cookie(text);
    parse_id(text);
    parse_admin_name(text);
    parse_user_key(text);
    valid_data(text);
    return 0;
}
