"""HTTP/1 read with no tolerance at all: what this refuses, the gateway should not have sent."""

import json
import re
import socket
import ssl
from dataclasses import dataclass, field

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (/[!-~]*|\*) HTTP/1\.1\Z")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([\t -~\x80-\xff]*)\Z")
FIELD_VALUE = re.compile(rb"[\t -~\x80-\xff]*\Z")
LENGTH = re.compile(r"[0-9]+\Z")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}\Z")
MAX_LINE = 128 * 1024
PIECE = 256 * 1024


class Malformed(Exception):
    """Bytes that are not HTTP/1 as RFC 9112 writes it."""


class Closed(Exception):
    """The connection ended where more was due."""


Headers = list[tuple[str, str]]


def values(headers: Headers, name: str) -> list[str]:
    """All values under a name, in order."""
    return [value for field_name, value in headers if field_name.lower() == name.lower()]


class Reader:
    """Takes lines and pieces from a socket; keeps the first bytes that came, for reports."""

    def __init__(self, sock: socket.socket, keep: int = 256 * 1024):
        self.sock = sock
        self.received = bytearray()
        self._keep = keep
        self._buffer = bytearray()

    def _more(self) -> bool:
        try:
            piece = self.sock.recv(PIECE)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            piece = b""
        self.received += piece[:max(0, self._keep - len(self.received))]
        self._buffer += piece
        return bool(piece)

    def take_arrived(self) -> None:
        """What can be read without waiting, from a socket that does not block."""
        try:
            while self._more():
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            pass

    def line(self) -> bytes:
        """A line without its CRLF."""
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > MAX_LINE:
                raise Malformed("a line without end")
            if not self._more():
                raise Closed(f"within a line, after {bytes(self._buffer[:200])!r}")
        line = bytes(self._buffer[:end])
        del self._buffer[:end + 1]
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise Malformed(f"line end of {line[:200]!r}")
        return line[:-1]

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._more():
                raise Closed(f"after {len(self._buffer)} of {count} bytes")
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def some(self, limit: int = PIECE) -> bytes:
        """At most `limit` bytes, as they come; empty at the end of the connection."""
        if not self._buffer and not self._more():
            return b""
        data = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        return data

    def until_close(self) -> bytes:
        while self._more():
            pass
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def at_end(self) -> bool:
        """Waits for a byte or the end of the connection; takes nothing."""
        return not self._buffer and not self._more()


def read_fields(reader: Reader) -> Headers:
    """Field lines up to the empty line."""
    headers = []
    while line := reader.line():
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name) or not FIELD_VALUE.match(value):
            raise Malformed(f"field line {line[:200]!r}")
        headers.append((name.decode(), value.strip(b" \t").decode("latin-1")))
    return headers


def read_chunks(reader: Reader):
    """Yields the data of each chunk; no extensions, no trailers (the gateway drops both)."""
    while True:
        size = reader.line()
        if not CHUNK_SIZE.match(size):
            raise Malformed(f"chunk size {size[:200]!r}")
        left = int(size, 16)
        if left == 0:
            if trailer := reader.line():
                raise Malformed(f"trailer {trailer[:200]!r}")
            return
        while left:
            data = reader.some(left)
            if not data:
                raise Closed(f"within a chunk, {left} bytes early")
            left -= len(data)
            yield data
        if reader.exactly(2) != b"\r\n":
            raise Malformed("chunk data without CRLF")


def read_length(reader: Reader, left: int):
    while left:
        data = reader.some(left)
        if not data:
            raise Closed(f"within a body, {left} bytes early")
        left -= len(data)
        yield data


def read_rest(reader: Reader):
    while data := reader.some():
        yield data


