#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

namespace rotagate::session {

/// Why the store in a folder cannot be opened: "session store FOLDER: what; cure".
std::runtime_error cannot_open(const std::filesystem::path& folder, const std::string& what, const std::string& cure);

/// The folder of a store on disk, for this process alone while the object lives.
class LmdbFolder {
public:
    /// Creates it where it is not there, mode 0700. Throws std::runtime_error, where it cannot be created or written,
    /// where others may read the sessions in it, or where another process has it.
    explicit LmdbFolder(std::filesystem::path path);
    ~LmdbFolder();
    LmdbFolder(const LmdbFolder&) = delete;
    LmdbFolder& operator=(const LmdbFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    /// Where LMDB keeps the data.
    std::filesystem::path data_file() const { return path_ / "data.mdb"; }

private:
    void create() const;
    void refuse_readable_by_others() const;
    void lock();

    std::filesystem::path path_;
    int lock_ = -1;
};

}  // namespace rotagate::session
