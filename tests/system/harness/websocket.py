"""WebSockets by hand, at either end: any handshake, any frame (RFC 6455), over HTTP/1.1 and HTTP/2."""

import base64
import hashlib
import queue
import struct
import threading
from dataclasses import dataclass

from harness import http1
from harness.deadlines import PATIENCE
from harness.upstream import Exchange, RecordingUpstream

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GOING_AWAY, POLICY = 1001, 1008


def accept_of(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def offer(headers: dict | None = None) -> dict:
    """The fields of a good handshake, `headers` laid over them; None takes one away."""
    fields = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
              "Sec-WebSocket-Key": KEY} | (headers or {})
    return {name: value for name, value in fields.items() if value is not None}


def agreement(key: str, headers: dict | None = None) -> bytes:
    """The app's 101."""
    fields = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Accept": accept_of(key)} | (headers or {})
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines]).encode("latin-1") + b"\r\n\r\n"


def xored(payload: bytes, mask: bytes) -> bytes:
    """Masks, and takes the mask off again."""
    if not any(mask):
        return payload
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(pattern, "little")).to_bytes(size, "little")


def frame(opcode: int, payload: bytes = b"", masked: bool = False, final: bool = True, reserved: int = 0,
          mask: bytes = bytes(4)) -> bytes:
    """@param mask  by default the one that leaves all as it is"""
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    mask_bit, size = (0x80 if masked else 0), len(payload)
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 65536:
        head += struct.pack(">BH", mask_bit | 126, size)
    else:
        head += struct.pack(">BQ", mask_bit | 127, size)
    return head + (mask + xored(payload, mask) if masked else payload)


def closing(code: int, reason: str = "") -> bytes:
    """The payload of a close frame."""
    return struct.pack(">H", code) + reason.encode()


@dataclass
class Frame:
    opcode: int
    payload: bytes
    final: bool
    masked: bool
    reserved: int

    @property
    def code(self) -> int:
        """Of a close frame."""
        assert self.opcode == CLOSE, self
        return struct.unpack(">H", self.payload[:2])[0]


class End:
    """One end of a WebSocket: sends and reads frames.

    @param reader  has exactly(count)
    """

    def __init__(self, send, reader, masks: bool):
        self.send_bytes, self.reader, self._masks = send, reader, masks

    def send(self, opcode: int, payload: bytes = b"", **options) -> None:
        self.send_bytes(frame(opcode, payload, self._masks, **options))

    def read(self) -> Frame:
        first, second = self.reader.exactly(2)
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self.reader.exactly(2 if size == 126 else 8), "big")
        mask = self.reader.exactly(4) if second & 0x80 else b"\0\0\0\0"
        payload = xored(self.reader.exactly(size), mask)
        return Frame(first & 0x0F, payload, bool(first & 0x80), bool(second & 0x80), first >> 4 & 7)

    def read_close(self) -> Frame:
        """The next close frame; messages before it are passed over."""
        while (got := self.read()).opcode != CLOSE:
            pass
        return got

    def echoes(self, other: "End", text: bytes = b"hello") -> None:
        """Both ways are open."""
        self.send(TEXT, text)
        assert other.read().payload == text
        other.send(TEXT, text[::-1])
        assert self.read().payload == text[::-1]


class AppEnd(End):
    """The app's end."""

    def __init__(self, exchange: Exchange):
        super().__init__(exchange.send, exchange.connection.reader, masks=False)
        self.exchange, self.request = exchange, exchange.request
        self.over = threading.Event()

    def ended(self) -> bool:
        """Waits until the gateway ends the connection; false if it sends anything instead."""
        return self.exchange.gone()

    def close(self) -> None:
        self.exchange.close()
        self.over.set()


class WebSocketApp:
    """Has the app agree to WebSockets at a path. @param headers  of the 101. @param first  goes along with it"""

    def __init__(self, app: RecordingUpstream, path: str, headers: dict | None = None, first: bytes = b""):
        self._headers, self._first = headers, first
        self._ends: queue.Queue[AppEnd] = queue.Queue()
        app.on(path, self._agree)

    def _agree(self, exchange: Exchange) -> None:
        exchange.send(agreement(exchange.request.one("Sec-WebSocket-Key"), self._headers) + self._first)
        end = AppEnd(exchange)
        self._ends.put(end)
        while not end.over.wait(1) and not exchange.connection.closed.is_set():
            pass

    def end(self) -> AppEnd:
        """That of the next WebSocket."""
        return self._ends.get(timeout=PATIENCE)


def echoing(app: RecordingUpstream, path: str) -> None:
    """Has the app send back there what comes."""
    def echo(exchange: Exchange) -> None:
        exchange.send(agreement(exchange.request.one("Sec-WebSocket-Key")))
        end = End(exchange.send, exchange.connection.reader, masks=False)
        while True:
            got = end.read()
            end.send(PONG if got.opcode == PING else got.opcode, got.payload, final=got.final)
            if got.opcode == CLOSE:
                return exchange.close()

    app.on(path, echo)


class Client(End):
    """The client's end, once the gateway has agreed; `response` is its answer."""

    def __init__(self, gateway, target: str = "/public/ws", headers: dict | None = None, browser=None, **options):
        self.raw = gateway.client(**options)
        super().__init__(self.raw.send, self.raw.reader, masks=True)
        cookie = {"Cookie": browser.cookie_header} if browser else {}
        self.raw.send(http1.request_bytes("GET", target, offer(cookie | (headers or {}))))
        self.response = http1.read_response_head(self.raw.reader)
        assert self.response.status == 101, self.response
        if browser:
            browser.receive(self.response)

    def ended(self) -> bool:
        return self.raw.is_closed()

    def close(self) -> None:
        self.raw.close()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


class Http2Client(End):
    """The client's end on a stream of HTTP/2. @param connection  harness.http2.Http2Client"""

    def __init__(self, connection, target: str = "/public/ws", headers: dict | None = None, browser=None):
        self.connection = connection
        cookie = {"cookie": browser.cookie_header} if browser else {}
        self.stream = connection.open_fields(connect_fields(target, cookie | (headers or {})), end=False)
        super().__init__(self._send, self, masks=True)
        self._buffer = bytearray()
        connection.sink[self.stream] = self._buffer.extend
        self.response = connection.read_head(self.stream)
        assert self.response.status == 200, self.response
        if browser:
            browser.receive(self.response)

    def _send(self, data: bytes) -> None:
        self.connection.send_body(self.stream, data)

    def exactly(self, count: int) -> bytes:
        answer = self.connection.answer(self.stream)
        self.connection.pump_until(lambda: len(self._buffer) >= count or answer.over)
        if len(self._buffer) < count:
            raise http1.Closed(f"after {len(self._buffer)} of {count} bytes: {answer}")
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def ended(self) -> bool:
        """Whether the gateway ends the stream in good order now, without another byte."""
        answer = self.connection.answer(self.stream)
        self.connection.pump_until(lambda: answer.over)
        return answer.ended and not self._buffer

    def close(self) -> None:
        self.connection.reset(self.stream)


def connect_fields(target: str = "/public/ws", headers: dict | None = None, protocol: str | None = "websocket",
                   host: str = "example.test") -> list[tuple[str, str]]:
    """An extended CONNECT (RFC 8441), `headers` laid over its fields; None takes one away."""
    fields = {"sec-websocket-version": "13"} | (headers or {})
    pseudo = [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "https"), (":authority", host),
              (":path", target)]
    pairs = [*pseudo, *((name.lower(), value) for name, value in fields.items())]
    return [pair for pair in pairs if pair[1] is not None]
