#include "session/cookie.hpp"

#include <set>

#include <catch2/catch.hpp>
#include <openssl/err.h>

#include "session/base64url.hpp"
#include "session/xaes.hpp"

using namespace rotagate::session;
using namespace std::chrono_literals;
using namespace std::string_view_literals;

namespace {

constexpr std::string_view audience = "__Host-session";

SessionCookie cookie_of(const User& user) {
    return {.id = SessionId::create(user), .minted = 1'700'000'000'123ms, .expires = 1'700'003'600'123ms};
}

/// All that the text stands for, the key id apart.
std::vector<std::uint8_t> bytes_in(const std::string& sealed) {
    std::vector<std::uint8_t> bytes(CookieSealer::max_sealed);
    bytes.resize(from_base64url(std::string_view{sealed}.substr(9), bytes).value());
    return bytes;
}

std::string text_of(const std::string& key_id, const std::vector<std::uint8_t>& bytes) {
    std::string text = key_id + '.';
    append_base64url(text, bytes);
    return text;
}

struct Gateway {
    CookieKey key = CookieKey::generate();
    CookieSealer sealer{KeyRing{{key}}};
};

}  // namespace

SCENARIO("what was sealed opens, and no two cookies are alike", "[cookie]") {
    Gateway gateway;
    CookieSealer other{KeyRing{{gateway.key}}};  // opens what it has not sealed itself
    const User longest{std::string(256, '/'), std::string(256, '%')};
    for (const User& user : {User{"a", ""}, User{"alice", "acme"}, longest}) {
        const auto cookie = cookie_of(user);
        std::set<std::string> texts;
        for (int i = 0; i < 300; ++i) {
            const auto sealed = gateway.sealer.seal(cookie, audience);
            CHECK(texts.insert(sealed).second);
            CHECK(sealed.size() <= CookieSealer::max_sealed);
            CHECK(sealed.starts_with(gateway.key.id + '.'));
            REQUIRE(gateway.sealer.open(sealed, audience).value() == cookie);
            REQUIRE(other.open(sealed, audience).value() == cookie);
        }
        auto final_cookie = cookie;
        final_cookie.absolute = true;
        CHECK(other.open(gateway.sealer.seal(final_cookie, audience), audience).value() == final_cookie);
    }
}

SCENARIO("a cookie shows nothing of the user", "[cookie]") {
    Gateway gateway;
    const auto bytes = bytes_in(gateway.sealer.seal(cookie_of({"alice", "acme"}), audience));
    const std::string text{bytes.begin(), bytes.end()};
    CHECK(text.find("alice") == std::string::npos);
    CHECK(text.find("acme") == std::string::npos);
}

SCENARIO("no bit of a cookie can be changed", "[cookie]") {
    Gateway gateway;
    const auto bytes = bytes_in(gateway.sealer.seal(cookie_of({"alice", "acme"}), audience));
    REQUIRE(gateway.sealer.open(text_of(gateway.key.id, bytes), audience).has_value());
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
        auto changed = bytes;
        changed[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
        REQUIRE(gateway.sealer.open(text_of(gateway.key.id, changed), audience).error() == SessionErrc::cookie_forged);
    }
}

SCENARIO("no character of a cookie can be changed, and none taken or added", "[cookie]") {
    Gateway gateway;
    const auto sealed = gateway.sealer.seal(cookie_of({"alice", "acme"}), audience);
    for (std::size_t size = 0; size < sealed.size(); ++size)
        REQUIRE_FALSE(gateway.sealer.open(sealed.substr(0, size), audience).has_value());
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        for (const char c : "Aa0-_.=+/ \n\t\"\x80\0"sv) {
            auto changed = sealed;
            changed[i] = c;
            if (changed != sealed) REQUIRE_FALSE(gateway.sealer.open(changed, audience).has_value());
            REQUIRE_FALSE(gateway.sealer.open(std::string{sealed}.insert(i, 1, c), audience).has_value());
        }
    }
    for (const char* tail : {"A", "AA", "AAAA", "=", "==", " ", "\n", ".", ";"}) {
        CHECK_FALSE(gateway.sealer.open(sealed + tail, audience).has_value());
    }
}

SCENARIO("the unused bits at the end must be zero", "[cookie]") {
    Gateway gateway;
    for (const char* name : {"a", "aa", "aaa"}) {
        const auto sealed = gateway.sealer.seal(cookie_of({name, ""}), audience);
        constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        int opened = 0;
        for (const char last : digits) {
            auto changed = sealed;
            changed.back() = last;
            opened += gateway.sealer.open(changed, audience).has_value();
        }
        CHECK(opened == 1);
    }
}

SCENARIO("halves of two cookies make no third", "[cookie]") {
    Gateway gateway;
    const auto a = bytes_in(gateway.sealer.seal(cookie_of({"alice", ""}), audience));
    const auto b = bytes_in(gateway.sealer.seal(cookie_of({"mallo", ""}), audience));
    REQUIRE(a.size() == b.size());
    for (auto cut = std::ssize(a) - 1; cut > 0; --cut) {
        auto mixed = a;
        std::copy(b.begin() + cut, b.end(), mixed.begin() + cut);
        if (mixed == a || mixed == b) continue;  // the cookies agree before the cut, or behind it
        REQUIRE_FALSE(gateway.sealer.open(text_of(gateway.key.id, mixed), audience).has_value());
    }
}

