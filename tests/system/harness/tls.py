"""Visits over TLS that look at the handshake itself, and at what it was resumed from."""

import _ssl
import ctypes
import socket
import ssl
import struct
from dataclasses import dataclass

from harness import http1
from harness.client import connect
from harness.deadlines import PATIENCE

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass
class Visit:
    response: http1.Response
    resumed: bool
    ticket: ssl.SSLSession  # for the next visit of the same visitor
    common_name: str        # of the gateway's certificate


def refused(attempt) -> bool:
    """Whether the gateway ends the handshake, or, as TLS 1.3 may have it, whatever is read behind it."""
    try:
        attempt()
    except (OSError, http1.Closed):
        return True
    return False


class Visitor:
    """A client that may resume its sessions: all of its visits share what TLS remembers."""

    def __init__(self, trust=None, version: ssl.TLSVersion | None = None, certificate=None):
        """@param trust  the authorities' file; none: whatever is shown. @param certificate  the client's own"""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_REQUIRED if trust else ssl.CERT_NONE
        if trust:
            self.context.load_verify_locations(str(trust))
        if version:
            self.context.minimum_version = self.context.maximum_version = version
        if certificate:
            self.context.load_cert_chain(certificate.cert, certificate.key)

    def __call__(self, site, server_name: str | None, host: str | None = None, ticket=None, target: str = "/public/x",
                 headers=None, listener: int = 0) -> Visit:
        """Sends one request. @param server_name  for SNI; none: without. @param host  another than that name"""
        sock = connect(site.gateway.endpoint(listener))
        with self.context.wrap_socket(sock, server_hostname=server_name, session=ticket) as tls:
            tls.sendall(http1.request_bytes("GET", target, headers, host=host or server_name or "unknown.test"))
            response = http1.read_response(http1.Reader(tls))  # TLS 1.3 sends its tickets before
            shown = tls.getpeercert() if self.context.verify_mode == ssl.CERT_REQUIRED else None
            names = dict(pair for names in (shown or {}).get("subject", ()) for pair in names)
            return Visit(response, tls.session_reused, tls.session, names.get("commonName", ""))


_pointer, _bytes, _int = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_openssl = ctypes.CDLL(_ssl.__file__)  # the library that Python itself uses
for _name, (_result, *_arguments) in {
        "TLS_client_method": [_pointer], "SSL_CTX_new": [_pointer, _pointer], "SSL_CTX_free": [None, _pointer],
        "SSL_new": [_pointer, _pointer], "SSL_free": [None, _pointer], "SSL_set_fd": [_int, _pointer, _int],
        "SSL_connect": [_int, _pointer], "SSL_do_handshake": [_int, _pointer], "SSL_key_update": [_int, _pointer, _int],
        "SSL_write": [_int, _pointer, _bytes, _int], "SSL_read": [_int, _pointer, _bytes, _int]}.items():
    getattr(_openssl, _name).restype, getattr(_openssl, _name).argtypes = _result, _arguments


class KeyUpdater:
    """A client of TLS 1.3 that can renew its keys at any time, and have the gateway renew its own (RFC 8446 section
    4.6.3), for which Python's ssl has no call. Every call fails after PATIENCE seconds."""

    def __init__(self, address: tuple[str, int]):
        self.sock = connect(address)
        self.sock.setblocking(True)
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            self.sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(PATIENCE), 0))
        self._context = _openssl.SSL_CTX_new(_openssl.TLS_client_method())
        self._ssl = _openssl.SSL_new(self._context)
        assert _openssl.SSL_set_fd(self._ssl, self.sock.fileno()) == 1
        assert _openssl.SSL_connect(self._ssl) == 1
        self.reader = http1.Reader(self)

    def update(self) -> bool:
        """Renews the keys of both; does not wait for the gateway's. @return false: it has closed, or takes no more"""
        return _openssl.SSL_key_update(self._ssl, 1) == 1 and _openssl.SSL_do_handshake(self._ssl) == 1

    def update_times(self, times: int) -> None:
        """As often, as long as the gateway does not close."""
        while times and self.update():
            times -= 1

    def send(self, data: bytes) -> None:
        assert _openssl.SSL_write(self._ssl, data, len(data)) == len(data)

    def recv(self, most: int) -> bytes:
        """As a socket's, for http1.Reader."""
        piece = ctypes.create_string_buffer(most)
        size = _openssl.SSL_read(self._ssl, piece, most)
        return piece.raw[:max(size, 0)]

    def get(self, target: str) -> http1.Response:
        self.send(http1.request_bytes("GET", target))
        return http1.read_response(self.reader)

    def __enter__(self) -> "KeyUpdater":
        return self

    def __exit__(self, *_) -> None:
        _openssl.SSL_free(self._ssl)
        _openssl.SSL_CTX_free(self._context)
        self.sock.close()
