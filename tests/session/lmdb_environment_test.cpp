#include "session/lmdb_environment.hpp"

#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "lmdb_site.hpp"

using namespace rotagate::session;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

std::string refusal(const fs::path& folder) {
    try {
        LmdbEnvironment{folder}.load();
        return "none";
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

fs::perms mode_of(const fs::path& path) { return fs::status(path).permissions(); }

std::string content_of(const fs::path& file) {
    std::ostringstream bytes;
    bytes << std::ifstream(file, std::ios::binary).rdbuf();
    return bytes.str();
}

/// Writes a value past the store's own code.
void write_raw(const fs::path& folder, const char* database, std::string key, std::string value) {
    MDB_env* env = nullptr;
    MDB_txn* txn = nullptr;
    MDB_dbi dbi = 0;
    REQUIRE(mdb_env_create(&env) == 0);
    REQUIRE(mdb_env_set_maxdbs(env, 3) == 0);
    REQUIRE(mdb_env_open(env, folder.c_str(), 0, 0600) == 0);
    REQUIRE(mdb_txn_begin(env, nullptr, 0, &txn) == 0);
    REQUIRE(mdb_dbi_open(txn, database, MDB_CREATE, &dbi) == 0);
    MDB_val k{key.size(), key.data()}, v{value.size(), value.data()};
    REQUIRE(mdb_put(txn, dbi, &k, &v, 0) == 0);
    REQUIRE(mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
}

}  // namespace

SCENARIO("the folder and its files are for one user only", "[lmdb]") {
    const TemporaryFolder folder;
    const auto path = folder / "var" / "sessions";
    { const LmdbEnvironment environment{path}; }
    CHECK(mode_of(path) == fs::perms::owner_all);
    for (const auto* name : {"data.mdb", "lock.mdb", "rotagate.lock"})
        CHECK(mode_of(path / name) == (fs::perms::owner_read | fs::perms::owner_write));
    fs::permissions(path / "data.mdb", fs::perms::others_read, fs::perm_options::add);
    CHECK(refusal(path) == "session store " + path.string() +
                               ": every user of this machine can get at the sessions in data.mdb; run chmod 600 " +
                               (path / "data.mdb").string());
}

SCENARIO("a folder that cannot be used is refused with the cure", "[lmdb]") {
    const TemporaryFolder folder;
    std::ofstream(folder / "file") << "text";
    CHECK_THAT(refusal(folder / "file"), Contains("this is not a folder; name a folder in session.store"));
    CHECK_THAT(refusal(folder / "file" / "sessions"), Contains("the folder cannot be created (Not a directory)"));
    if (::geteuid() != 0) {
        fs::create_directory(folder / "locked");
        fs::permissions(folder / "locked", fs::perms::owner_read | fs::perms::owner_exec);
        CHECK_THAT(refusal(folder / "locked"), Contains("the folder cannot be written (Permission denied); let the"));
        CHECK_THAT(refusal(folder / "locked" / "sessions"), Contains("cannot be created (Permission denied); let the"));
    }
}

SCENARIO("two gateways cannot share a folder", "[lmdb]") {
    const TemporaryFolder folder;
    {
        const LmdbEnvironment first{folder / "sessions"};
        CHECK(refusal(folder / "sessions") == "session store " + (folder / "sessions").string() +
                                                  ": another gateway uses it (process " + std::to_string(::getpid()) +
                                                  "); stop that one, or give this one a folder of its own");
    }
    CHECK(refusal(folder / "sessions") == "none");
}

SCENARIO("what another version or another program wrote is refused, and left alone", "[lmdb]") {
    const TemporaryFolder folder;
    const auto path = folder / "sessions";
    { const LmdbEnvironment environment{path}; }
    write_raw(path, "meta", "format", "2");
    auto before = content_of(path / "data.mdb");
    CHECK_THAT(refusal(path), Contains("data.mdb has the format '2', this version of rotagate reads '1'; run the "
                                       "version that wrote it, or move data.mdb away to start without sessions"));
    CHECK(content_of(path / "data.mdb") == before);

    const auto foreign = folder / "foreign";
    fs::create_directory(foreign);
    write_raw(foreign, "phonebook", "alice", "12345");
    before = content_of(foreign / "data.mdb");
    CHECK_THAT(refusal(foreign), Contains("data.mdb is another program's; name an empty folder in session.store"));
    CHECK(content_of(foreign / "data.mdb") == before);

    std::ofstream(foreign / "data.mdb", std::ios::trunc) << std::string(10'000, 'x');
    CHECK_THAT(refusal(foreign), Contains("data.mdb is damaged: MDB_INVALID: File is not an LMDB file; put back"));
}

SCENARIO("damage to the data is noticed", "[lmdb]") {
    const TemporaryFolder folder;
    const auto path = folder / "sessions";
    const FakeClock clock;
    std::vector<SessionId> ids;
    {
        LmdbSite site{path, clock};
        for (int i = 0; i < 300; ++i)
            ids.push_back(site.start("alice", {.data = R"({"cart":3})", .client = "192.0.2.7"}).id);
    }
    REQUIRE(refusal(path) == "none");
    auto bytes = content_of(path / "data.mdb");
    const auto write = [&] { std::ofstream(path / "data.mdb", std::ios::binary | std::ios::trunc) << bytes; };

    GIVEN("a changed byte in a session") {
        for (auto at = bytes.find("192.0.2.7"); at != std::string::npos; at = bytes.find("192.0.2.7", at + 1))
            bytes[at] = '8';
        write();
        CHECK(refusal(path) == "session store " + path.string() +
                                   ": data.mdb is damaged: a session in it cannot be read; put back a copy of "
                                   "it, or move it away to start without sessions");
    }
    GIVEN("a file that was cut") {
        int noticed = 0;
        for (auto pages = bytes.size() / 4096 - 1; pages >= 2; --pages) {
            bytes.resize(pages * 4096);
            write();
            const auto why = refusal(path);
            if (why == "none") continue;  // only pages without a use are missing
            CHECK_THAT(why, Contains("data.mdb is damaged: "));
            ++noticed;
        }
        CHECK(noticed > 10);
    }
    GIVEN("a session without its state") {
        write_raw(path, "sessions", "stray", "bytes");
        CHECK_THAT(refusal(path), Contains("data.mdb is damaged: a session in it cannot be read"));
    }
    GIVEN("a state without its session") {
        write_raw(path, "states", "stray", "bytes");
        CHECK_THAT(refusal(path), Contains("data.mdb is damaged: sessions are missing"));
    }
}

SCENARIO("the database grows with the sessions", "[lmdb]") {
    const TemporaryFolder folder;
    rotagate::config::Session settings;
    MemoryStore sessions{settings};
    LmdbEnvironment environment{folder / "sessions", std::size_t{256} * 1024};
    sessions.restore({});
    for (int i = 0; i < 20'000; ++i) sessions.start({.user = {"alice" + std::to_string(i), ""}}, [](auto) {});
    LmdbBatch batch;
    sessions.take_changes(true, batch);
    CHECK(batch.changes().size() == 20'000);
    environment.write(batch, sessions.now());
    CHECK(batch.changes().empty());
    CHECK(environment.load().sessions.size() == 20'000);
}
