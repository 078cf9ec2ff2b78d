"""The client's end of a conversation: with the app itself, and through the gateway over HTTP/1.1 and HTTP/2."""

import ssl

from harness import http1
from harness.client import RawClient
from harness.websocket import CLOSE, connect_fields, offer


def frames_of(data: bytes):
    """The whole frames, without masks, that these bytes begin with: opcode, final, reserved bits, payload."""
    at = 0
    while (frame_end := end_of_frame(data, at)) is not None:
        begin, end = frame_end
        yield data[at] & 0x0F, bool(data[at] & 0x80), data[at] >> 4 & 7, bytes(data[begin:end])
        at = end


def end_of_frame(data, at: int) -> tuple[int, int] | None:
    """Where the payload of the frame at `at` begins and ends; none if it has not come as a whole."""
    if len(data) < at + 2:
        return None
    short = data[at + 1] & 0x7F
    begin = at + 2 + {126: 2, 127: 8}.get(short, 0)
    if len(data) < begin:
        return None
    end = begin + (int.from_bytes(data[at + 2:begin], "big") if short > 125 else short)
    return (begin, end) if len(data) >= end else None


class Arrived:
    """What the app has said so far. `frames` are whole, `closed` once a close is among them."""

    def __init__(self):
        self.data = bytearray()
        self.frames, self.closed = 0, False
        self._at = 0

    def take(self, piece: bytes) -> None:
        self.data += piece
        while (found := end_of_frame(self.data, self._at)) is not None:
            self.closed |= self.data[self._at] & 0x0F == CLOSE
            self.frames += 1
            self._at = found[1]


class StrictReader(http1.Reader):
    """Tells an end in good order from others: a reset, or TLS without its close_notify."""

    in_order = True

    def _more(self) -> bool:
        try:
            piece = self.sock.recv(http1.PIECE)
        except (ConnectionResetError, ssl.SSLEOFError):
            self.in_order, piece = False, b""
        self._buffer += piece
        return bool(piece)


class OverSocket:
    """The client's end on a connection of its own. @param raw  to the gateway, or to the app itself"""

    def __init__(self, raw: RawClient, target: str, headers: dict):
        self._raw, self.arrived = raw, Arrived()
        self._tls, self._over = isinstance(raw.sock, ssl.SSLSocket), False
        if self._tls:
            raw.sock.suppress_ragged_eofs = False
        raw.reader = StrictReader(raw.sock)
        raw.send(http1.request_bytes("GET", target, offer(headers)))
        self.response = http1.read_response_head(raw.reader)
        assert self.response.status == 101, self.response

    def send(self, data: bytes) -> None:
        self._raw.send_and_listen(data)

    def wait(self, condition) -> None:
        """Until it is so, or the other end has ended."""
        while not self._over and not condition():
            piece = self._raw.reader.some()
            self.arrived.take(piece)
            self._over = not piece

    def finish(self) -> None:
        """Says that nothing more will come. By TLS it waits for the other end's word, before which no byte may come."""
        if self._tls:
            self._raw.sock = self._raw.sock.unwrap()
            self._over = True
        else:
            self._raw.finish_sending()

    def ends_in_order(self) -> bool:
        self.wait(lambda: False)
        return self._raw.reader.in_order

    def close(self) -> None:
        self._raw.close()


class OverHttp2:
    """The client's end on a stream. @param connection  harness.http2.Http2Client"""

    def __init__(self, connection, target: str, headers: dict):
        self._connection, self.arrived = connection, Arrived()
        self._stream = connection.open_fields(connect_fields(target, headers), end=False)
        self._answer = connection.answer(self._stream)
        connection.sink[self._stream] = self.arrived.take
        self.response = connection.read_head(self._stream)
        assert self.response.status == 200, self.response

    def send(self, data: bytes) -> None:
        self._connection.send_body(self._stream, data)

    def wait(self, condition) -> None:
        self._connection.pump_until(lambda: condition() or self._answer.over)

    def finish(self) -> None:
        self._connection.send_body(self._stream, b"", end=True)

    def ends_in_order(self) -> bool:
        self.wait(lambda: False)
        return self._answer.ended and self._answer.reset in (None, 0)

    def close(self) -> None:
        self._connection.close()


def _endpoint(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


WAYS = {
    "directly": lambda site, *request: OverSocket(RawClient(_endpoint(site.app.address)), *request),
    "over HTTP/1.1": lambda site, *request: OverSocket(site.client(), *request),
    "over HTTP/2": lambda site, *request: OverHttp2(site.http2(), *request),
}