def message_framing(headers: Headers) -> str | int | None:
    """"chunked", a length in bytes, or none."""
    codings, lengths = values(headers, "Transfer-Encoding"), values(headers, "Content-Length")
    if len(codings) + len(lengths) > 1:
        raise Malformed(f"framed twice: {codings + lengths}")
    if codings:
        if codings[0].lower() != "chunked":
            raise Malformed(f"transfer coding {codings[0]!r}")
        return "chunked"
    if lengths:
        if not LENGTH.match(lengths[0]):
            raise Malformed(f"content length {lengths[0]!r}")
        return int(lengths[0])
    return None


@dataclass
class Request:
    method: str
    target: str
    headers: Headers
    framing: str | int | None
    body: bytes = b""
    complete: bool = False  # its body has come to its end
    connection: int = 0     # counted from 1

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def all(self, name: str) -> list[str]:
        return values(self.headers, name)

    def one(self, name: str) -> str | None:
        found = self.all(name)
        assert len(found) <= 1, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None


def read_request_head(reader: Reader) -> Request:
    """What an app accepts from its gateway. The body is still to be read, by pieces_of()."""
    line = reader.line()
    match = REQUEST_LINE.match(line)
    if not match:
        raise Malformed(f"request line {line[:200]!r}")
    headers = read_fields(reader)
    if len(values(headers, "Host")) != 1:
        raise Malformed(f"Host: {values(headers, 'Host')}")
    return Request(match[1].decode(), match[2].decode(), headers, message_framing(headers))


def pieces_of(request: Request, reader: Reader):
    """Yields the request's body as it comes."""
    if request.framing == "chunked":
        yield from read_chunks(reader)
    elif request.framing:
        yield from read_length(reader, request.framing)
    request.complete = True


@dataclass
class Response:
    status: int
    reason: str
    headers: Headers
    body: bytes = b""
    interim: list["Response"] = field(default_factory=list)  # 1xx that came before

    def all(self, name: str) -> list[str]:
        return values(self.headers, name)

    def one(self, name: str) -> str | None:
        found = self.all(name)
        assert len(found) <= 1, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None

    @property
    def closes(self) -> bool:
        return "close" in ", ".join(self.all("Connection")).lower()

    def json(self):
        return json.loads(self.body)


def read_response_head(reader: Reader) -> Response:
    interim = []
    while True:
        line = reader.line()
        match = STATUS_LINE.match(line)
        if not match:
            raise Malformed(f"status line {line[:200]!r}")
        response = Response(int(match[1]), match[2].decode("latin-1"), read_fields(reader), interim=interim)
        if response.status >= 200 or response.status == 101:
            return response
        interim.append(response)


def body_pieces(response: Response, reader: Reader, to_head: bool = False):
    """Yields the response's body as it comes."""
    framing = message_framing(response.headers)
    if to_head or response.status in (204, 304) or response.status < 200:
        return
    if framing == "chunked":
        yield from read_chunks(reader)
    elif framing is not None:
        yield from read_length(reader, framing)
    else:
        yield from read_rest(reader)


def read_response(reader: Reader, to_head: bool = False) -> Response:
    response = read_response_head(reader)
    response.body = b"".join(body_pieces(response, reader, to_head))
    return response


def crlf(text: str) -> bytes:
    """Bytes as SECURITY.md writes them: "⏎" stands for CRLF; characters up to U+00FF are the byte of that value."""
    return text.replace("⏎", "\r\n").encode("latin-1")


def request_bytes(method: str, target: str, headers: Headers | dict | None = None, body: bytes = b"",
                  host: str = "example.test") -> bytes:
    """A well-formed request; Content-Length is added for a body."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    items = headers.items() if isinstance(headers, dict) else headers or []
    lines += [f"{name}: {value}" for name, value in items]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def response_bytes(status: int = 200, headers: Headers | dict | None = None, body: bytes = b"",
                   length: int | None = None, reason: str = "Answer") -> bytes:
    """A well-formed answer of an app, framed by Content-Length."""
    lines = [f"HTTP/1.1 {status} {reason}"]
    items = headers.items() if isinstance(headers, dict) else headers or []
    lines += [f"{name}: {value}" for name, value in items]
    if status not in (204, 304):
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
