// The contract of all stores: what operators end, list and count.
#include <algorithm>
#include <set>

#include "store_contract.hpp"

namespace rotagate::session {
namespace {

using Texts = std::vector<std::string>;

/// Users whose names must never touch each other's sessions, two sessions each.
struct Crowd {
    std::vector<User> users = {{"bob", ""},
                               {"bob", "acme"},
                               {"bob", "acme2"},
                               {"bob.smith", ""},
                               {"bob", "ac"},
                               {"alice", "acme"},
                               {"*", ""},
                               {"{x}", "acme"},
                               {"a/b", ""},
                               {"b", "a"},
                               {std::string(256, 'z'), "\u00FC"},
                               {"J\u00FCrgen", ""}};
    std::vector<SessionId> ids;

    explicit Crowd(StoreCaller& store) {
        for (int round = 0; round < 2; ++round) {
            for (const User& user : users) ids.push_back(store.start(user).session.id);
        }
    }
    template <class Select>
    Texts texts(Select select) const {
        std::vector<SessionId> selected;
        std::ranges::copy_if(ids, std::back_inserter(selected), [&](const SessionId& id) { return select(id.user()); });
        return texts_of(selected);
    }
};

}  // namespace

void operator_contract(StoreHarness& harness) {
    config::Session settings;
    settings.idle_timeout = 3600 * harness.unit();  // longer than any of this takes, on any machine
    StoreCaller store{harness, settings};
    const Crowd crowd{store};
    const auto everybody = crowd.texts([](const User&) { return true; });

    SECTION("a listing names exactly what is selected, whatever the size of its pages") {
        for (const std::size_t limit : {1, 2, 7, 24, 100}) {
            CHECK(store.list({}, limit) == everybody);
            CHECK(store.list({.user = "bob"}, limit) == crowd.texts([](const User& u) { return u.id == "bob"; }));
            CHECK(store.list({.org = "acme"}, limit) == crowd.texts([](const User& u) { return u.org == "acme"; }));
            CHECK(store.list({.org = ""}, limit) == crowd.texts([](const User& u) { return u.org.empty(); }));
            for (const User& user : crowd.users) {
                CHECK(store.list({.user = user.id, .org = user.org}, limit) ==
                      crowd.texts([&](const User& u) { return u == user; }));
            }
        }
        CHECK(store.list({.user = "nobody"}).empty());
        CHECK(store.list({.org = "nowhere"}).empty());
        CHECK(store.list({.user = "bo"}).empty());
    }
    SECTION("a page that is full and the last has no cursor") {
        CHECK(store.list_page({}, "", everybody.size()).value().cursor.empty());
        CHECK_FALSE(store.list_page({}, "", everybody.size() - 1).value().cursor.empty());
    }
    SECTION("who is there throughout a listing is listed once, whoever comes and goes") {
        std::multiset<std::string> listed;
        std::string cursor;
        std::set<std::string> gone;
        for (int i = 0; i == 0 || !cursor.empty(); ++i) {
            const auto page = store.list_page({}, cursor, 3).value();
            for (const auto& session : page.sessions) listed.insert(session.id.text);
            cursor = page.cursor;
            store.start({"new" + std::to_string(i), "acme"});
            const SessionId& last = page.sessions.back().id;  // the one that the cursor stands at
            if (i % 2 == 0 && store.end(last)) gone.insert(last.text);
        }
        for (const auto& id : everybody) CHECK(listed.count(id) == 1);
        CHECK_FALSE(gone.empty());
    }
    SECTION("a cursor that is none is an error") {
        for (const char* cursor : {"x", "-1", "0", "0:", "0:a b", ":bob", "99999999999999999999:bob"}) {
            CHECK(store.list_page({}, cursor, 3).has_error());
        }
    }
    SECTION("ending a user ends the sessions of exactly this pair") {
        for (const User& user : crowd.users) {
            const auto theirs = crowd.texts([&](const User& u) { return u == user; });
            CHECK(texts_of(store.end_user(user)) == theirs);
            CHECK(store.end_user(user).empty());
            CHECK(store.list({.user = user.id, .org = user.org}).empty());
        }
        CHECK(store.list({}).empty());
    }
    SECTION("an operator ends a user in all organizations, in one, an organization, or everybody") {
        const auto rest = [&](const Texts& ended) {
            Texts left;
            std::ranges::set_difference(everybody, ended, std::back_inserter(left));
            return left;
        };
        const auto check_end = [&](const Selection& selection, const Texts& expected) {
            CHECK(texts_of(store.end_selected(selection)) == expected);
            CHECK(store.list({}) == rest(expected));
        };
        SECTION("in all") {
            check_end({.user = "bob"}, crowd.texts([](const User& u) { return u.id == "bob"; }));
        }
        SECTION("in one") {
            check_end({.user = "bob", .org = "acme"}, crowd.texts([](const User& u) {
                return u == User{"bob", "acme"};
            }));
        }
        SECTION("outside") {
            check_end({.user = "bob", .org = ""}, crowd.texts([](const User& u) { return u == User{"bob", ""}; }));
        }
        SECTION("an organization") {
            check_end({.org = "acme"}, crowd.texts([](const User& u) { return u.org == "acme"; }));
        }
        SECTION("everybody") { check_end({}, everybody); }
        SECTION("nobody") { check_end({.user = "*."}, {}); }
    }
    SECTION("distinct users are counted, in all and by organization") {
        CHECK(store.count_users() == crowd.users.size());
        CHECK(store.count_users("acme") == 3);
        CHECK(store.count_users("ac") == 1);
        CHECK(store.count_users("") == 5);
        CHECK(store.count_users("nowhere") == 0);
        const auto bobs = store.list_page({.user = "bob", .org = "acme"}, "", 2).value().sessions;
        REQUIRE(store.end(bobs[0].id));
        CHECK(store.count_users("acme") == 3);
        REQUIRE(store.end(bobs[1].id));
        CHECK(store.count_users("acme") == 2);
        CHECK(store.count_users() == crowd.users.size() - 1);
    }
    SECTION("what has expired is neither listed, counted nor ended") {
        harness.advance(3601 * harness.unit());
        const auto fresh = store.start({"bob", "acme"}).session;
        CHECK(store.count_users() == 1);
        CHECK(store.count_users("acme") == 1);
        CHECK(store.list({}) == Texts{fresh.id.text});
        CHECK(texts_of(store.end_selected({})) == Texts{fresh.id.text});
    }
}

}  // namespace rotagate::session
