"""An app that records every byte it receives, and answers as a test tells it to."""

import json
import pathlib
import socket
import ssl
import threading
from urllib.parse import parse_qsl

from harness import http1
from harness.deadlines import PATIENCE


class Exchange:
    """One request at the app. A handler may read its body, send whatever it likes, and close."""

    def __init__(self, connection: "Connection", request: http1.Request):
        self.connection = connection
        self.request = request
        self._pieces = http1.pieces_of(request, connection.reader)
        self._answered = False
        self.switched = False  # to another protocol

    def pieces(self):
        """The body as it comes, not kept; asked for by 100 (Continue) where the client waits for that."""
        if self.request.one("Expect") == "100-continue" and not self._answered:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        for piece in self._pieces:  # not "yield from": who stops here may go on later
            yield piece

    def read_body(self) -> bytes:
        for piece in self.pieces():
            self.request.body += piece
        return self.request.body

    def send(self, data: bytes) -> None:
        self._answered = True
        self.switched |= data.startswith(b"HTTP/1.1 101")
        self.connection.sock.sendall(data)

    def close(self) -> None:
        self.connection.close()

    def gone(self) -> bool:
        """Waits until the gateway closes this connection; false if it sends anything instead."""
        return self.connection.reader.some() == b""


def echo(exchange: Exchange) -> bytes:
    """Tells what came, as JSON. `?status=`, `?header=Name: value` (repeatable) and `?body=` shape the answer."""
    request = exchange.request
    exchange.read_body()
    wishes = parse_qsl(request.query, keep_blank_values=True, encoding="latin-1")
    status = next((int(value) for name, value in wishes if name == "status"), 200)
    headers = [tuple(value.split(": ", 1)) for name, value in wishes if name == "header"]
    body = next((value.encode("latin-1") for name, value in wishes if name == "body"), None)
    if body is None:
        headers.append(("Content-Type", "application/json"))
        body = json.dumps({"method": request.method, "target": request.target, "headers": request.headers,
                           "body": request.body.decode("latin-1"), "connection": request.connection}).encode()
    if status in (204, 304):
        body = b""
    answer = http1.response_bytes(status, headers, body)
    return answer[:len(answer) - len(body)] if request.method == "HEAD" else answer


def watched(app: "RecordingUpstream", path: str, begin: bytes) -> threading.Event:
    """Has the app begin an answer there, and set the event when its connection is closed."""
    left = threading.Event()

    def watch(exchange):
        if begin:
            exchange.send(begin)
        if exchange.gone():
            left.set()

    app.on(path, watch)
    return left


def answers_early(app: "RecordingUpstream", path: str) -> None:
    """Has the app answer there without the request's body, and watch that nothing more comes on the connection."""
    def early(exchange):
        exchange.send(http1.response_bytes(200, body=b"early"))
        assert exchange.gone(), "the gateway went on with a connection whose request is unfinished"
        exchange.close()

    app.on(path, early)


class HeldAnswer:
    """The app's answer to a path, held back once the request has come."""

    def __init__(self, app: "RecordingUpstream", path: str, headers: dict | None = None, begin: bytes = b"", end=None):
        """@param begin  goes ahead when the request comes
        @param end  what follows, of the request's body; None: a whole answer"""
        self._path, self._begin = path, begin
        self._end = end or (lambda body: http1.response_bytes(200, headers or {}, b"late"))
        self._arrived, self._released = threading.Semaphore(0), threading.Event()
        app.on(path, self._answer)

    def _answer(self, exchange: Exchange) -> None:
        if self._begin:
            exchange.send(self._begin)
        self._arrived.release()
        body = exchange.read_body()
        assert self._released.wait(PATIENCE)
        exchange.send(self._end(body))

    def await_arrival(self) -> None:
        """Of one more request."""
        assert self._arrived.acquire(timeout=PATIENCE)

    def ask(self, client, cookie_header: str) -> None:
        """Sends the request, and returns when the app has it."""
        client.send(http1.request_bytes("GET", self._path, {"Cookie": cookie_header}))
        self.await_arrival()

    def release(self) -> None:
        self._released.set()


def held_for_the_drain(app: "RecordingUpstream") -> tuple[HeldAnswer, HeldAnswer]:
    """An answer that is thought about, and one that is under way."""
    return (HeldAnswer(app, "/public/slow", end=lambda body: http1.response_bytes(200, body=b"late " + body)),
            HeldAnswer(app, "/public/download", begin=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst",
                       end=lambda body: b"-last"))


class Connection:
    def __init__(self, app: "RecordingUpstream", sock: socket.socket, number: int):
        self.app, self.sock, self.number = app, sock, number
        self.reader = http1.Reader(sock)
        self.closed = threading.Event()

    def serve(self) -> None:
        try:
            while not self.closed.is_set() and not self.reader.at_end():
                self._serve_one()
        except (http1.Closed, OSError):
            pass  # cut connections are for the tests to judge, by Request.complete
        except http1.Malformed as error:
            self.app.violations.append(f"connection {self.number}: {error}; got {bytes(self.reader.received)!r}")
        finally:
            self.close()

    def _serve_one(self) -> None:
        request = http1.read_request_head(self.reader)
        request.connection = self.number
        exchange = Exchange(self, request)
        handler = self.app.record(request)
        answer = handler(exchange)
        if answer:
            exchange.send(answer)
        if exchange.switched:  # what still comes is not HTTP
            while self.reader.some():
                pass
        if not self.closed.is_set():
            exchange.read_body()

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.sock.close()


class RecordingUpstream:
    """Listens from the start; serves each connection in a thread of its own."""

    def __init__(self, handler=echo, unix_path: pathlib.Path | None = None, certificate=None, port: int = 0):
        self.handler = handler
        self.violations: list[str] = []
        self.connections: list[Connection] = []
        self._handlers: dict[str, object] = {}
        self._requests: list[http1.Request] = []
        self._lock = threading.Lock()
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate.cert, certificate.key)
        self._listener = self._listen(unix_path, port)
        threading.Thread(target=self._accept, daemon=True).start()

    def _listen(self, unix_path: pathlib.Path | None, port: int) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX if unix_path else socket.AF_INET)
        if unix_path:
            listener.bind(str(unix_path))
            self.address = f"unix:{unix_path}"
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        listener.listen(1024)
        return listener

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            sock.settimeout(PATIENCE)
            try:
                sock = self._tls.wrap_socket(sock, server_side=True)
            except (ssl.SSLError, OSError):
                sock.close()
                return
            sock.settimeout(None)
        with self._lock:
            connection = Connection(self, sock, len(self.connections) + 1)
            self.connections.append(connection)
        connection.serve()

    def on(self, path: str, handler) -> None:
        """Requests for this path get handler(exchange): its bytes are the answer; none: it has answered itself."""
        self._handlers[path] = handler

    def record(self, request: http1.Request):
        with self._lock:
            self._requests.append(request)
        return self._handlers.get(request.path, self.handler)

    def requests(self, path: str | None = None) -> list[http1.Request]:
        """What has come so far, in order of arrival."""
        with self._lock:
            return [request for request in self._requests if path is None or request.path == path]

    def open_connections(self) -> int:
        with self._lock:
            return sum(not connection.closed.is_set() for connection in self.connections)

    def close(self) -> None:
        """Stops listening, and drops every connection."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        with self._lock:
            for connection in self.connections:
                connection.close()
