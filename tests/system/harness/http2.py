"""HTTP/2 clients: one that keeps to RFC 9113 and holds the gateway to it, and one that sends any frame at all."""

import select
import ssl
import struct
import time
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hpack import Decoder
from hpack.hpack import encode_integer
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame
from hyperframe.frame import SettingsFrame

from harness import http1
from harness.client import connect, tls_context
from harness.deadlines import PATIENCE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS, PADDED, WITH_PRIORITY = 4, 8, 32
FRAME_BYTES = 16384  # the largest frame before SETTINGS_MAX_FRAME_SIZE says otherwise
WINDOW = 65535       # of a connection and its streams before anything says otherwise
PIECE = 256 * 1024
LARGEST_HEAD = 2**20   # bytes of the largest field section that either end here takes; 64 KiB are python3-hpack's own

Fields = list[tuple[str, str]]

# RFC 9113 section 8.1.1: a malformed request is a stream error PROTOCOL_ERROR, perhaps after an answer of 400, and may be
# made a connection error (section 5.4.2).
MALFORMED = {"400", "RST PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR"}


class Reset(Exception):
    """The gateway sent RST_STREAM. `code` is its error code, `answer` what came before."""

    def __init__(self, code: int, answer: "Answer"):
        super().__init__(f"RST_STREAM {error_name(code)} after {answer}")
        self.code, self.answer = code, answer


def error_name(code: int) -> str:
    try:
        return ErrorCodes(code).name
    except ValueError:
        return str(code)


