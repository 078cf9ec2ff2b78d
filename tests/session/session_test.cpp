#include "session/session.hpp"

#include <set>
#include <vector>

#include <catch2/catch.hpp>

using namespace rotagate::session;
using namespace std::string_literals;

SCENARIO("a user has one key, and a key one user", "[user]") {
    const std::vector<std::pair<User, std::string>> users = {
        {{"alice", ""}, "alice"},
        {{"alice", "acme"}, "acme/alice"},
        {{"alice@example.org", "a-b_c~d.e+f"}, "a-b_c~d.e+f/alice@example.org"},
        {{"a/b", ""}, "a%2Fb"},
        {{"b", "a"}, "a/b"},
        {{"{x}", "*"}, "%2A/%7Bx%7D"},
        {{"J\u00FCrgen M\u00FCller", ""}, "J%C3%BCrgen%20M%C3%BCller"},
        {{"100%", ""}, "100%25"},
        {{"\U0001F980", "\uFFFD"}, "%EF%BF%BD/%F0%9F%A6%80"},
        {{std::string(256, 'x'), std::string(256, 'y')}, std::string(256, 'y') + '/' + std::string(256, 'x')},
    };
    std::set<std::string> keys;
    for (const auto& [user, key] : users) {
        CHECK(user.valid());
        CHECK(user.key() == key);
        CHECK(User::from_key(key).value() == user);
        CHECK(keys.insert(key).second);
    }
}

SCENARIO("a user id is 1 to 256 bytes of UTF-8 without control characters", "[user]") {
    for (const std::string& bad : {""s,
                                   std::string(257, 'x'),
                                   "a\nb"s,
                                   "a\rb"s,
                                   "\0"s,
                                   "\x7F"s,
                                   "\x1F"s,
                                   "\xC2\x80"s,
                                   "\xC2\x9F"s,
                                   "\xFF"s,
                                   "\xC0\xAF"s,
                                   "\xC1\xBF"s,
                                   "\xE0\x9F\xBF"s,
                                   "\xED\xA0\x80"s,
                                   "\xED\xBF\xBF"s,
                                   "\xF0\x8F\xBF\xBF"s,
                                   "\xF4\x90\x80\x80"s,
                                   "\xF5\x80\x80\x80"s,
                                   "\xC3"s,
                                   "\xE2\x82"s,
                                   "\xF0\x9F\xA6"s,
                                   "\x80"s,
                                   "a\xC3(b"s}) {
        CAPTURE(bad);
        CHECK_FALSE(User{bad, ""}.valid());
        if (!bad.empty()) CHECK_FALSE(User{"alice", bad}.valid());
    }
    for (const std::string& good : {" "s, "\xC2\xA0"s, "\xE0\xA0\x80"s, "\xED\x9F\xBF"s, "\xEE\x80\x80"s,
                                    "\xF0\x90\x80\x80"s, "\xF4\x8F\xBF\xBF"s}) {
        CAPTURE(good);
        CHECK(User{good, good}.valid());
        CHECK(User::from_key(User{good, good}.key()).value() == User{good, good});
    }
}

SCENARIO("only the canonical key names a user", "[user]") {
    for (const std::string& bad :
         {""s, "/"s, "/alice"s, "acme/"s, "a/b/c"s, "%61lice"s, "a%2fb"s, "a%2"s, "a%"s, "a%GGb"s, "a b"s, "a{b"s,
          "a}b"s, "%0A"s, "%00"s, "%FF"s, "%C2%80"s, "J\u00FCrgen"s, std::string(257, 'x')}) {
        CAPTURE(bad);
        CHECK(User::from_key(bad).error() == SessionErrc::user_invalid);
    }
}

SCENARIO("a session id carries its user, and 128 random bits", "[session]") {
    const User user{"a b", "acme"};
    const auto id = SessionId::create(user);
    CHECK(id.text.size() == "{acme/a%20b}."s.size() + 22);
    CHECK(id.text.starts_with("{acme/a%20b}."));
    CHECK(id.user_key() == "acme/a%20b");
    CHECK(id.user() == user);
    CHECK(SessionId::parse(id.text).value() == id);
    CHECK_FALSE(SessionId::create(user) == id);
    CHECK(SessionId{}.user_key().empty());
}

