// What a full disk and a disk that hangs may do to the store on disk, and what not.
#include <algorithm>
#include <csignal>
#include <sstream>

#include <catch2/catch.hpp>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include "child_process.hpp"
#include "lmdb_site.hpp"

using namespace rotagate::session;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

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
            const FullDisk full{std::filesystem::file_size(folder / "sessions" / "data.mdb") +
                                std::uintmax_t{64} * 1024};
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
