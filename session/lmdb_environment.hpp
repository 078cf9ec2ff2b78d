#pragma once

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <vector>

#include <lmdb.h>

#include "session/lmdb_batch.hpp"
#include "session/lmdb_folder.hpp"

namespace rotagate::session {

/// What LMDB, or the system below it, could not do.
struct LmdbError : std::runtime_error {
    explicit LmdbError(int code_);
    /// Whether what is on the disk cannot be what LMDB wrote.
    bool means_damage() const;

    int code;  ///< MDB_*, or errno
};

/// The databases of a store on disk. One thread at a time.
class LmdbEnvironment {
public:
    static constexpr std::size_t first_map_size = std::size_t{1} << 30;

    /// Opens or creates them. Throws std::runtime_error with what is wrong and the cure.
    /// @param map_size  bytes of address space (not of disk) to begin with; doubled when they are full
    explicit LmdbEnvironment(const std::filesystem::path& folder, std::size_t map_size = first_map_size);

    struct Contents {
        std::vector<KeptSession> sessions;
        Millis clock{};  ///< the latest time that was written
    };
    /// Reads all. Throws std::runtime_error, where what is there cannot be what was written.
    Contents load();

    /// Writes changes, in transactions that are on the disk when they have ended, and takes from the batch what is
    /// written. Throws LmdbError: what is left in the batch has not changed anything.
    void write(LmdbBatch& batch, Millis clock);

    const std::filesystem::path& folder() const { return folder_.path(); }

private:
    class Transaction;
    struct Close {
        void operator()(MDB_env* env) const { mdb_env_close(env); }
    };

    void open();
    void open_files();
    void create_databases();
    void fill_cut_file() const;
    bool disk_is_full() const;
    void write_some(LmdbBatch& batch, Millis clock);
    void grow();

    LmdbFolder folder_;
    std::size_t map_size_;
    std::unique_ptr<MDB_env, Close> env_;
    MDB_dbi meta_ = 0, sessions_ = 0, states_ = 0;
};

}  // namespace rotagate::session
