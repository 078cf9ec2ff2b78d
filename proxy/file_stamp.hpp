#pragma once

#include <filesystem>

#include <sys/stat.h>

namespace rotagate::proxy {

/// What changes when a file is written or replaced. A file that is not there has one too.
struct FileStamp {
    ino_t inode = 0;
    off_t size = 0;
    time_t seconds = 0;
    long nanoseconds = 0;

    static FileStamp of(const std::filesystem::path& file) {
        struct stat status {};
        if (::stat(file.c_str(), &status) != 0) return {};
        return {status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    }
    bool operator==(const FileStamp&) const = default;
};

}  // namespace rotagate::proxy