def frame(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    """Any frame, legal or not."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def setting(code: int, value: int) -> bytes:
    return struct.pack(">HI", code, value)


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, stream, struct.pack(">I", increment))


def rst_stream(stream: int, code: int = ErrorCodes.CANCEL) -> bytes:
    return frame(RST_STREAM, stream, struct.pack(">I", code))


def as_bytes(text: str | bytes) -> bytes:
    """Characters up to U+00FF are the byte of that value."""
    return text if isinstance(text, bytes) else text.encode("latin-1")


def integer(value: int, prefix_bits: int, first_byte: int) -> bytes:
    """As HPACK writes it (RFC 7541 section 5.1)."""
    encoded = encode_integer(value, prefix_bits)
    encoded[0] |= first_byte
    return bytes(encoded)


def block(fields, kind: int = 0x00) -> bytes:
    """A field section in literals that leave no trace in any table, so that it can be sent any number of times.

    @param kind  0x40 instead: with incremental indexing
    """
    encoded = b""
    for name, value in fields:
        encoded += bytes([kind])
        for text in (as_bytes(name), as_bytes(value)):
            encoded += integer(len(text), 7, 0) + text
    return encoded


def request_fields(method: str = "GET", path: str = "/public/x", headers=(), host: str | None = "example.test",
                   scheme: str = "https") -> Fields:
    """A well-formed request's field section, to spoil."""
    items = headers.items() if isinstance(headers, dict) else headers
    pseudo = [(":method", method), (":scheme", scheme), (":authority", host), (":path", path)]
    return [pair for pair in pseudo if pair[1] is not None] + [(name.lower(), value) for name, value in items]


class Wire:
    """A TLS connection on which both agreed to speak h2: sends bytes, gives whole frames."""

    def __init__(self, address: tuple[str, int], trust, server_name: str | None = "example.test",
                 patience: float = PATIENCE, receive_buffer: int = 0, certificate=None):
        context = tls_context(trust, server_name, certificate)
        context.set_alpn_protocols(["h2"])
        self.sock = context.wrap_socket(connect(address, patience, receive_buffer), server_hostname=server_name)
        chosen = self.sock.selected_alpn_protocol()
        assert chosen == "h2", f"the gateway chose {chosen} by ALPN"
        self.sock.setblocking(False)
        self.patience = patience
        self.ended = False  # the gateway has closed
        self._arrived = bytearray()

    def send(self, data: bytes, listening: bool = True) -> bool:
        """Sends all, while it keeps what arrives (that is: reads it off the connection) unless told otherwise.

        @return false if the gateway has closed meanwhile
        """
        left, deadline = memoryview(data), time.monotonic() + self.patience
        while left and not self.ended:
            try:
                left = left[self.sock.send(left):]
                deadline = time.monotonic() + self.patience
                continue
            except (ssl.SSLWantWriteError, BlockingIOError):
                wanted = [self.sock]
            except ssl.SSLWantReadError:
                wanted = []
            except (OSError, ssl.SSLError):
                self._take_until_end()
                break
            patience = deadline - time.monotonic()
            if patience <= 0 or not any(select.select([self.sock] if listening else [], wanted, [], patience)):
                raise TimeoutError(f"the gateway takes no more, with {len(left)} bytes to go")
            if listening:
                self._take()
        return not self.ended

    def takes(self, data: bytes, patience: float) -> int:
        """How many of these bytes it takes, before it takes none for `patience` seconds; reads nothing meanwhile."""
        left = memoryview(data)
        while left:
            try:
                left = left[self.sock.send(left):]
            except (ssl.SSLWantWriteError, BlockingIOError):
                if not select.select([], [self.sock], [], patience)[1]:
                    break
            except (OSError, ssl.SSLError):
                break
        return len(data) - len(left)

    def _take(self) -> None:
        """Whatever can be read without waiting."""
        try:
            while piece := self.sock.recv(PIECE):
                self._arrived += piece
            self.ended = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        except (OSError, ssl.SSLError):
            self.ended = True

    def _take_until_end(self) -> None:
        """The connection is broken for sending: what the gateway said before still counts."""
        while not self.ended:
            self._wait_and_take(self.patience)

    def _wait_and_take(self, patience: float) -> None:
        if patience <= 0 or not select.select([self.sock], [], [], patience)[0]:
            raise TimeoutError("no frame from the gateway")
        self._take()

    def next_frame(self, patience: float | None = None) -> tuple[Frame, bytes] | None:
        """A frame and its bytes; none when the gateway has closed. TimeoutError: neither in time."""
        deadline = time.monotonic() + (self.patience if patience is None else patience)
        while (whole := self._whole()) is None:
            if self.ended:
                return None
            self._wait_and_take(deadline - time.monotonic())
        parsed, _ = Frame.parse_frame_header(memoryview(whole[:9]))
        parsed.parse_body(memoryview(whole[9:]))
        return parsed, whole

    def has_frame(self) -> bool:
        """Whether a frame has come already."""
        self._take()
        return len(self._arrived) >= 9 and len(self._arrived) >= 9 + int.from_bytes(self._arrived[:3], "big")

    def _whole(self) -> bytes | None:
        if len(self._arrived) < 9:
            return None
        size = 9 + int.from_bytes(self._arrived[:3], "big")
        if len(self._arrived) < size:
            return None
        whole = bytes(self._arrived[:size])
        del self._arrived[:size]
        return whole

    def close(self) -> None:
        self.sock.close()


@dataclass
class Answer:
    """What came on one stream so far."""
    response: http1.Response | None = None
    interim: list[http1.Response] = field(default_factory=list)
    trailers: Fields = field(default_factory=list)
    ended: bool = False       # by END_STREAM
    reset: int | None = None  # by RST_STREAM, which may follow a whole answer

    def take_head(self, fields: Fields) -> None:
        statuses = [value for name, value in fields if name == ":status"]
        rest = [(name, value) for name, value in fields if not name.startswith(":")]
        if not statuses:
            self.trailers = rest
            return
        assert len(statuses) == 1 and self.response is None, f"a second answer: {fields}"
        head = http1.Response(int(statuses[0]), "", rest)
        if head.status < 200:
            self.interim.append(head)
        else:
            head.interim, self.response = self.interim, head

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None


class _Client:
    """What both clients have in common: answers by stream, and how they end."""

    def __init__(self, wire: Wire):
        self.wire = wire
        self.answers: dict[int, Answer] = {}
        self.goaway: GoAwayFrame | None = None  # the latest
        self.finished: list[int] = []           # streams, in the order in which their answers ended
        self.pongs: list[bytes] = []            # PINGs of ours that came back

    def answer(self, stream: int) -> Answer:
        return self.answers.setdefault(stream, Answer())

    def _pump(self, patience: float | None = None) -> bool:
        """Takes one frame in. @return false when the gateway has closed"""
        raise NotImplementedError

    def pump_until(self, condition, patience: float | None = None):
        """Takes frames in until the condition is true, or the gateway closes; returns the condition's value."""
        deadline = time.monotonic() + (self.wire.patience if patience is None else patience)
        while not (value := condition()):
            if not self._pump(deadline - time.monotonic()):
                return condition()
        return value

    def pump_arrived(self) -> None:
        """Takes in what has come already."""
        while self.wire.has_frame():
            self._pump()

    def _end(self, stream: int) -> None:
        self.answer(stream).ended = True
        self.finished.append(stream)

    def read_head(self, stream: int) -> http1.Response:
        """The head of the final answer."""
        answer = self.answer(stream)
        self.pump_until(lambda: answer.response or answer.over)
        if answer.response:
            return answer.response
        self._raise(answer, stream)

    def read_response(self, stream: int) -> http1.Response:
        answer = self.answer(stream)
        self.pump_until(lambda: answer.over)
        if answer.ended and answer.response:
            return answer.response
        self._raise(answer, stream)

    def _raise(self, answer: Answer, stream: int):
        if answer.reset is not None:
            raise Reset(answer.reset, answer)
        raise http1.Closed(f"stream {stream}: {answer}, {self.goaway}")

    def outcome(self, stream: int) -> str:
        """How the stream ended: "200", "RST PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR" (the gateway gave the connection up
        for it), or "closed" (without a word)."""
        answer = self.answer(stream)
        self.pump_until(lambda: answer.over or self._given_up(stream))
        if answer.ended and answer.response:
            return str(answer.response.status)
        if answer.reset is not None:
            return f"RST {error_name(answer.reset)}"
        return f"GOAWAY {error_name(self.goaway.error_code)}" if self.goaway else "closed"

    def _given_up(self, stream: int) -> bool:
        return self.goaway is not None and (self.goaway.error_code != 0 or self.goaway.last_stream_id < stream)

    def farewell(self, patience: float | None = None) -> str:
        """Reads until the gateway closes the connection; tells "GOAWAY CODE", or "closed" if it came without."""
        self.pump_until(lambda: False, patience)
        return f"GOAWAY {error_name(self.goaway.error_code)}" if self.goaway else "closed"

    def is_alive(self) -> bool:
        """Whether a PING comes back: then the gateway has taken in all that was sent before."""
        mark = struct.pack(">Q", 0x726f746167617465 + len(self.pongs))
        self._ping(mark)
        self.pump_until(lambda: mark in self.pongs or self.goaway and self.goaway.error_code != 0)
        return mark in self.pongs

    def _ping(self, mark: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


class Http2Client(_Client):
    """Keeps to the protocol, by python3-h2, which also refuses what the gateway must not send; the fields of a request
    go out as they are given. Gives the gateway credit for what it reads, while `crediting`."""

    def __init__(self, address: tuple[str, int], trust, host: str = "example.test", settings: dict | None = None,
                 crediting: bool = True, **options):
        """@param settings  ours, by SettingCodes. @param options  those of Wire"""
        super().__init__(Wire(address, trust, **options))
        self.host, self.crediting = host, crediting
        self.sink = {}  # by stream: takes the body's pieces, which are kept otherwise
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding="latin-1", validate_outbound_headers=False,
            normalize_outbound_headers=False))
        initial = {SettingCodes.ENABLE_PUSH: 0} | (settings or {})
        self.h2.local_settings = h2.settings.Settings(client=True, initial_values=initial)
        self.h2.decoder.max_header_list_size = LARGEST_HEAD
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.wire.send(self.h2.data_to_send())

    # ---- sending --------------------------------------------------------------------------------------------------

    def open(self, method: str = "GET", path: str = "/public/x", headers=(), end: bool = True,
             host: str | None = None) -> int:
        """Sends a request's head; returns its stream."""
        return self.open_fields(request_fields(method, path, headers or (), host or self.host), end)

    def open_fields(self, fields, end: bool = True) -> int:
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(as_bytes(name), as_bytes(value)) for name, value in fields], end_stream=end)
        self.flush()
        return stream

    def send_body(self, stream: int, data: bytes, end: bool = False, patience: float | None = None, pad=None) -> int:
        """Sends as the windows allow. @return how much went; less than all only if the stream or connection ended
        meanwhile. TimeoutError, whose argument is that number: the gateway gives no credit."""
        left, answer = memoryview(data), self.answer(stream)
        overhead = 0 if pad is None else pad + 1
        while left and answer.reset is None:
            room = min(self._window(stream), self.h2.max_outbound_frame_size) - overhead
            if room <= 0:
                try:
                    if not self._pump(patience):
                        break
                except TimeoutError:
                    raise TimeoutError(len(data) - len(left)) from None
                continue
            self.h2.send_data(stream, left[:room].tobytes(), pad_length=pad)
            left = left[room:]
            self.flush()
        if end and not left and answer.reset is None:
            self.h2.end_stream(stream)
            self.flush()
        return len(data) - len(left)

    def _window(self, stream: int) -> int:
        return self.h2.local_flow_control_window(stream)

    def send_trailers(self, stream: int, fields) -> None:
        self.h2.send_headers(stream, [(as_bytes(name), as_bytes(value)) for name, value in fields], end_stream=True)
        self.flush()

    def reset(self, stream: int, code: int = ErrorCodes.CANCEL) -> None:
        self.h2.reset_stream(stream, code)
        self.flush()

    def credit(self, stream: int, amount: int) -> None:
        self.h2.increment_flow_control_window(amount, stream or None)
        self.flush()

    def _ping(self, mark: bytes) -> None:
        self.h2.ping(mark)
        self.flush()

    # ---- receiving ------------------------------------------------------------------------------------------------

    def _pump(self, patience: float | None = None) -> bool:
        arrived = self.wire.next_frame(patience)
        if arrived is None:
            return False
        parsed, data = arrived
        if isinstance(parsed, GoAwayFrame):
            self.goaway = parsed  # python3-h2 would take no answer after it
            return True
        for event in self.h2.receive_data(data):
            self._handle(event)
        self.flush()
        return True

    def _handle(self, event) -> None:
        match event:
            case h2.events.ResponseReceived() | h2.events.InformationalResponseReceived() | h2.events.TrailersReceived():
                self.answer(event.stream_id).take_head([tuple(pair) for pair in event.headers])
            case h2.events.DataReceived():
                self._take_body(event)
            case h2.events.StreamEnded():
                self._end(event.stream_id)
            case h2.events.StreamReset():
                self.answer(event.stream_id).reset = event.error_code
            case h2.events.PingAckReceived():
                self.pongs.append(event.ping_data)

    def _take_body(self, event) -> None:
        sink = self.sink.get(event.stream_id)
        if sink:
            sink(event.data)
        else:
            self.answer(event.stream_id).response.body += event.data
        if self.crediting and event.flow_controlled_length:
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    # ---- whole exchanges ------------------------------------------------------------------------------------------

    def request(self, method: str, path: str, headers=None, body: bytes = b"", host: str | None = None) -> http1.Response:
        """As RawClient.request(): Content-Length is added for a body."""
        fields = request_fields(method, path, headers or (), host or self.host)
        if body:
            fields.append(("content-length", str(len(body))))
        stream = self.open_fields(fields, end=not body)
        if body:
            self.send_body(stream, body, end=True)
        return self.read_response(stream)

    def get(self, path: str, headers=None, host: str | None = None) -> http1.Response:
        return self.request("GET", path, headers, host=host)


