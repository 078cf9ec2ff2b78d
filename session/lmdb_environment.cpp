#include "session/lmdb_environment.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>
#include <utility>

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace rotagate::session {
namespace {

constexpr std::string_view format = "1";

void check(int code) {
    if (code != MDB_SUCCESS) throw LmdbError{code};
}

MDB_val value_of(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }
std::string_view text_of(const MDB_val& value) { return {static_cast<const char*>(value.mv_data), value.mv_size}; }

std::runtime_error damaged(const std::filesystem::path& folder, const std::string& what) {
    return cannot_open(folder, "data.mdb is damaged: " + what,
                       "put back a copy of it, or move it away to start without sessions");
}

}  // namespace

LmdbError::LmdbError(int code_) : std::runtime_error(mdb_strerror(code_)), code(code_) {}

bool LmdbError::means_damage() const {
    return code == MDB_INVALID || code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_VERSION_MISMATCH;
}

/// Aborts at its end unless it was committed.
class LmdbEnvironment::Transaction {
public:
    Transaction(MDB_env* env, unsigned flags) { check(mdb_txn_begin(env, nullptr, flags, &txn_)); }
    ~Transaction() { mdb_txn_abort(txn_); }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    void commit() { check(mdb_txn_commit(std::exchange(txn_, nullptr))); }

    MDB_dbi open(const char* name, unsigned flags) {
        MDB_dbi dbi = 0;
        check(mdb_dbi_open(txn_, name, flags, &dbi));
        return dbi;
    }
    std::size_t size(MDB_dbi dbi) {
        MDB_stat stat;
        check(mdb_stat(txn_, dbi, &stat));
        return stat.ms_entries;
    }
    /// Empty, where there is none.
    std::string_view get(MDB_dbi dbi, std::string_view key) {
        MDB_val k = value_of(key), value{};
        const int code = mdb_get(txn_, dbi, &k, &value);
        if (code != MDB_NOTFOUND) check(code);
        return text_of(value);
    }
    void put(MDB_dbi dbi, std::string_view key, std::string_view text) {
        MDB_val k = value_of(key), value = value_of(text);
        check(mdb_put(txn_, dbi, &k, &value, 0));
    }
    void remove(MDB_dbi dbi, std::string_view key) {
        MDB_val k = value_of(key);
        const int code = mdb_del(txn_, dbi, &k, nullptr);
        if (code != MDB_NOTFOUND) check(code);
    }
    /// Calls visit(key, value) for all, in the order of the keys.
    template <class Visit>
    void for_each(MDB_dbi dbi, Visit visit) {
        MDB_cursor* opened = nullptr;
        check(mdb_cursor_open(txn_, dbi, &opened));
        const std::unique_ptr<MDB_cursor, decltype(&mdb_cursor_close)> cursor{opened, &mdb_cursor_close};
        MDB_val key, value;
        int code = MDB_SUCCESS;
        while ((code = mdb_cursor_get(opened, &key, &value, MDB_NEXT)) == MDB_SUCCESS)
            visit(text_of(key), text_of(value));
        if (code != MDB_NOTFOUND) check(code);
    }

private:
    MDB_txn* txn_ = nullptr;
};

LmdbEnvironment::LmdbEnvironment(const std::filesystem::path& folder, std::size_t map_size)
    : folder_(folder), map_size_(map_size) {
    try {
        open();
    } catch (const LmdbError& error) {
        if (error.means_damage()) throw damaged(folder_.path(), error.what());
        throw cannot_open(folder_.path(), std::string("its files cannot be opened (") + error.what() + ")",
                          error.code == EACCES || error.code == EPERM
                              ? "let the user that runs rotagate read and write them"
                              : "see whether its disk is full or broken");
    }
}

void LmdbEnvironment::open() {
    try {
        open_files();
        create_databases();
    } catch (...) {
        env_.reset();
        throw;
    }
}

void LmdbEnvironment::open_files() {
    MDB_env* env = nullptr;
    check(mdb_env_create(&env));
    env_.reset(env);
    check(mdb_env_set_maxdbs(env, 3));
    check(mdb_env_set_mapsize(env, map_size_));  // a larger database keeps what it has
    // Its own locks are for mdb_copy and mdb_stat beside the gateway.
    check(mdb_env_open(env, folder_.path().c_str(), MDB_NOTLS, S_IRUSR | S_IWUSR));
    fill_cut_file();
    int dead = 0;
    check(mdb_reader_check(env, &dead));  // readers that were killed would keep old pages for ever
}

/// A file that ends before its last page reads as zeros behind its end, which is an error; reading there without this
/// would kill the process. Pages that were never written may lack at the end of a good file.
void LmdbEnvironment::fill_cut_file() const {
    MDB_envinfo info;
    MDB_stat stat;
    check(mdb_env_info(env_.get(), &info));
    check(mdb_env_stat(env_.get(), &stat));
    const auto needed = static_cast<off_t>((info.me_last_pgno + 1) * stat.ms_psize);
    struct stat status {};
    if (::stat(folder_.data_file().c_str(), &status) != 0) throw LmdbError{errno};
    if (status.st_size < needed && ::truncate(folder_.data_file().c_str(), needed) != 0) throw LmdbError{errno};
}

void LmdbEnvironment::create_databases() {
    Transaction txn{env_.get(), 0};
    const bool fresh = txn.size(txn.open(nullptr, 0)) == 0;
    meta_ = txn.open("meta", MDB_CREATE);
    sessions_ = txn.open("sessions", MDB_CREATE);
    states_ = txn.open("states", MDB_CREATE);
    const std::string found{txn.get(meta_, "format")};
    if (fresh) txn.put(meta_, "format", format);
    if (!fresh && found.empty())
        throw cannot_open(folder_.path(), "data.mdb is another program's", "name an empty folder in session.store");
    if (!fresh && found != format)
        throw cannot_open(
            folder_.path(),
            "data.mdb has the format '" + found + "', this version of rotagate reads '" + std::string{format} + "'",
            "run the version that wrote it, or move data.mdb away to start without sessions");
    txn.commit();
}

LmdbEnvironment::Contents LmdbEnvironment::load() {
    try {
        Contents contents;
        Transaction txn{env_.get(), MDB_RDONLY};
        const std::string_view clock = txn.get(meta_, "clock");
        std::int64_t time = 0;
        std::from_chars(clock.data(), clock.data() + clock.size(), time);
        contents.clock = Millis{time};
        contents.sessions.reserve(txn.size(sessions_));
        txn.for_each(sessions_, [&](std::string_view key, std::string_view session) {
            auto kept = decode(key, session, txn.get(states_, key));
            if (!kept) throw damaged(folder_.path(), "a session in it cannot be read");
            contents.sessions.push_back(std::move(*kept));
        });
        if (contents.sessions.size() != txn.size(sessions_) || contents.sessions.size() != txn.size(states_))
            throw damaged(folder_.path(), "sessions are missing");
        return contents;
    } catch (const LmdbError& error) {
        throw damaged(folder_.path(), error.what());
    }
}

void LmdbEnvironment::write(LmdbBatch& batch, Millis clock) {
    if (!env_) open();
    try {
        while (!batch.changes().empty()) write_some(batch, clock);
    } catch (const LmdbError& error) {
        // LMDB works no more once it could not write its root. What was committed is safe: open it afresh.
        if (error.code == MDB_PANIC) env_.reset();
        // What a full disk takes of a write is less than all of it, and an I/O error to LMDB.
        if (error.code == EIO && disk_is_full()) throw LmdbError{ENOSPC};
        throw;
    }
}

bool LmdbEnvironment::disk_is_full() const {
    constexpr std::uint64_t hardly_anything = 1 << 20;
    struct statvfs status {};
    return ::statvfs(folder_.path().c_str(), &status) == 0 && status.f_bavail * status.f_frsize < hardly_anything;
}

void LmdbEnvironment::write_some(LmdbBatch& batch, Millis clock) {
    constexpr std::size_t at_a_time = 10'000;  // LMDB keeps the pages of a transaction in memory
    const auto begin = batch.changes().begin();
    const auto end = std::next(begin, static_cast<std::ptrdiff_t>(std::min(at_a_time, batch.changes().size())));
    try {
        Transaction txn{env_.get(), 0};
        for (auto it = begin; it != end; ++it) {
            const auto& [key, change] = *it;
            if (change.ended) {
                txn.remove(sessions_, key);
                txn.remove(states_, key);
                continue;
            }
            if (change.session) txn.put(sessions_, key, *change.session);
            if (change.state) txn.put(states_, key, *change.state);
        }
        txn.put(meta_, "clock", std::to_string(clock.count()));
        txn.commit();
    } catch (const LmdbError& error) {
        if (error.code != MDB_MAP_FULL) throw;
        grow();
        return;
    }
    batch.changes().erase(begin, end);
}

void LmdbEnvironment::grow() {
    MDB_envinfo info;
    check(mdb_env_info(env_.get(), &info));
    const std::size_t wanted = 2 * info.me_mapsize;
    const int code = mdb_env_set_mapsize(env_.get(), wanted);
    if (code != MDB_SUCCESS) env_.reset();  // it has no map any more; opened afresh, it has the one from before
    check(code);
    map_size_ = wanted;
}

}  // namespace rotagate::session
