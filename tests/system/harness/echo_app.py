"""An app that echoes WebSocket messages, compressed ones too, and holds the client to RFC 6455 to the letter."""

import codecs
import zlib
from urllib.parse import parse_qsl

from harness.deadlines import poll
from harness.deflate import Agreement, Deflater, Inflater, agree
from harness.upstream import Exchange, RecordingUpstream
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, agreement, closing, frame, xored

PROTOCOL_ERROR, BAD_DATA, TOO_BIG = 1002, 1007, 1009
LARGEST_MESSAGE = 2**23
LARGEST_CONTROL = 125
COMPRESSED = 4  # of the reserved bits, the first
FAREWELL = frame(CLOSE, closing(1000, "then goodbye"), masked=True, mask=b"\x5a\x01\xc3\xf0")
CLOSE_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}  # RFC 6455 section 7.4, and IANA's registry


class Failure(Exception):
    """The client has broken the protocol. `code` is what it is told."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


class Echo:
    """The app's end of a WebSocket without its socket: what it says depends on which bytes came, not on when.

    `closed`: both have sent a close frame. `failed`: the client has broken the protocol; what it still says is ignored.
    """

    def __init__(self, deflate: Agreement | None = None, fragment: int = 0):
        """@param fragment  most bytes of a message in one frame of the app's; 0: all"""
        self.closed = self.failed = False
        self._fragment = fragment
        self._deflate = deflate and Deflater(deflate.server_window, deflate.server_keeps)
        self._inflate = deflate and Inflater(deflate.client_window, deflate.client_keeps)
        self._arrived, self._said = bytearray(), bytearray()
        self._in_payload = False
        self._opcode = None  # of the message that has begun
        self._message, self._size, self._compressed = [], 0, False

    def take(self, data: bytes) -> bytes:
        """What the app says to that."""
        self._arrived += data
        try:
            while not self.closed and not self.failed and (
                    self._read_payload() if self._in_payload else self._read_head()):
                pass
        except Failure as failure:
            self.failed = True
            self._say(CLOSE, closing(failure.code))
        said = bytes(self._said)
        self._said.clear()
        return said

    def _say(self, opcode: int, payload: bytes, **options) -> None:
        self._said += frame(opcode, payload, **options)

    # ---- frames -----------------------------------------------------------------------------------------------------

    def _read_head(self) -> bool:
        """@return whether there is more to do with what has come"""
        if len(self._arrived) < 2:
            return False
        first, second = self._arrived[:2]
        opcode, final, reserved = first & 0x0F, bool(first & 0x80), first >> 4 & 7
        self._check(opcode, final, reserved, second)
        longer = {126: 2, 127: 8}.get(second & 0x7F, 0)
        if len(self._arrived) < 2 + longer + 4:
            return False
        size = int.from_bytes(self._arrived[2:2 + longer], "big") if longer else second & 0x7F
        if longer and (size < (126 if longer == 2 else 65536) or size >> 63):  # not in the shortest form, or negative
            raise Failure(PROTOCOL_ERROR)
        if self._size + size > LARGEST_MESSAGE:
            raise Failure(TOO_BIG)
        self._mask = bytes(self._arrived[2 + longer:6 + longer])
        del self._arrived[:6 + longer]
        self._in_payload, self._left, self._final = True, size, final
        self._control = opcode if opcode >= CLOSE else None
        if opcode in (TEXT, BINARY):
            self._opcode, self._compressed = opcode, bool(reserved)
            self._characters = codecs.getincrementaldecoder("utf-8")()
        return True

    def _check(self, opcode: int, final: bool, reserved: int, second: int) -> None:
        control, amid = opcode >= CLOSE, self._opcode is not None
        allowed = COMPRESSED if self._inflate and opcode in (TEXT, BINARY) else 0
        if (reserved & ~allowed
                or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)
                or not second & 0x80  # a client masks
                or control and (not final or second & 0x7F > LARGEST_CONTROL)
                or not control and amid != (opcode == CONTINUATION)):
            raise Failure(PROTOCOL_ERROR)

    def _read_payload(self) -> bool:
        taken = min(self._left, len(self._arrived))
        if taken < self._left and (self._control or not taken):
            return False
        payload = xored(bytes(self._arrived[:taken]), self._mask)
        del self._arrived[:taken]
        self._left -= taken
        self._mask = self._mask[taken % 4:] + self._mask[:taken % 4]
        self._in_payload = self._left > 0
        if self._control:
            self._obey(self._control, payload)
        else:
            self._gather(payload)
        return True

    # ---- what they say ----------------------------------------------------------------------------------------------

    def _obey(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._say(PONG, payload)
        if opcode == CLOSE:
            if len(payload) == 1 or payload and int.from_bytes(payload[:2], "big") not in CLOSE_CODES:
                raise Failure(PROTOCOL_ERROR)
            self._decode(codecs.getincrementaldecoder("utf-8")(), payload[2:], last=True)
            self._say(CLOSE, payload)
            self.closed = True

    @staticmethod
    def _decode(decoder, data: bytes, last: bool) -> None:
        try:
            decoder.decode(data, last)
        except UnicodeDecodeError:
            raise Failure(BAD_DATA) from None

    def _gather(self, payload: bytes) -> None:
        """Text is checked as it comes: the client hears of a bad byte before its message has ended."""
        self._message.append(payload)
        self._size += len(payload)
        last = self._final and not self._in_payload
        if self._opcode == TEXT and not self._compressed:
            self._decode(self._characters, payload, last)
        if last:
            self._echo(b"".join(self._message))
            self._opcode, self._message, self._size = None, [], 0

    def _echo(self, message: bytes) -> None:
        if self._compressed:
            try:
                message = self._inflate(message)
            except zlib.error:
                raise Failure(BAD_DATA) from None
            if self._opcode == TEXT:
                self._decode(self._characters, message, last=True)
            message = self._deflate(message)
        step = self._fragment or len(message) or 1
        starts = range(0, len(message) or 1, step)
        for at in starts:
            self._say(CONTINUATION if at else self._opcode, message[at:at + step], final=at == starts[-1],
                      reserved=COMPRESSED if self._compressed and not at else 0)


class EchoApp:
    """Has the app echo at a path. The query may say: `name`, for received(); `chop`, the bytes that it sends at once;
    `fragment`, those of a frame; `stays=1`: once closed it stays until the client ends the connection; `recite=1`: it
    says what recites(name) has told it, whatever comes, and ends when the client has said FAREWELL."""

    def __init__(self, app: RecordingUpstream, path: str):
        self.path = path
        self._received: dict[str, bytes] = {}
        self._texts: dict[str, bytes] = {}
        app.on(path, self._serve)

    def recites(self, name: str, text: bytes) -> None:
        self._texts[name] = text

    def received(self, name: str) -> bytes:
        """All that came in a conversation, once the app has left it; it is told once."""
        poll(lambda: name in self._received, f"the app's end of {name}")
        return self._received.pop(name)

    def _serve(self, exchange: Exchange) -> None:
        wishes = dict(parse_qsl(exchange.request.query))
        deflate = agree(exchange.request.one("Sec-WebSocket-Extensions") or "")
        told = {"Sec-WebSocket-Extensions": deflate.text} if deflate else {}
        exchange.send(agreement(exchange.request.one("Sec-WebSocket-Key"), told))
        received = bytearray()
        try:
            self._talk(exchange, wishes, Echo(deflate, int(wishes.get("fragment", 0))), received)
        finally:
            self._received[wishes["name"]] = bytes(received)
            exchange.close()

    def _talk(self, exchange: Exchange, wishes: dict, echo: Echo, received: bytearray) -> None:
        chop = int(wishes.get("chop", 0))
        recites, stays = "recite" in wishes, "stays" in wishes
        if recites:
            self._send(exchange, self._texts.pop(wishes["name"]), chop)
        while piece := exchange.connection.reader.some():
            received += piece
            if not recites:
                self._send(exchange, echo.take(piece), chop)
            if echo.closed and not stays or (echo.failed or recites) and received.endswith(FAREWELL):
                return

    @staticmethod
    def _send(exchange: Exchange, data: bytes, chop: int) -> None:
        for at in range(0, len(data), chop or len(data) or 1):
            exchange.send(data[at:at + (chop or len(data))])