SCENARIO("a cookie counts for its audience only", "[cookie]") {
    Gateway gateway;
    const auto sealed = gateway.sealer.seal(cookie_of({"alice", ""}), "session a.example");
    CHECK(gateway.sealer.open(sealed, "session a.example").has_value());
    for (const char* other : {"session b.example", "session a.example ", "session a.exampl", ""}) {
        CHECK(gateway.sealer.open(sealed, other).error() == SessionErrc::cookie_forged);
    }
}

SCENARIO("keys are changed without logging anybody out: the first seals, all open", "[cookie]") {
    const auto older = CookieKey::generate(), newer = CookieKey::generate();
    CookieSealer before{KeyRing{{older}}}, during{KeyRing{{newer, older}}}, after{KeyRing{{newer}}};
    const auto cookie = cookie_of({"alice", ""});
    const auto old_cookie = before.seal(cookie, audience);
    CHECK(during.open(old_cookie, audience).value() == cookie);
    CHECK(after.open(old_cookie, audience).error() == SessionErrc::cookie_forged);
    const auto new_cookie = during.seal(cookie, audience);
    CHECK(new_cookie.starts_with(newer.id));
    CHECK(after.open(new_cookie, audience).value() == cookie);
    CHECK(before.open(new_cookie, audience).error() == SessionErrc::cookie_forged);
    CHECK(during.open(older.id + new_cookie.substr(8), audience).error() == SessionErrc::cookie_forged);
}

SCENARIO("many gateways with one key open each other's cookies", "[cookie]") {
    const KeyRing ring{{CookieKey::generate()}};
    CookieSealer reader{ring};
    for (int i = 0; i < 200; ++i) {  // more than it keeps contexts for
        CookieSealer other{ring};
        const auto cookie = cookie_of({"alice", std::to_string(i)});
        for (int again = 0; again < 3; ++again)
            REQUIRE(reader.open(other.seal(cookie, audience), audience).value() == cookie);
    }
}

SCENARIO("what no gateway could have written is malformed, the rest forged", "[cookie]") {
    Gateway gateway;
    const auto sealed = gateway.sealer.seal(cookie_of({"alice", ""}), audience);
    const auto error = [&](const std::string& text) { return gateway.sealer.open(text, audience).error(); };
    CHECK(error("") == SessionErrc::cookie_malformed);
    CHECK(error(".") == SessionErrc::cookie_malformed);
    CHECK(error(sealed.substr(9)) == SessionErrc::cookie_malformed);
    CHECK(error(gateway.key.id + '.') == SessionErrc::cookie_malformed);
    CHECK(error(gateway.key.id + '.' + std::string(52, 'A')) == SessionErrc::cookie_malformed);
    CHECK(error(gateway.key.id + '.' + std::string(54, 'A')) == SessionErrc::cookie_forged);
    CHECK(error(sealed + std::string(4097, 'A')) == SessionErrc::cookie_malformed);
    CHECK(error("." + sealed.substr(9)) == SessionErrc::cookie_forged);
    CHECK(error("00000000" + sealed.substr(8)) == SessionErrc::cookie_forged);
    CHECK(error(std::string(4096, '.')) == SessionErrc::cookie_malformed);
}

SCENARIO("an authentic message that is no cookie of this version is malformed", "[cookie]") {
    Gateway gateway;
    const auto seal = [&](std::string_view plaintext) {
        const NonceHalf half{};
        XaesKey key{gateway.key.secret};
        Gcm gcm{Gcm::Direction::seal};
        gcm.set_key(key.subkey(half));
        std::vector<std::uint8_t> bytes(24 + plaintext.size() + Gcm::tag_size);
        gcm.seal(half, audience, {reinterpret_cast<const std::uint8_t*>(plaintext.data()), plaintext.size()},
                 &bytes[24]);
        return text_of(gateway.key.id, bytes);
    };
    const std::string good = "\1" + std::string(16, '\0') + "{alice}.AAAAAAAAAAAAAAAAAAAAAA";
    REQUIRE(gateway.sealer.open(seal(good), audience).has_value());
    CHECK_FALSE(gateway.sealer.open(seal(good), audience)->absolute);
    CHECK(gateway.sealer.open(seal('\x81' + good.substr(1)), audience)->absolute);
    for (const std::string& bad : {std::string{}, good.substr(0, 1), good.substr(0, 17), '\2' + good.substr(1),
                                   '\x82' + good.substr(1), '\x41' + good.substr(1), good + 'A'}) {
        CHECK(gateway.sealer.open(seal(bad), audience).error() == SessionErrc::cookie_malformed);
    }
}

SCENARIO("a refused cookie leaves no error behind for the TLS connection of the same thread", "[cookie]") {
    Gateway gateway;
    auto sealed = gateway.sealer.seal(cookie_of({"alice", ""}), audience);
    sealed[40] = sealed[40] == 'A' ? 'B' : 'A';
    REQUIRE_FALSE(gateway.sealer.open(sealed, audience).has_value());
    CHECK(ERR_peek_error() == 0);
}

SCENARIO("a sealer without a key, and a cookie that no browser takes, are the caller's mistakes", "[cookie]") {
    CHECK_THROWS_AS(CookieSealer{KeyRing{}}, std::invalid_argument);
    Gateway gateway;
    CHECK_THROWS_AS(gateway.sealer.seal({.id = {std::string(4000, 'x')}}, audience), std::length_error);
}
