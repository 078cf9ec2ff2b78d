"""Clients that take nothing more of what a gateway sends: as if the kernel's buffers on the way to them were full."""

import pathlib

from harness.preloaded import preloaded

# The sign has the port of the listener whose clients are meant.
SOURCE = r"""
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
namespace {
bool full(int socket) {
    char port[8] = {};
    const int before = errno;
    const int sign = static_cast<int>(syscall(SYS_open, SIGN, O_RDONLY));
    const bool there = sign >= 0 && syscall(SYS_read, sign, port, sizeof port - 1) > 0;
    if (sign >= 0) syscall(SYS_close, sign);
    sockaddr_in own{};
    socklen_t size = sizeof own;
    const bool known = there && syscall(SYS_getsockname, socket, &own, &size) == 0 && own.sin_family == AF_INET;
    errno = before;
    if (!known || ntohs(own.sin_port) != atoi(port)) return false;
    errno = EAGAIN;
    return true;
}
}  // namespace

extern "C" ssize_t send(int socket, const void* data, size_t bytes, int flags) {
    return full(socket) ? -1 : syscall(SYS_sendto, socket, data, bytes, flags, nullptr, 0);
}
extern "C" ssize_t sendmsg(int socket, const msghdr* message, int flags) {
    return full(socket) ? -1 : syscall(SYS_sendmsg, socket, message, flags);
}
"""


class FullSendBuffers:
    """Everything gets through until then."""

    def __init__(self, folder: pathlib.Path):
        self._sign = folder / "send-buffers-are-full"
        self.environment = preloaded(SOURCE, folder / "full_send_buffers.so", SIGN=f'"{self._sign}"')

    def fill(self, address: tuple[str, int]) -> None:
        """Those of all clients of that listener."""
        self._sign.write_text(str(address[1]))

    def clear(self) -> None:
        """The kernel does not know of it: it tells the gateway when something comes from the client next."""
        self._sign.unlink()
