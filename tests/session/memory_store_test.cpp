#include "session/memory_store.hpp"

#include <atomic>
#include <thread>

#include <catch2/catch.hpp>
#include <malloc.h>

#include "fake_clock.hpp"
#include "store_contract.hpp"

using namespace rotagate::session;
using namespace std::chrono_literals;
namespace config = rotagate::config;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool own_allocator = false;  // the sanitizer's, which does not report to mallinfo2
#else
constexpr bool own_allocator = true;
#endif

class MemoryHarness final : public StoreHarness {
public:
    /// @param sweeps  whether somebody calls sweep() as time passes; nothing may depend on it
    explicit MemoryHarness(bool sweeps) : sweeps_(sweeps) {}

    SessionStore& open(const config::Session& settings) override {
        store_ = std::make_unique<MemoryStore>(settings, clock_.reader());
        return *store_;
    }
    void advance(Millis time) override {
        clock_.advance(time);
        if (sweeps_) store_->sweep();
    }

private:
    bool sweeps_;
    FakeClock clock_;
    std::unique_ptr<MemoryStore> store_;
};

Session start(MemoryStore& store, NewSession request) {
    Session session;
    store.start(std::move(request), [&](Result<Started> started) { session = started.value().session; });
    return session;
}

Result<Session> present(MemoryStore& store, const SessionCookie& cookie) {
    Result<Session> result = SessionErrc::unavailable;
    store.present(cookie, {}, [&](Result<Session> session) { result = std::move(session); });
    return result;
}

}  // namespace

TEST_CASE("the memory store keeps the contract of all stores", "[store]") {
    MemoryHarness harness{true};
    store_contract(harness);
}

TEST_CASE("the memory store keeps it while nobody sweeps", "[store]") {
    MemoryHarness harness{false};
    store_contract(harness);
}

SCENARIO("a lifetime ends to the millisecond", "[memory]") {
    FakeClock clock;
    config::Session settings;
    settings.idle_timeout = 1s;
    MemoryStore store{settings, clock.reader()};
    const auto session = start(store, {.user = {"alice", ""}});
    for (int i = 0; i < 10; ++i) {
        clock.advance(999ms);
        CHECK(present(store, {session.id, clock.now(), {}}).value().expires == clock.now() + 1s);
    }
    clock.advance(1s);
    CHECK(store.known_ended(session.id));
    CHECK(present(store, {session.id, clock.now(), {}}).error() == SessionErrc::unknown);
}

SCENARIO("the security log hears why a session ended by itself", "[memory]") {
    FakeClock clock;
    config::Session settings;
    settings.idle_timeout = 60s;
    settings.absolute_timeout = 100s;
    std::vector<std::pair<std::string, Expiry>> heard;
    MemoryStore store{settings, clock.reader(),
                      [&](const SessionId& id, Expiry why) { heard.emplace_back(id.text, why); }};
    const auto idle = start(store, {.user = {"alice", ""}}), busy = start(store, {.user = {"bob", ""}});
    const auto ended = start(store, {.user = {"carol", ""}});
    store.end(ended.id, [](Result<bool>) {});
    clock.advance(50s);
    REQUIRE(present(store, {busy.id, clock.now(), {}}).has_value());
    clock.advance(10s);
    store.count_users({}, [](Result<std::size_t> count) { CHECK(count.value() == 1); });
    CHECK(heard.empty());  // only sweep() tells, also of what another call found
    store.sweep();
    CHECK(heard == std::vector<std::pair<std::string, Expiry>>{{idle.id.text, Expiry::idle}});
    clock.advance(40s);
    store.sweep();
    store.sweep();
    REQUIRE(heard.size() == 2);
    CHECK(heard[1] == std::pair{busy.id.text, Expiry::absolute});
    CHECK(store.size() == 0);
}

SCENARIO("without a clock of its own the store follows the wall clock", "[memory]") {
    const MemoryStore store{config::Session{}};
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    CHECK(store.now() > wall - 5s);
    CHECK(store.now() < wall + 5s);
}

SCENARIO("memory is given back when a wave of sessions has gone", "[memory]") {
    FakeClock clock;
    MemoryStore store{config::Session{}, clock.reader()};
    const auto in_use = [] { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; };
    const std::size_t before = in_use();
    constexpr int sessions = 200'000;
    for (int i = 0; i < sessions; ++i) {
        start(store, {.user = {"user" + std::to_string(i), i % 3 ? "acme" : ""}, .client = "192.0.2.7"});
    }
    const std::size_t full = in_use();
    CHECK(store.size() == sessions);
    if (own_allocator) CHECK((full - before) / sessions < 640);  // bytes a session, its user included
    clock.advance(2h);
    store.sweep();
    CHECK(store.size() == 0);
    if (own_allocator) CHECK(in_use() < before + (full - before) / 50);
}

