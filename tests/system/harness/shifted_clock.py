"""A clock that is wrong, for one process: a library that is loaded before the system's own."""

import functools
import pathlib
import subprocess
import tempfile

# Straight system calls: nothing is allocated, so that it gets along with Redis' own allocator.
SOURCE = r"""
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
    const auto result = static_cast<int>(syscall(SYS_clock_gettime, clock, now));
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += SHIFT;
    return result;
}
extern "C" int gettimeofday(timeval* now, void*) noexcept {
    timespec precise{};
    const int result = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return result;
}
extern "C" time_t time(time_t* seconds) noexcept {
    timespec precise{};
    clock_gettime(CLOCK_REALTIME, &precise);
    if (seconds) *seconds = precise.tv_sec;
    return precise.tv_sec;
}
"""


@functools.cache
def _library(shift: int) -> pathlib.Path:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rotagate-clock-"))
    library = folder / "clock.so"
    subprocess.run(["g++", "-shared", "-fPIC", "-O1", f"-DSHIFT={shift}", "-x", "c++", "-", "-o", library], check=True,
                   input=SOURCE, text=True, capture_output=True)
    return library


def shifted_clock(seconds: int) -> dict[str, str]:
    """The environment of a process whose clock shall be ahead by so many seconds (behind, if negative)."""
    return {"LD_PRELOAD": str(_library(seconds))} if seconds else {}
