#include "session/lmdb_folder.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rotagate::session {
namespace {

std::string because(int error) { return std::string(" (") + std::strerror(error) + ")"; }

/// Who holds the lock, as it wrote itself into the file.
std::string holder(int lock) {
    char text[20];
    const ssize_t size = ::pread(lock, text, sizeof text, 0);
    return size > 0 ? " (process " + std::string(text, static_cast<std::size_t>(size)) + ")" : "";
}

}  // namespace

std::runtime_error cannot_open(const std::filesystem::path& folder, const std::string& what, const std::string& cure) {
    return std::runtime_error("session store " + folder.string() + ": " + what + "; " + cure);
}

LmdbFolder::LmdbFolder(std::filesystem::path path) : path_(std::move(path)) {
    create();
    refuse_readable_by_others();
    lock();
}

LmdbFolder::~LmdbFolder() { ::close(lock_); }

void LmdbFolder::create() const {
    const std::string cure = "let the user that runs rotagate write there, or name another folder in session.store";
    std::error_code error;
    std::filesystem::create_directories(path_.parent_path(), error);
    if (!error && ::mkdir(path_.c_str(), S_IRWXU) != 0 && errno != EEXIST) error.assign(errno, std::generic_category());
    if (error) throw cannot_open(path_, "the folder cannot be created" + because(error.value()), cure);
    if (!std::filesystem::is_directory(path_, error))
        throw cannot_open(path_, "this is not a folder", "name a folder in session.store");
    if (::access(path_.c_str(), R_OK | W_OK | X_OK) != 0)
        throw cannot_open(path_, "the folder cannot be written" + because(errno), cure);
}

void LmdbFolder::refuse_readable_by_others() const {
    struct stat status {};
    if (::stat(data_file().c_str(), &status) != 0 || (status.st_mode & S_IRWXO) == 0) return;
    throw cannot_open(path_, "every user of this machine can get at the sessions in data.mdb",
                      "run chmod 600 " + data_file().string());
}

void LmdbFolder::lock() {
    const auto file = path_ / "rotagate.lock";
    lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (lock_ < 0)
        throw cannot_open(path_, "rotagate.lock cannot be opened" + because(errno),
                          "let the user that runs rotagate write it");
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        const std::string who = error == EWOULDBLOCK ? "another gateway uses it" + holder(lock_)
                                                     : "rotagate.lock cannot be locked" + because(error);
        ::close(lock_);
        throw cannot_open(
            path_, who,
            error == EWOULDBLOCK ? "stop that one, or give this one a folder of its own" : "put it on a local disk");
    }
    // Only for the message above: on a full disk the lock holds without it.
    const std::string self = std::to_string(::getpid());
    if (::ftruncate(lock_, 0) == 0) static_cast<void>(!::pwrite(lock_, self.data(), self.size(), 0));
}

}  // namespace rotagate::session