SCENARIO("a session id of the largest user is one too", "[session]") {
    std::string clef;  // a character of four bytes
    for (int i = 0; i < 64; ++i) clef += "\U0001D11E";
    const auto id = SessionId::create({clef, clef});
    CHECK(SessionId::parse(id.text).value() == id);
    CHECK(SessionId::from_admin_name(id.admin_name()).value() == id);
}

SCENARIO("what is not a session id is refused", "[session]") {
    const std::string random = "AAAAAAAAAAAAAAAAAAAAAA";
    REQUIRE(SessionId::parse("{alice}." + random).has_value());
    for (const std::string& bad :
         {""s, "{}." + random, "alice." + random, "{alice}" + random, "{alice}." + random + "A",
          "{alice}.A" + random.substr(2), "{alice}." + random.substr(1) + "B", "{alice}." + random.substr(1) + "=",
          "{al}ice}." + random, "{/alice}." + random, "{%61lice}." + random, " {alice}." + random,
          "{" + std::string(5000, 'a') + "}." + random}) {
        CAPTURE(bad);
        CHECK(SessionId::parse(bad).error() == SessionErrc::cookie_malformed);
    }
}

SCENARIO("logs and operators have names for a session that are no cookie", "[session]") {
    const auto id = SessionId::parse("{alice}.AAAAAAAAAAAAAAAAAAAAAA").value();
    CHECK(id.log_name() == "3cf62360");
    CHECK(id.admin_name() == "3cf62360.e2FsaWNlfS5BQUFBQUFBQUFBQUFBQUFBQUFBQUFB");
    CHECK(SessionId::from_admin_name(id.admin_name()).value() == id);
    for (const std::string& bad : {""s, "3cf62360"s, "3cf62360."s, id.text, "00000000" + id.admin_name().substr(8),
                                   id.admin_name() + "=", id.admin_name() + "A", "x" + id.admin_name()}) {
        CAPTURE(bad);
        CHECK(SessionId::from_admin_name(bad).error() == SessionErrc::cookie_malformed);
    }
}

SCENARIO("session data is a JSON object of at most 64 KiB that a header can carry", "[session]") {
    const auto nested = [](int depth) {
        std::string json = "{\"a\":";
        for (int i = 1; i < depth; ++i) json += '[';
        for (int i = 1; i < depth; ++i) json += ']';
        return depth == 1 ? "{}"s : json + '}';
    };
    const auto sized = [](std::size_t size) { return "{\"a\":\"" + std::string(size - 8, 'x') + "\"}"; };
    for (const std::string& good :
         {"{}"s, " {} "s, "{\"cart\":3}"s, "{\"a\":[1,2.5e3,null,true,{\"b\":\"\\n\\u00fc\"}],\"z\":\"\u00FC\"}"s,
          sized(65'536), nested(512)}) {
        CHECK(valid_data(good));
    }
    for (const std::string& bad : {""s,
                                   " "s,
                                   "[]"s,
                                   "3"s,
                                   "\"a\""s,
                                   "null"s,
                                   "{"s,
                                   "{}}"s,
                                   "{} {}"s,
                                   "{}x"s,
                                   "{\"a\":1,}"s,
                                   "{a:1}"s,
                                   "{\"a\":01}"s,
                                   "{\"a\":\"\n\"}"s,
                                   "{\n}"s,
                                   "{\r}"s,
                                   "{}\n"s,
                                   "{\"a\":\"\x7F\"}"s,
                                   "{\"a\":\"\xFF\"}"s,
                                   "{}\0"s,
                                   "/**/{}"s,
                                   "\xEF\xBB\xBF{}"s,
                                   sized(65'537),
                                   nested(513),
                                   nested(20'000)}) {
        CAPTURE(bad.substr(0, 80));
        CHECK_FALSE(valid_data(bad));
    }
}
