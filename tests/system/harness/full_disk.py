"""A disk that fills up and is cleared, for one process: what only root could do to a real one."""

import pathlib

from harness.preloaded import preloaded

# LMDB writes by pwrite() and writev() only, and nothing else of the gateway does. As on a full disk, what has its place
# may be written over; of what needs more, that part is written for which there is a place.
SOURCE = r"""
#include <cerrno>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
namespace {
bool full() { return syscall(SYS_access, SIGN, F_OK) == 0; }

/// How many of the bytes have a place in the file.
off_t room(int file, off_t at, off_t bytes) {
    struct stat status {};
    if (at < 0 || !full() || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return bytes;
    return at + bytes <= status.st_size ? bytes : status.st_size > at ? status.st_size - at : 0;
}

ssize_t no_space() {
    errno = ENOSPC;
    return -1;
}
}  // namespace

extern "C" ssize_t pwrite(int file, const void* data, size_t bytes, off_t at) {
    const off_t fits = room(file, at, static_cast<off_t>(bytes));
    return fits == 0 && bytes > 0 ? no_space() : syscall(SYS_pwrite64, file, data, fits, at);
}
extern "C" ssize_t writev(int file, const iovec* pieces, int count) {
    const int before = errno;
    const off_t at = syscall(SYS_lseek, file, 0, SEEK_CUR);  // fails for what is no file
    errno = before;
    off_t bytes = 0;
    for (int i = 0; i < count; ++i) bytes += static_cast<off_t>(pieces[i].iov_len);
    off_t fits = room(file, at, bytes);
    if (fits == bytes) return syscall(SYS_writev, file, pieces, count);
    off_t written = 0;
    for (; count > 0 && fits > 0; ++pieces, --count) {
        const off_t part = static_cast<off_t>(pieces->iov_len) < fits ? static_cast<off_t>(pieces->iov_len) : fits;
        written += syscall(SYS_write, file, pieces->iov_base, part);
        fits -= part;
    }
    return written > 0 ? written : no_space();
}
extern "C" int statvfs64(const char*, struct statvfs64* status) {
    *status = {};
    status->f_bsize = status->f_frsize = 4096;
    status->f_blocks = 1 << 20;
    status->f_bfree = status->f_bavail = full() ? 0 : 1 << 19;
    return 0;
}
"""


class FullDisk:
    """Has room at first."""

    def __init__(self, folder: pathlib.Path):
        self._sign = folder / "disk-is-full"
        self.environment = preloaded(SOURCE, folder / "full_disk.so", SIGN=f'"{self._sign}"')

    def fill(self) -> None:
        self._sign.touch()

    def clear(self) -> None:
        self._sign.unlink()
