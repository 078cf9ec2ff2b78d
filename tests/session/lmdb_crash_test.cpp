// What a crash, a full disk and a disk that hangs may do to the store on disk, and what not.
#include <algorithm>
#include <array>
#include <csignal>
#include <sstream>

#include <catch2/catch.hpp>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lmdb_site.hpp"

using namespace rotagate::session;
using namespace std::chrono_literals;
namespace config = rotagate::config;

namespace {

using Clock = std::chrono::steady_clock;

/// A process beside this one: `work` writes what it wants to tell to the descriptor, and ends by kill -9 at the latest.
class Child {
public:
    template <class Work>
    explicit Child(Work work) {
        REQUIRE(::pipe(pipe_) == 0);
        process_ = ::fork();
        REQUIRE(process_ >= 0);
        if (process_ != 0) {
            ::close(pipe_[1]);
            return;
        }
        try {
            work(pipe_[1]);
        } catch (...) {
        }
        ::raise(SIGKILL);
    }
    ~Child() {
        end();
        ::close(pipe_[0]);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// Blocks until it has told something; empty: it has ended.
    std::string told() {
        char text[4096];
        const ssize_t size = ::read(pipe_[0], text, sizeof text);
        return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
    }
    std::string told_to_its_end() {
        std::string all;
        for (std::string some; !(some = told()).empty();) all += some;
        return all;
    }
    void end() {
        if (process_ <= 0) return;
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
        process_ = -1;
    }

private:
    int pipe_[2] = {-1, -1};
    pid_t process_ = -1;
};

void tell(int pipe, const std::string& line) {
    if (::write(pipe, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::raise(SIGKILL);
}

/// What is logged meanwhile.
class Log {
public:
    Log() : before_(spdlog::default_logger()) {
        spdlog::set_default_logger(
            std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
    }
    ~Log() { spdlog::set_default_logger(before_); }
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    std::size_t count(const std::string& event) const {
        std::size_t found = 0;
        const std::string text = text_.str();
        for (auto at = text.find(event); at != std::string::npos; at = text.find(event, at + 1)) ++found;
        return found;
    }

private:
    std::ostringstream text_;
    std::shared_ptr<spdlog::logger> before_;
};

/// No file of this process can grow beyond a size, as on a full disk.
class FullDisk {
public:
    explicit FullDisk(std::uintmax_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    }
    ~FullDisk() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;

private:
    rlimit before_{};
    void (*handler_)(int);
};

}  // namespace

SCENARIO("what was acknowledged to have ended stays so when the gateway is killed", "[lmdb][crash]") {
    const TemporaryFolder folder;
    const FakeClock clock;
    const auto ids = [&] {
        LmdbSite site{folder / "sessions", clock};
        return std::array{site.start("alice").id, site.start("alice").id, site.start("bob").id};
    }();
    const auto crash = [&](auto act) {
        Child{[&](int) {
            LmdbSite site{folder / "sessions", clock};
            act(site);
            ::raise(SIGKILL);
        }}.told_to_its_end();
    };
    const auto left = [&] { return LmdbSite{folder / "sessions", clock}.stores->size(); };
    REQUIRE(left() == 3);

    GIVEN("a logout") {
        crash([&](LmdbSite& site) { site.store->end(ids[0], [](auto) { ::raise(SIGKILL); }), site.flush(); });
        LmdbSite site{folder / "sessions", clock};
        CHECK(site.present(ids[0]).error() == SessionErrc::unknown);
        CHECK(site.present(ids[1]).has_value());
        CHECK(site.present(ids[2]).has_value());
    }
    GIVEN("a user's end") {
        crash([&](LmdbSite& site) {
            site.store->end_user({"alice", ""}, [](auto) { ::raise(SIGKILL); });
            site.flush();
        });
        LmdbSite site{folder / "sessions", clock};
        CHECK(site.list().size() == 1);
        CHECK(site.present(ids[2]).has_value());
    }
    GIVEN("the end of all") {
        crash([&](LmdbSite& site) { site.store->end_selected({}, [](auto) { ::raise(SIGKILL); }), site.flush(); });
        CHECK(left() == 0);
    }
    GIVEN("a login that replaced it") {
        crash([&](LmdbSite& site) {
            site.store->start({.user = {"carol", ""}, .replaces = ids[0]}, [](auto) { ::raise(SIGKILL); });
            site.flush();
        });
        LmdbSite site{folder / "sessions", clock};
        CHECK(site.present(ids[0]).error() == SessionErrc::unknown);
        CHECK(site.list({.user = "carol"}).size() == 1);
    }
    GIVEN("an end right after a request that changed the session") {
        crash([&](LmdbSite& site) {
            site.store->present({ids[0], clock.now() + 2s, {}}, {}, [](auto) {});
            site.store->replace_data(ids[0], "{}", [](auto) {});
            site.store->end(ids[0], [](auto) { ::raise(SIGKILL); });
            site.flush();
        });
        CHECK(left() == 2);
    }
}

SCENARIO("a replay is told when the session's end is on the disk", "[lmdb][crash]") {
    const TemporaryFolder folder;
    FakeClock clock;
    const auto id = LmdbSite{folder / "sessions", clock}.start("alice").id;
    const Millis stolen = clock.now();
    Child{[&](int) {
        LmdbSite site{folder / "sessions", clock};
        clock.advance(1min);
        site.store->present({id, clock.now(), {}}, {}, [](auto) {});
        clock.advance(20s);
        site.store->present({id, stolen, {}}, {}, [](const Result<Session>& presented) {
            if (presented.error() == SessionErrc::replayed) ::raise(SIGKILL);
        });
        site.flush();
    }}.told_to_its_end();
    CHECK(LmdbSite{folder / "sessions", clock}.stores->size() == 0);
}

SCENARIO("a killed gateway has lost the logins of a tenth of a second at most", "[lmdb][crash]") {
    const TemporaryFolder folder;
    const FakeClock clock;
    // Each line: id, nanoseconds before and after the call.
    const auto nanoseconds = [] { return std::to_string(Clock::now().time_since_epoch().count()); };
    Child child{[&](int pipe) {
        LmdbSite site{folder / "sessions", clock};
        for (;;) {
            const auto before = nanoseconds();
            const auto id = site.start("alice").id;
            tell(pipe, id.text + " " + before + " " + nanoseconds() + "\n");
        }
    }};
    std::string told;
    for (const auto begin = Clock::now(); Clock::now() < begin + 300ms;) told += child.told();
    child.end();
    told += child.told_to_its_end();

    LmdbSite site{folder / "sessions", clock};
    std::istringstream lines{told};
    std::string id;
    std::int64_t before = 0, after = 0, first_lost = 0, last_lost = 0;
    int kept = 0, kept_after_lost = 0;
    while (lines >> id >> before >> after && !lines.eof()) {
        if (!site.store->known_ended({id})) {
            ++kept;
            kept_after_lost += first_lost != 0 ? 1 : 0;
            continue;
        }
        if (first_lost == 0) first_lost = after;
        last_lost = before;
    }
    CHECK(kept > 0);
    CHECK(kept_after_lost == 0);
    CHECK(last_lost - first_lost < std::chrono::nanoseconds{100ms}.count());
}

SCENARIO("a full disk is told, costs no session, and is recovered from", "[lmdb][crash]") {
    const TemporaryFolder folder;
    const FakeClock clock;
    const Log log;
    std::vector<SessionId> ids;
    const NewSession with_data{.user = {"alice", ""}, .data = R"({"x":")" + std::string(10'000, 'x') + "\"}"};
    {
        LmdbSite site{folder / "sessions", clock};
        for (int i = 0; i < 20; ++i) ids.push_back(site.try_start(with_data).value().session.id);
        site.flush();
        {
            const FullDisk full{std::filesystem::file_size(folder / "sessions" / "data.mdb") + 64 * 1024};
            Result<Started> started = site.try_start(with_data);
            for (; started; started = site.try_start(with_data)) ids.push_back(started->session.id);
            CHECK(started.error() == SessionErrc::unavailable);
            CHECK(site.ping().error() == SessionErrc::unavailable);
            CHECK(site.end(ids[0]).error() == SessionErrc::unavailable);
            CHECK(site.store->known_ended(ids[0]));
            CHECK(site.present(ids[1]).has_value());
            CHECK(log.count("lmdb.write_failed") == 1);
            CHECK(log.count("cure=") == 1);
            CHECK(log.count("lmdb.recovered") == 0);
        }
        while (!site.ping()) site.end(ids[0]).has_value();
        CHECK(log.count("lmdb.recovered") == 1);
        CHECK(site.end(ids[2]).value());
        CHECK(site.try_start(with_data).has_value());
    }
    LmdbSite site{folder / "sessions", clock};
    CHECK(site.stores->size() == ids.size() - 1);
    CHECK(site.store->known_ended(ids[0]));
    CHECK(site.store->known_ended(ids[2]));
    for (const auto& id : ids)
        if (id != ids[0] && id != ids[2]) CHECK_FALSE(site.store->known_ended(id));
}

SCENARIO("a disk that hangs is an answer in time, and logins wait for it", "[lmdb][crash]") {
    const TemporaryFolder folder;
    const FakeClock clock;
    auto settings = LmdbSite::patient();
    settings.store_timeout = 50ms;
    LmdbSite site{folder / "sessions", clock, settings};
    const auto old = site.start("alice"), other = site.start("alice");
    while (!site.end(SessionId::create({"nobody", ""}))) {
    }
    // Whoever is in a transaction holds up all others.
    Child in_the_way{[&](int pipe) {
        MDB_env* env = nullptr;
        MDB_txn* txn = nullptr;
        if (mdb_env_create(&env) == 0 && mdb_env_open(env, (folder / "sessions").c_str(), 0, 0600) == 0 &&
            mdb_txn_begin(env, nullptr, 0, &txn) == 0)
            tell(pipe, "holding");
        ::pause();
    }};
    REQUIRE(in_the_way.told() == "holding");

    CHECK(site.end(old.id).error() == SessionErrc::unavailable);
    CHECK(site.present(other.id).has_value());
    // A tenth of a second later logins are not taken on credit any more. Those until then are.
    const auto deadline = Clock::now() + 1min;
    std::size_t on_credit = 0;
    while (site.try_start({.user = {"bob", ""}}) && Clock::now() < deadline) ++on_credit;
    CHECK(site.try_start({.user = {"bob", ""}}).error() == SessionErrc::unavailable);
    CHECK(site.list({.user = "bob"}).size() == std::min<std::size_t>(on_credit, 1000));

    in_the_way.end();
    while (!site.end(old.id)) {
    }
    CHECK(site.try_start({.user = {"carol", ""}}).has_value());
    CHECK(site.ping().has_value());
}
