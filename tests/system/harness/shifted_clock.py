"""A clock that is wrong, for one process."""

import pathlib

from harness.preloaded import preloaded

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


def shifted_clock(seconds: int, folder: pathlib.Path) -> dict[str, str]:
    """The environment of a process whose clock shall be ahead by so many seconds (behind, if negative)."""
    if not seconds:
        return {}
    return preloaded(SOURCE, folder / "clock.so", SHIFT=seconds)