SCENARIO("a crowd is ended completely, in steps that let others in between", "[memory]") {
    MemoryStore store{config::Session{}};
    for (int i = 0; i < 200'000; ++i) start(store, {.user = {"user" + std::to_string(i), i % 2 ? "acme" : ""}});
    store.end_selected({.org = "acme"},
                       [](const Result<std::vector<SessionId>>& ended) { CHECK(ended->size() == 100'000); });
    CHECK(store.size() == 100'000);
    store.end_selected({}, [](const Result<std::vector<SessionId>>& ended) { CHECK(ended->size() == 100'000); });
    CHECK(store.size() == 0);
}

SCENARIO("a flood of logins does not grow the memory of replaced sessions without bound", "[memory]") {
    FakeClock clock;
    MemoryStore store{config::Session{}, clock.reader()};
    const auto in_use = [] { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; };
    auto session = start(store, {.user = {"alice", ""}});
    std::size_t after_some = 0;
    for (int i = 0; i < 50'000; ++i) {
        session = start(store, {.user = {"alice", ""}, .replaces = session.id});
        if (i == 10'000) after_some = in_use();
    }
    CHECK(store.size() == 1);
    if (own_allocator) CHECK(in_use() < after_some + 100'000);
}

SCENARIO("all event loops may use the store at once", "[memory][threads]") {
    config::Session settings;
    settings.max_sessions_per_user = 3;
    settings.idle_timeout = 20ms;
    std::atomic<std::size_t> expired = 0;
    MemoryStore store{settings, {}, [&](const SessionId&, Expiry) { ++expired; }};
    std::atomic<bool> stop = false;
    std::atomic<std::size_t> valid = 0, revived = 0;  // Catch2's assertions are for the main thread only

    const auto browse = [&](int thread) {
        SessionId mine = start(store, {.user = {"user", ""}}).id;
        for (int i = 0; i < 3000; ++i) {
            const User user{"user" + std::to_string((thread + i) % 5), i % 2 ? "acme" : ""};
            if (i % 7 == 0) mine = start(store, {.user = user, .data = "{}", .replaces = mine}).id;
            if (present(store, {mine, store.now(), {}})) ++valid;
            store.replace_data(mine, R"({"n":1})", [](Result<>) {});
            store.issue(mine, store.now(), [](const Result<Millis>&) {});
            if (i % 31 == 0) store.end_user(user, [](const Result<std::vector<SessionId>>&) {});
            if (store.known_ended(mine) && present(store, {mine, store.now(), {}})) ++revived;
        }
    };
    std::thread operators{[&] {
        while (!stop) {
            store.sweep();
            store.list({.org = "acme"}, "", 10, [](const Result<Page>&) {});
            store.count_users("acme", [](Result<std::size_t>) {});
            store.end_selected({.user = "user1"}, [](const Result<std::vector<SessionId>>&) {});
        }
    }};
    std::vector<std::thread> loops;
    loops.reserve(4);
    for (int thread = 0; thread < 4; ++thread) loops.emplace_back(browse, thread);
    for (auto& loop : loops) loop.join();
    stop = true;
    operators.join();
    CHECK(valid > 0);
    CHECK(revived == 0);
    store.end_selected({}, [](const Result<std::vector<SessionId>>&) {});
    store.sweep();
    CHECK(store.size() == 0);
}

TEST_CASE("other settings count for the sessions that are there, with their next request", "[store]") {
    FakeClock clock;
    config::Session settings;
    settings.idle_timeout = 10min;
    MemoryStore store{settings, clock.reader()};
    const Session alice = start(store, {.user = {.id = "alice"}});
    const Session bob = start(store, {.user = {.id = "bob"}});
    settings.idle_timeout = 1h;
    store.adopt(settings);
    CHECK(present(store, {alice.id, store.now()}).value().expires == store.now() + 1h);
    clock.advance(11min);
    CHECK(present(store, {alice.id, store.now()}).has_value());
    CHECK(present(store, {bob.id, store.now()}).error() == SessionErrc::unknown);
    SECTION("a shorter lifetime, too, for all calls") {
        settings.idle_timeout = 1min;
        store.adopt(settings);
        CHECK(present(store, {alice.id, store.now()}).value().expires == store.now() + 1min);
        clock.advance(1min);
        CHECK(present(store, {alice.id, store.now()}).error() == SessionErrc::unknown);
        store.count_users({}, [](Result<std::size_t> count) { CHECK(count.value() == 0); });
        store.sweep();
        CHECK(store.size() == 0);
    }
    SECTION("and one that is over already") {
        settings.absolute_timeout = 5min;
        store.adopt(settings);
        CHECK(present(store, {alice.id, store.now()}).error() == SessionErrc::unknown);
        store.count_users({}, [](Result<std::size_t> count) { CHECK(count.value() == 0); });
    }
    SECTION("so do the rules of rotation") {
        settings.on_replay = config::OnReplay::report;
        store.adopt(settings);
        clock.advance(1min);
        const auto old = store.now() - 1min;
        CHECK(present(store, {alice.id, store.now()}).has_value());
        clock.advance(21s);
        CHECK(present(store, {alice.id, store.now()}).has_value());
        CHECK(present(store, {alice.id, old}).value().replay_reported);
    }
}