class FrameClient(_Client):
    """Sends frames as they are given. Acknowledges SETTINGS; gives no credit by itself."""

    def __init__(self, address: tuple[str, int], trust, settings: bytes = b"", preface: bytes | None = None,
                 acknowledging: bool = True, **options):
        """@param settings  payload of our SETTINGS. @param preface  in place of the connection's begin"""
        super().__init__(Wire(address, trust, **options))
        self.frames: list[Frame] = []  # all that came
        self.next_stream, self.acknowledging = 1, acknowledging
        self._decoder, self._block = Decoder(LARGEST_HEAD), b""
        self.send(PREFACE + frame(SETTINGS, 0, settings) if preface is None else preface)

    def send(self, *frames: bytes, listening: bool = True) -> bool:
        """@return false if the gateway has closed meanwhile"""
        return self.wire.send(b"".join(frames), listening)

    def open(self, fields=None, end: bool = True, stream: int | None = None) -> int:
        """Sends a request's head, a good one by default; returns its stream."""
        if stream is None:
            stream = self.take_stream()
        self.send(self.head(stream, fields, end))
        return stream

    def take_stream(self) -> int:
        self.next_stream += 2
        return self.next_stream - 2

    @staticmethod
    def head(stream: int, fields=None, end: bool = True) -> bytes:
        """A HEADERS frame, and CONTINUATIONs where it takes them."""
        return FrameClient.head_of_block(stream, block(request_fields() if fields is None else fields), end)

    @staticmethod
    def head_of_block(stream: int, encoded: bytes, end: bool = True) -> bytes:
        pieces = [encoded[at:at + FRAME_BYTES] for at in range(0, len(encoded), FRAME_BYTES)] or [b""]
        last = len(pieces) - 1
        return b"".join(frame(CONTINUATION if n else HEADERS, stream, piece,
                              (END_HEADERS if n == last else 0) | (END_STREAM if end and not n else 0))
                        for n, piece in enumerate(pieces))

    def _ping(self, mark: bytes) -> None:
        self.send(frame(PING, 0, mark))

    def _pump(self, patience: float | None = None) -> bool:
        arrived = self.wire.next_frame(patience)
        if arrived is None:
            return False
        parsed, _ = arrived
        self.frames.append(parsed)
        match parsed:
            case GoAwayFrame():
                self.goaway = parsed
            case SettingsFrame() if "ACK" not in parsed.flags and self.acknowledging:
                self.send(frame(SETTINGS, flags=ACK))
            case PingFrame() if "ACK" in parsed.flags:
                self.pongs.append(parsed.opaque_data)
            case RstStreamFrame():
                self.answer(parsed.stream_id).reset = parsed.error_code
            case HeadersFrame() | ContinuationFrame():
                self._take_head(parsed)
            case DataFrame():
                self.answer(parsed.stream_id).response.body += parsed.data
        if "END_STREAM" in parsed.flags:
            self._end(parsed.stream_id)
        return True

    def _take_head(self, parsed) -> None:
        self._block += parsed.data
        if "END_HEADERS" in parsed.flags:
            fields = self._decoder.decode(self._block, raw=True)
            self._block = b""
            self.answer(parsed.stream_id).take_head([(n.decode("latin-1"), v.decode("latin-1")) for n, v in fields])


