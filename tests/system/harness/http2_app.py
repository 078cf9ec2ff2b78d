"""An app that speaks HTTP/2 in the clear, by python3-h2, and does on each stream what a test tells it to."""

import collections
import socket
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from harness.deadlines import PATIENCE
from harness.http2 import LARGEST_HEAD, as_bytes

Fields = list[tuple[str, str]]


def text_of(fields) -> Fields:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]


class Call:
    """One request at the app, and its answer."""

    def __init__(self, connection: "Http2AppConnection", stream: int, fields: Fields):
        self.connection, self.stream, self.fields = connection, stream, fields
        self.body, self.trailers = b"", []
        self.ended = False         # by END_STREAM
        self.reset: int | None = None
        self._pieces = collections.deque()

    def one(self, name: str) -> str | None:
        values = [value for key, value in self.fields if key == name]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def path(self) -> str:
        return self.one(":path").partition("?")[0]

    def read(self) -> bytes:
        """The next piece of the body, for which the gateway gets credit; empty at its end."""
        with self.connection.changed:
            self.connection.wait_for(lambda: self._pieces or self.ended or self.reset is not None)
            if not self._pieces:
                return b""
            data, credit = self._pieces.popleft()
            if credit and self.reset is None:
                self.connection.credit(credit, None if self.ended else self.stream)
            self.body += data
            return data

    def read_all(self) -> bytes:
        while self.read():
            pass
        return self.body

    def send_head(self, fields: Fields = (), status: int = 200, end: bool = False) -> None:
        pairs = [(":status", str(status))] + list(fields)
        self.connection.send_headers(self.stream, pairs, end)

    def send(self, data: bytes, end: bool = False) -> None:
        self.connection.send_data(self, data, end)

    def send_trailers(self, fields: Fields) -> None:
        self.connection.send_headers(self.stream, fields, True)

    def send_reset(self, code: int) -> None:
        with self.connection.changed:
            self.connection.h2.reset_stream(self.stream, code)
            self.connection.flush()

    def is_wanted_for(self, seconds: float) -> bool:
        """Whether the gateway lets so much time pass without cancelling it."""
        with self.connection.changed:
            return not self.connection.changed.wait_for(lambda: self.reset is not None or self.connection.closed, seconds)

    def await_reset(self) -> int:
        """The code by which the gateway cancels it."""
        with self.connection.changed:
            self.connection.wait_for(lambda: self.reset is not None)
        return self.reset


class Http2AppConnection:
    def __init__(self, app: "Http2App", sock: socket.socket):
        self.app, self.sock = app, sock
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False))
        initial = {SettingCodes.MAX_CONCURRENT_STREAMS: 100} | app.settings
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=initial)
        self.h2.decoder.max_header_list_size = LARGEST_HEAD
        self.changed = threading.Condition()
        self.calls: dict[int, Call] = {}
        self.closed = False
        self.goaway: int | None = None

    def wait_for(self, condition) -> None:
        assert self.changed.wait_for(lambda: condition() or self.closed, PATIENCE), "nothing more from the gateway"

    def flush(self) -> None:
        try:
            self.sock.sendall(self.h2.data_to_send())
        except OSError:
            pass

    def serve(self) -> None:
        with self.changed:
            self.h2.initiate_connection()
            self.flush()
        try:
            while data := self.sock.recv(256 * 1024):
                self.app.hold.wait(PATIENCE)
                with self.changed:
                    self._take(data)
        except (OSError, h2.exceptions.ProtocolError) as error:
            if isinstance(error, h2.exceptions.ProtocolError):
                self.app.violations.append(repr(error))
        finally:
            self.close()

    def _take(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            self._handle(event)
        self.flush()
        self.changed.notify_all()

    def _handle(self, event) -> None:
        call = self.calls.get(getattr(event, "stream_id", None))
        match event:
            case h2.events.RequestReceived():
                call = self.calls[event.stream_id] = Call(self, event.stream_id, text_of(event.headers))
                self.app.begin(call)
            case h2.events.DataReceived():
                call._pieces.append((event.data, event.flow_controlled_length))
            case h2.events.TrailersReceived():
                call.trailers = text_of(event.headers)
            case h2.events.StreamEnded():
                call.ended = True
            case h2.events.StreamReset():
                call.reset = int(event.error_code)
            case h2.events.ConnectionTerminated():
                self.goaway = int(event.error_code)

    def credit(self, size: int, stream: int | None) -> None:
        try:
            self.h2.increment_flow_control_window(size)
            if stream is not None:
                self.h2.increment_flow_control_window(size, stream)
        except h2.exceptions.ProtocolError:
            pass  # the stream is closed
        self.flush()

    def send_headers(self, stream: int, fields: Fields, end: bool) -> None:
        with self.changed:
            self.h2.send_headers(stream, [(as_bytes(name), as_bytes(value)) for name, value in fields], end_stream=end)
            self.flush()

    def send_data(self, call: Call, data: bytes, end: bool) -> None:
        left = memoryview(data)
        with self.changed:
            while left:
                self.wait_for(lambda: call.reset is not None or self._window(call.stream) > 0)
                if call.reset is not None or self.closed:
                    return
                size = min(len(left), self._window(call.stream), self.h2.max_outbound_frame_size)
                self.h2.send_data(call.stream, left[:size].tobytes(), end_stream=end and size == len(left))
                left = left[size:]
                self.flush()
            if end and not data and call.reset is None:
                self.h2.end_stream(call.stream)
                self.flush()

    def _window(self, stream: int) -> int:
        return self.h2.local_flow_control_window(stream)

    def send_goaway(self, last: int, code: int = ErrorCodes.NO_ERROR) -> None:
        with self.changed:
            # python3-h2 would do nothing more behind its own.
            self.sock.sendall(b"\0\0\x08\x07\0\0\0\0\0" + last.to_bytes(4, "big") + int(code).to_bytes(4, "big"))

    def send_raw(self, data: bytes) -> bool:
        """@return false: the gateway has closed"""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


def answer_plainly(call: Call) -> None:
    call.read_all()
    call.send_head([("content-type", "text/plain")])
    call.send(b"plain", end=True)


class Http2App:
    """Listens from the start; each connection has a thread, and each call."""

    def __init__(self, handler=answer_plainly, settings: dict | None = None, port: int = 0):
        self.handler, self.settings = handler, settings or {}
        self.connections: list[Http2AppConnection] = []
        self.violations: list[str] = []
        self.hold = threading.Event()  # cleared: it reads nothing
        self.hold.set()
        self._calls: list[Call] = []
        self._handlers = {}
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Http2AppConnection(self, sock)
            with self._lock:
                self.connections.append(connection)
            threading.Thread(target=connection.serve, daemon=True).start()

    def on(self, path: str, handler) -> None:
        """Calls of this path are handled by handler(call), in a thread of its own."""
        self._handlers[path] = handler

    def begin(self, call: Call) -> None:
        with self._lock:
            self._calls.append(call)
        handler = self._handlers.get(call.path, self.handler)
        threading.Thread(target=self._run, args=(handler, call), daemon=True).start()

    def _run(self, handler, call: Call) -> None:
        try:
            handler(call)
        except h2.exceptions.ProtocolError:
            pass  # the gateway has reset it

    def calls(self, path: str | None = None) -> list[Call]:
        """In order of arrival."""
        with self._lock:
            return [call for call in self._calls if path is None or call.path == path]

    def open_connections(self) -> list[Http2AppConnection]:
        with self._lock:
            return [connection for connection in self.connections if not connection.closed]

    def close(self) -> None:
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for connection in self.open_connections():
            connection.close()
