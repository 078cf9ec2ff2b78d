"""A client that sends bytes exactly as they are given, and reads answers strictly."""

import select
import socket
import ssl
import time

from harness import http1
from harness.deadlines import PATIENCE


def connect(address: tuple[str, int], patience: float = PATIENCE, receive_buffer: int = 0,
            source: str = "") -> socket.socket:
    sock = socket.socket()
    if source:
        sock.bind((source, 0))
    sock.settimeout(patience)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect(address)
    return sock


def tls_context(trust, server_name: str | None, certificate=None) -> ssl.SSLContext:
    """@param certificate  that the client shows when it is asked for one; none: none"""
    context = ssl.create_default_context(cafile=str(trust))
    context.check_hostname = server_name is not None
    if certificate:
        context.load_cert_chain(certificate.cert, certificate.key)
    return context


class RawClient:
    """One connection. Every read fails with TimeoutError after `patience` seconds without a byte."""

    def __init__(self, address: tuple[str, int], trust=None, server_name: str | None = "example.test",
                 patience: float = PATIENCE, receive_buffer: int = 0, certificate=None, ahead: bytes = b"", source: str = ""):
        """@param trust  the authorities' file; none: plain HTTP. @param server_name  for SNI; none: without SNI.
        @param certificate  the client's own. @param ahead  what goes ahead of TLS. @param source  the client's address"""
        self.sock = connect(address, patience, receive_buffer, source)
        self.sock.sendall(ahead)
        self.host = server_name or "example.test"
        if trust:
            context = tls_context(trust, server_name, certificate)
            context.set_alpn_protocols(["http/1.1"])
            self.sock = context.wrap_socket(self.sock, server_hostname=server_name)
        self.reader = http1.Reader(self.sock)

    def send(self, data: bytes) -> "RawClient":
        """A gateway that has closed meanwhile shows when the answer is read, not here."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            pass
        return self

    def send_and_listen(self, data: bytes) -> "RawClient":
        """Sends all while it keeps what arrives for the next read: in one thread, as two may not share a TLS socket."""
        patience, left = self.sock.gettimeout(), memoryview(data)
        self.sock.setblocking(False)
        try:
            while left:
                readable, writable, _ = select.select([self.sock], [self.sock], [], patience)
                if not readable and not writable:
                    raise TimeoutError(f"the gateway takes no more, with {len(left)} bytes to go")
                if readable:
                    self.reader.take_arrived()
                try:
                    left = left[self.sock.send(left):]
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    pass
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            pass
        finally:
            self.sock.settimeout(patience)
        return self

    def drip_until_answered(self, data: bytes, interval: float) -> None:
        """Sends `data` every `interval` seconds until the gateway answers or closes."""
        deadline = time.monotonic() + self.sock.gettimeout()
        while not select.select([self.sock], [], [], interval)[0]:
            assert time.monotonic() < deadline, "no answer"
            self.send(data)

    def read_response(self, to_head: bool = False) -> http1.Response:
        return http1.read_response(self.reader, to_head)

    def request(self, method: str, target: str, headers=None, body: bytes = b"", host: str | None = None):
        self.send(http1.request_bytes(method, target, headers, body, host or self.host))
        return self.read_response(to_head=method == "HEAD")

    def get(self, target: str, headers=None, host: str | None = None) -> http1.Response:
        return self.request("GET", target, headers, host=host)

    def read_until_close(self) -> bytes:
        """All bytes up to the end of the connection; TimeoutError if the gateway keeps it open."""
        return self.reader.until_close()

    def is_closed(self) -> bool:
        """Whether the gateway ends the connection now, without another byte."""
        try:
            return self.read_until_close() == b""
        except TimeoutError:
            return False

    def finish_sending(self) -> None:
        """Half-closes a plain connection."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Drops the connection the rude way, by RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_) -> None:
        self.close()