def refused(site, fields, *outcomes: str, body: bytes | None = None, **options) -> str:
    """Sends a request that must be refused; the app must not see a whole one; then the canary. Returns its outcome."""
    before = len(site.requests())
    with site.frames(**options) as client:
        stream = client.open(fields, end=body is None)
        if body is not None:
            client.send(frame(DATA, stream, body, END_STREAM))
        outcome = client.outcome(stream)
        assert outcome in (outcomes or MALFORMED), outcome
        if not outcome.startswith(("GOAWAY", "closed")):
            assert client.outcome(client.open(request_fields(path="/public/next"))) == "200", \
                "the connection is of no more use"
    site.canary()
    new = [request for request in site.requests()[before:] if request.complete and request.path != "/public/next"]
    assert not new, f"the app saw {new}"
    return outcome


def accepted(site, fields, body: bytes | None = None, **options) -> http1.Request:
    """Sends a good request; returns it as the app saw it."""
    before = len(site.requests())
    with site.frames(**options) as client:
        stream = client.open(fields, end=body is None)
        if body is not None:
            client.send(frame(DATA, stream, body, END_STREAM))
        assert client.outcome(stream) == "200", client.answer(stream)
    site.canary()
    new = site.requests()[before:]
    assert len(new) == 1 and new[0].complete, f"the app saw {new}"
    return new[0]
