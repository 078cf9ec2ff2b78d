"""HTTP/2 towards clients (RFC 9113): requests, answers, bodies, cookies, sessions, timeouts, the drain."""

import re
import socket
import ssl
import subprocess
import threading
import time
import zlib

import httpx
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import SettingsFrame

from harness import http1
from harness.browser import (Browser, Http2Browser, app_saw, asked, deletes_cookie, outlive, session_cookie,
                             set_cookies)
from harness.client import RawClient, connect
from harness.deadlines import PACE, PATIENCE, SCALE, milliseconds, poll, wait_for_protocol_time
from harness.gateway import COOKIE, rotation, route
from harness.http1 import crlf
from harness.http2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PREFACE, SETTINGS, WINDOW,
                           WITH_PRIORITY, Reset, block, error_name, frame, request_fields, setting)

SANITIZED = SCALE > 1
BIG = 2**24 if SANITIZED else 2**26         # bytes of a big body that is moved whole: python reads it
ENDLESS = 2**30                             # bytes of one that nobody moves
ALLOWANCE = 2**30 if SANITIZED else 16 * 2**20  # bytes of memory that a body of any size may take
PIECE = bytes(range(256)) * 1024
OPEN = [route("/", "public")]
# RFC 9113 section 8.1.1: a malformed request is a stream error PROTOCOL_ERROR, perhaps after an answer of 400, and may be
# made a connection error (section 5.4.2).
MALFORMED = {"400", "RST PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR"}


def cases(table: dict):
    """Parameters whose ids are the keys."""
    return [pytest.param(*(row if isinstance(row, tuple) else (row,)), id=name) for name, row in table.items()]


def checksum(pieces) -> tuple[int, int]:
    length = crc = 0
    for piece in pieces:
        length, crc = length + len(piece), zlib.crc32(piece, crc)
    return length, crc


class Checksum:
    """Takes the pieces of a body that is too large to keep."""

    def __init__(self):
        self.length = self.crc = 0

    def __call__(self, piece: bytes) -> None:
        self.length, self.crc = self.length + len(piece), zlib.crc32(piece, self.crc)

    @property
    def value(self) -> tuple[int, int]:
        return self.length, self.crc


def expected_checksum(size: int = BIG) -> tuple[int, int]:
    return checksum(PIECE for _ in range(size // len(PIECE)))


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
            assert client.outcome(client.open(request_fields(path="/public/next"))) == "200", "the connection is of no more use"
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


# ---- the choice ---------------------------------------------------------------------------------------------------------

def alpn(site, offered: list[str], **context_changes):
    context = ssl.create_default_context(cafile=str(site.gateway.trust))
    if offered:
        context.set_alpn_protocols(offered)
    for name, value in context_changes.items():
        setattr(context, name, value)
    return context, connect(site.gateway.address)


@pytest.mark.parametrize("offered, chosen", cases({
    "h2": (["h2"], "h2"), "h2-first": (["h2", "http/1.1"], "h2"), "http/1.1-only": (["http/1.1"], "http/1.1"),
    "with-unknown": (["foo", "h2"], "h2"), "http/1.0": (["http/1.0", "http/1.1"], "http/1.1"), "none": ([], None),
}))
def test_alpn_chooses_the_protocol(site, offered, chosen):
    context, sock = alpn(site, offered)
    with context.wrap_socket(sock, server_hostname="example.test") as tls:
        assert tls.selected_alpn_protocol() == chosen
        if chosen == "h2":
            tls.sendall(PREFACE + frame(SETTINGS))
            assert tls.recv(9)[3:5] == b"\4\0", "the first frame is SETTINGS, and no acknowledgement"
        else:
            tls.sendall(b"GET /public/x HTTP/1.1\r\nHost: example.test\r\n\r\n")
            assert tls.recv(12) == b"HTTP/1.1 200"


def test_http2_can_be_switched_off(new_site, site):
    """SPEC section 5: `http2: false`."""
    off = new_site(listen=[site.gateway.config["listen"][0] | {"address": "127.0.0.1:0", "http2": False}])
    context, sock = alpn(off, ["h2", "http/1.1"])
    with context.wrap_socket(sock, server_hostname="example.test") as tls:
        assert tls.selected_alpn_protocol() == "http/1.1"
    context, sock = alpn(off, ["h2"])
    try:
        with context.wrap_socket(sock, server_hostname="example.test") as tls:
            assert tls.selected_alpn_protocol() is None
    except (ssl.SSLError, ConnectionError):
        pass  # no_application_protocol, RFC 7301 section 3.2
    off.canary()


def test_http2_is_spoken_over_tls_1_2_with_a_modern_cipher(site):
    """RFC 9113 section 9.2.2"""
    context, sock = alpn(site, ["h2"], maximum_version=ssl.TLSVersion.TLSv1_2)
    with context.wrap_socket(sock, server_hostname="example.test") as tls:
        assert tls.selected_alpn_protocol() == "h2"
        assert tls.cipher()[0].startswith("ECDHE-") and re.search("GCM|POLY1305", tls.cipher()[0])


def test_http2_is_not_spoken_with_a_cipher_that_it_prohibits(site):
    """RFC 9113 section 9.2.2 and appendix A."""
    context, sock = alpn(site, ["h2", "http/1.1"], maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0")
    try:
        with context.wrap_socket(sock, server_hostname="example.test") as tls:
            assert tls.selected_alpn_protocol() != "h2", tls.cipher()
    except (ssl.SSLError, ConnectionError):
        pass


def test_the_preface_is_nothing_to_an_http1_connection(site):
    site.refused(PREFACE + frame(SETTINGS), 400, 505)


def test_the_gateway_introduces_itself(site):
    """RFC 9113 sections 3.4 and 6.5"""
    with site.frames() as client:
        assert client.is_alive()
        first = client.frames[0]
        assert isinstance(first, SettingsFrame) and "ACK" not in first.flags
        assert sum(isinstance(one, SettingsFrame) and "ACK" in one.flags for one in client.frames) == 1
        assert first.settings.get(SettingCodes.ENABLE_PUSH, 0) == 0, "a server must not say 1"
        streams = first.settings.get(SettingCodes.MAX_CONCURRENT_STREAMS)
        assert streams and 100 <= streams <= 1000, "section 5.1.2: no less than 100 is advised; without a limit it is none"


# ---- requests and answers -----------------------------------------------------------------------------------------------

def test_a_request_reaches_the_app_as_http1(site):
    with site.http2() as client:
        response = client.get("/public/a/b?c=%2f", {"user-agent": "me", "accept": "*/*", "priority": "u=1, i"})
    assert response.status == 200
    seen = app_saw(response)
    assert (seen.method, seen.target) == ("GET", "/public/a/b?c=%2f")
    assert (seen.one("Host"), seen.one("X-Forwarded-Proto"), seen.one("User-Agent")) == ("example.test", "https", "me")
    assert seen.one("X-Forwarded-Host") == "example.test" and seen.one("X-Request-Id")
    assert not [name for name, _ in seen.headers if name.startswith(":")]
    assert seen.all("Transfer-Encoding") == seen.all("Content-Length") == [], "there is no body"


def test_an_answer_has_the_fields_of_http2(site):
    """RFC 9113 section 8.2: names in lower case, nothing of the connection; python3-h2 watches, too."""
    def answer(exchange):
        exchange.send(crlf("HTTP/1.1 201 Made⏎X-Mixed-Case: A b⏎Set-Cookie: a=b⏎Set-Cookie: c=d⏎Connection: keep-alive, X-Hop"
                           "⏎X-Hop: y⏎Keep-Alive: timeout=5⏎Upgrade: h2c⏎Proxy-Connection: x⏎Transfer-Encoding: chunked⏎⏎"
                           "5⏎hello⏎0⏎⏎"))

    site.app.on("/public/fields", answer)
    with site.http2() as client:
        response = client.get("/public/fields")
    assert (response.status, response.body) == (201, b"hello")
    assert ("x-mixed-case", "A b") in response.headers
    assert response.all("set-cookie") == ["a=b", "c=d"]
    assert response.one("date")
    for name in ("connection", "keep-alive", "upgrade", "proxy-connection", "transfer-encoding", "x-hop"):
        assert response.all(name) == [], name


@pytest.mark.parametrize("answer, status, length", cases({
    "204": ("HTTP/1.1 204 No Content⏎⏎", 204, None), "304": ("HTTP/1.1 304 Not Modified⏎ETag: \"x\"⏎⏎", 304, None),
    "304-length": ("HTTP/1.1 304 Not Modified⏎Content-Length: 1000⏎⏎", 304, "1000"),
    "empty": ("HTTP/1.1 200 OK⏎Content-Length: 0⏎⏎", 200, "0"),
    "empty-chunked": ("HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎0⏎⏎", 200, None),
}))
def test_answers_without_a_body_end_at_once(site, answer, status, length):
    site.app.on("/public/bodiless", lambda exchange: crlf(answer))
    with site.http2() as client:
        response = client.get("/public/bodiless")
        assert (response.status, response.body) == (status, b"")
        assert response.one("content-length") in (length, None)
        assert client.get("/public/next").status == 200


@pytest.mark.parametrize("answer", ["HTTP/1.1 200 OK⏎Content-Length: 1000⏎⏎",
                                    "HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎",
                                    "HTTP/1.1 200 OK⏎⏎"], ids=["length", "chunked", "none"])
def test_the_answer_to_head_has_no_body(site, answer):
    site.app.on("/public/head", lambda exchange: crlf(answer))
    with site.http2() as client:
        response = client.request("HEAD", "/public/head")
        assert (response.status, response.body) == (200, b"")
        assert response.one("content-length") == ("1000" if "1000" in answer else None)
        assert client.get("/public/next").status == 200


@pytest.mark.parametrize("framing", ["length", "chunked", "until-close"])
def test_a_body_passes_however_the_app_frames_it(site, framing):
    def answer(exchange):
        if framing == "length":
            return http1.response_bytes(200, body=PIECE)
        if framing == "chunked":
            exchange.send(crlf("HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎") + b"%x\r\n" % len(PIECE) + PIECE
                          + b"\r\n0\r\n\r\n")
            return None
        exchange.send(crlf("HTTP/1.1 200 OK⏎⏎") + PIECE)
        exchange.close()

    site.app.on("/public/framing", answer)
    with site.http2() as client:
        for _ in range(3):
            response = client.get("/public/framing")
            assert response.body == PIECE
            assert response.one("content-length") == (str(len(PIECE)) if framing == "length" else None)


def test_a_connection_serves_many_requests_one_after_another(site):
    with site.http2() as client:
        seen = [app_saw(client.get(f"/public/{number}")) for number in range(300)]
    assert [request.path for request in seen] == [f"/public/{number}" for number in range(300)]
    assert len({request.connection for request in seen}) == 1, "the app's connection is kept, too"


def test_parallel_requests_are_answered_each_when_it_is_ready(new_site):
    """The first asked is answered last."""
    site = new_site(routes=OPEN)
    go_on = threading.Event()

    def slow(exchange):
        assert go_on.wait(PATIENCE)
        return http1.response_bytes(200, body=b"slow")

    site.app.on("/slow", slow)
    with site.http2() as client:
        first = client.open(path="/slow")
        others = {client.open(path=f"/{number}"): f"/{number}" for number in range(50)}
        for stream, path in others.items():
            assert app_saw(client.read_response(stream)).path == path
        assert not client.answer(first).over
        go_on.set()
        assert client.read_response(first).body == b"slow"


@pytest.mark.parametrize("status", [200, 404, 418, 503])
def test_the_status_passes(site, status):
    with site.http2() as client:
        assert client.get(asked("/public/x", status=status)).status == status


def test_an_answers_head_may_be_larger_than_a_frame(site):
    """RFC 9113 section 4.3: in CONTINUATIONs. Cookies of apps are as long as that."""
    cookies = [f"c{number}=" + chr(97 + number) * 4000 for number in range(10)]
    site.app.on("/public/cookies", lambda exchange: http1.response_bytes(
        200, [("Set-Cookie", cookie) for cookie in cookies], b"hello"))
    with site.http2() as client:
        for _ in range(3):
            response = client.get("/public/cookies")
            assert (response.status, response.body, response.all("set-cookie")) == (200, b"hello", cookies)


def test_early_hints_are_relayed(site):
    def hint(exchange):
        exchange.send(crlf("HTTP/1.1 103 Early Hints⏎Link: </style.css>; rel=preload⏎⏎"))
        return http1.response_bytes(200, body=b"page")

    site.app.on("/public/hints", hint)
    with site.http2() as client:
        response = client.get("/public/hints")
    assert [(one.status, one.one("link")) for one in response.interim] == [(103, "</style.css>; rel=preload")]
    assert response.body == b"page"


def test_a_storm_of_interim_answers_ends_well(site):
    """S12, over HTTP/2."""
    def storm(exchange):
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n" * 10_000)
        return http1.response_bytes(200, body=b"at last")

    site.app.on("/public/storm", storm)
    with site.frames() as client, site.gateway.flat_memory(ALLOWANCE):
        stream = client.open(request_fields(path="/public/storm"))
        assert client.outcome(stream) in ("200", "502", "RST INTERNAL_ERROR")
        assert client.outcome(client.open()) == "200"
    site.canary()


def test_a_switch_of_protocols_that_nobody_asked_for_is_502(site):
    """RFC 9113 section 8.6: there is no 101 in HTTP/2."""
    site.app.on("/public/101", lambda exchange: crlf("HTTP/1.1 101 Switching⏎⏎"))
    with site.http2() as client:
        assert client.get("/public/101").status == 502
    site.canary()


@pytest.mark.parametrize("answer", cases({
    "cl-te": "HTTP/1.1 200 OK⏎Content-Length: 5⏎Transfer-Encoding: chunked⏎⏎0⏎⏎", "nonsense": "hello⏎⏎",
    "nul": "HTTP/1.1 200 OK⏎X: a\0b⏎Content-Length: 0⏎⏎", "cr": "HTTP/1.1 200 OK⏎X: a\rb⏎Content-Length: 0⏎⏎",
    "pseudo": "HTTP/1.1 200 OK⏎:status: 200⏎Content-Length: 0⏎⏎", "closed": "",
}))
def test_an_answer_that_is_not_http_becomes_502(site, answer):
    def misbehave(exchange):
        exchange.send(crlf(answer))
        if not answer:
            exchange.close()

    site.app.on("/public/bad", misbehave)
    with site.http2() as client:
        assert client.request("POST", "/public/bad", body=b"x").status == 502
        assert client.get("/public/next").status == 200
    site.canary()


def test_trailers_of_the_app_are_dropped(site):
    site.app.on("/public/trailers", lambda exchange: crlf(
        "HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎Trailer: Set-Cookie⏎⏎5;x=y⏎hello⏎0⏎Set-Cookie: __Host-session=x⏎⏎"))
    with site.http2() as client:
        stream = client.open(path="/public/trailers")
        response = client.read_response(stream)
        assert response.body == b"hello" and response.all("set-cookie") == []
        assert not [name for name, _ in client.answer(stream).trailers if name == "set-cookie"]


def test_trailers_of_the_request_are_dropped(site):
    """S7 and H6: never merged into the head."""
    alice = site.browser("alice")
    before = len(site.requests())
    with site.http2() as client:
        stream = client.open("POST", "/x", {"cookie": alice.cookie_header, "trailer": "x-user-id"}, end=False)
        client.send_body(stream, b"hello")
        client.send_trailers(stream, [("x-user-id", "admin"), ("x-session-user", "admin"), ("authorization", "Basic eDp5"),
                                      ("cookie", "a=b"), ("x-checksum", "1")])
        seen = app_saw(client.read_response(stream))
    assert (seen.body, seen.one("X-User-Id"), seen.one("Host")) == (b"hello", "alice", "example.test")
    for name in ("X-Session-User", "X-Checksum", "Cookie", "Authorization", "Trailer"):
        assert seen.all(name) == [], name
    site.canary()
    assert len(site.requests()) == before + 1


@pytest.mark.parametrize("name, value", [("content-length", "7"), ("content-length", "5"), ("host", "evil")])
def test_trailers_that_would_frame_or_route_are_dropped_or_refused(site, name, value):
    """S7; RFC 9110 section 6.5.1"""
    before = len(site.requests())
    with site.frames() as client:
        stream = client.open(request_fields("POST"), end=False)
        client.send(frame(DATA, stream, b"hello"), frame(HEADERS, stream, block([(name, value)]), END_STREAM | END_HEADERS))
        assert client.outcome(stream) in MALFORMED | {"200"}
    site.canary()
    for seen in site.requests()[before:]:
        assert (seen.body, seen.one("Host")) == (b"hello", "example.test") or not seen.complete


def test_each_request_is_one_line_of_the_access_log(site):
    alice = site.browser("logged", kind=Http2Browser)
    response = alice.fetch("POST", "/a/./b?secret=1", body=b"hello")
    request_id = app_saw(response).one("X-Request-Id")
    line = site.gateway.access_line(request_id)
    expected = {"client": "127.0.0.1", "method": "POST", "host": "example.test", "path": "/a/b", "protocol": "HTTP/2.0",
                "status": 200, "user": "logged", "upstream": "app", "server": site.app.address, "bytes_in": 5,
                "bytes_out": len(response.body)}
    assert {name: line.get(name) for name in expected} == expected
    assert line["duration_ms"] > 0 and len(line["session"]) == 8
    assert len([one for one in site.gateway.access_log() if one["request_id"] == request_id]) == 1


@pytest.mark.parametrize("path, method, status", [("/x", "GET", 401), ("/public/%00", "GET", 400),
                                                  ("/public/x", "TRACE", 405)])
def test_what_the_gateway_answers_itself_is_logged_with_its_reason(site, path, method, status):
    with site.http2() as client:
        response = client.request(method, path)
    assert response.status == status
    line = site.gateway.access_line(response.json()["request_id"])
    assert (line["status"], line["protocol"]) == (status, "HTTP/2.0") and line["reason"] and "upstream" not in line


# ---- bodies -------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def wide(module_sites):
    """A gateway without sessions on its way, and an app that swallows and pours."""
    site = module_sites(routes=OPEN)

    def pour(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
        for _ in range(BIG // len(PIECE)):
            exchange.send(PIECE)

    site.app.on("/swallow", lambda exchange: http1.response_bytes(200, body=b"%d %d" % checksum(exchange.pieces())))
    site.app.on("/pour", pour)
    with site.client() as client:
        client.get("/warm")
    return site


def pour_counted(app, path: str) -> list[int]:
    """Has the app pour without end there; what it could send is counted in the list."""
    sent = []

    def pour(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % ENDLESS)
        try:
            for _ in range(ENDLESS // len(PIECE)):
                exchange.send(PIECE)
                sent.append(len(PIECE))
        except OSError:
            pass

    app.on(path, pour)
    return sent


def stands_still(counted: list[int]) -> int:
    """The sum, once it does not grow any more."""
    before = -1
    while before != sum(counted):
        before = sum(counted)
        wait_for_protocol_time(0.3 * PACE)
    return before


@pytest.mark.parametrize("length, data, framing", cases({
    "length": ("5", b"hello", 5), "none": (None, b"hello", "chunked"), "zero": ("0", b"", 0),
}))
def test_a_body_is_framed_for_the_app(site, length, data, framing):
    """By its length where the client says it, in chunks otherwise."""
    fields = request_fields("POST", headers={"content-length": length} if length else {})
    seen = accepted(site, fields, data)
    assert (seen.framing, seen.body) == (framing, data)


@pytest.mark.parametrize("fields, framings", cases({
    "post-without-a-body": (request_fields("POST"), (None, 0)),
    "post-of-length-0": (request_fields("POST", headers={"content-length": "0"}), (0, None)),
}))
def test_a_head_that_ends_the_request_announces_no_body(site, fields, framings):
    seen = accepted(site, fields)
    assert seen.framing in framings and seen.body == b""


def test_a_get_may_have_a_body(site):
    assert accepted(site, request_fields("GET"), b"hello").body == b"hello"


def test_a_body_may_end_in_an_empty_frame(site):
    with site.frames() as client:
        stream = client.open(request_fields("POST"), end=False)
        client.send(frame(DATA, stream, b"hello"), frame(DATA, stream), frame(DATA, stream, b"", END_STREAM))
        assert client.outcome(stream) == "200"
    assert site.requests()[-1].body == b"hello"


@pytest.mark.parametrize("announced", [True, False], ids=["length", "chunks"])
def test_a_big_upload_is_streamed(wide, announced):
    with wide.http2() as client, wide.gateway.flat_memory(ALLOWANCE):
        stream = client.open("POST", "/swallow", {"content-length": str(BIG)} if announced else {}, end=False)
        for _ in range(BIG // len(PIECE)):
            assert client.send_body(stream, PIECE) == len(PIECE)
        client.send_body(stream, b"", end=True)
        assert client.read_response(stream).body == b"%d %d" % expected_checksum()
    assert wide.app.requests("/swallow")[-1].framing == (BIG if announced else "chunked")


@pytest.mark.parametrize("window", [WINDOW, 2**20, 1000])
def test_a_big_download_is_streamed(wide, window):
    size, path = BIG, "/pour"
    if window < WINDOW:
        size, path = 2**20, "/pour-a-little"
        wide.app.on(path, lambda exchange: http1.response_bytes(200, body=PIECE * (size // len(PIECE))))
    with wide.http2(settings={SettingCodes.INITIAL_WINDOW_SIZE: window}) as client, wide.gateway.flat_memory(ALLOWANCE):
        stream = client.open(path=path)
        client.sink[stream] = body = Checksum()
        client.read_response(stream)
        assert body.value == expected_checksum(size)
        assert client.get("/after").status == 200


def test_a_client_that_gives_no_credit_stops_the_app_and_none_of_its_other_requests(wide):
    """RFC 9113 section 5.2: back-pressure by stream. What nobody reads is not fetched."""
    sent = pour_counted(wide.app, "/slow-reader")
    with wide.http2(crediting=False) as client, wide.gateway.flat_memory(ALLOWANCE):
        client.credit(0, 2**24)  # the connection's window is wide, the stream's is not
        stream = client.open(path="/slow-reader")
        client.pump_until(lambda: client.answer(stream).response and len(client.answer(stream).response.body) == WINDOW)
        assert stands_still(sent) < 32 * 2**20, "the app could send although nobody read"
        assert client.get("/meanwhile").status == 200
        client.credit(stream, 100_000)
        client.pump_until(lambda: len(client.answer(stream).response.body) == WINDOW + 100_000)
        client.reset(stream)


def test_a_client_that_reads_nothing_at_all_stops_the_app(wide):
    """The window is open, the client's TCP is not."""
    sent = pour_counted(wide.app, "/no-reader")
    with wide.http2(settings={SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1}, receive_buffer=65536) as client:
        client.credit(0, 2**30)
        with wide.gateway.flat_memory(ALLOWANCE):
            client.open(path="/no-reader")
            poll(lambda: sent, "the app pours")
            assert stands_still(sent) < 64 * 2**20, "the app could send although nobody read"
            wide.canary_open()


@pytest.fixture
def stuck(wide):
    """A path where the app takes a request, and nothing of its body until the test is over."""
    done = threading.Event()

    def refuse_to_read(exchange):
        done.wait(PATIENCE * 3)
        exchange.close()

    wide.app.on("/stuck", refuse_to_read)
    yield "/stuck"
    done.set()


@pytest.mark.parametrize("announced", [True, False], ids=["length", "chunks"])
def test_an_app_that_does_not_read_stops_the_client_and_none_of_its_other_requests(wide, stuck, announced):
    """Back-pressure the other way; the connection's window is not left to one stream."""
    with wide.http2() as client, wide.gateway.flat_memory(ALLOWANCE):
        stream = client.open("POST", stuck, {"content-length": str(ENDLESS)} if announced else {}, end=False)
        with pytest.raises(TimeoutError) as stalled:
            client.send_body(stream, bytes(64 * 2**20), patience=PACE)
        assert stalled.value.args[0] < 32 * 2**20, "the client could send although nobody read"
        assert client.get("/meanwhile").status == 200
        assert app_saw(client.request("POST", "/beside", body=PIECE)).body == PIECE, "one stuck upload blocks the others"


def test_an_upload_goes_on_when_the_app_reads_on(wide):
    go_on = threading.Event()

    def read_late(exchange):
        assert go_on.wait(PATIENCE)
        return http1.response_bytes(200, body=b"%d %d" % checksum(exchange.pieces()))

    wide.app.on("/late-reader", read_late)
    size = 32 * 2**20
    with wide.http2() as client:
        stream = client.open("POST", "/late-reader", end=False)
        data = PIECE * (size // len(PIECE))
        with pytest.raises(TimeoutError) as stalled:
            client.send_body(stream, data, patience=PACE)
        go_on.set()
        client.send_body(stream, data[stalled.value.args[0]:], end=True)
        assert client.read_response(stream).body == b"%d %d" % checksum([data])


def test_padding_counts_in_the_windows_and_comes_back(wide):
    """RFC 9113 section 6.1: padding is flow-controlled; not giving it back would stop the connection."""
    with wide.http2() as client:
        for _ in range(8):
            stream = client.open("POST", "/padded", end=False)
            for _ in range(300):
                client.send_body(stream, b"x", pad=255)
            client.send_body(stream, b"", end=True)
            assert app_saw(client.read_response(stream)).body == b"x" * 300


def test_bodies_that_nobody_reads_do_not_use_up_the_connection(wide):
    """RFC 9113 section 5.1 and 6.9: what comes for a closed stream counts in the connection's window all the same."""
    wide.app.on("/not-interested", lambda exchange: (exchange.send(http1.response_bytes(403)), exchange.close())[0])
    with wide.http2() as client:
        for _ in range(60):
            stream = client.open("POST", "/not-interested", end=False)
            try:
                client.send_body(stream, bytes(50_000), end=True)
            except TimeoutError as stalled:
                pytest.fail(f"no credit for it, after {stalled} bytes")
            assert client.outcome(stream) in ("403", "502", "RST NO_ERROR")
        assert app_saw(client.request("POST", "/after", body=PIECE)).body == PIECE


def test_chunks_arrive_as_they_are_sent(wide):
    go_on = threading.Event()

    def in_pieces(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert go_on.wait(PATIENCE)
        exchange.send(b"6\r\nsecond\r\n0\r\n\r\n")

    wide.app.on("/pieces", in_pieces)
    with wide.http2() as client:
        stream = client.open(path="/pieces")
        client.pump_until(lambda: client.answer(stream).response and client.answer(stream).response.body)
        assert client.answer(stream).response.body == b"first"
        go_on.set()
        assert client.read_response(stream).body == b"firstsecond"


def test_an_upload_arrives_as_it_is_sent(wide):
    arrived, got_first = [], threading.Event()

    def first_piece(exchange):
        arrived.append(next(exchange.pieces()))
        got_first.set()
        return http1.response_bytes(200, body=exchange.read_body())

    wide.app.on("/upload-pieces", first_piece)
    with wide.http2() as client:
        stream = client.open("POST", "/upload-pieces", end=False)
        client.send_body(stream, b"first")
        assert got_first.wait(PATIENCE) and arrived == [b"first"]
        client.send_body(stream, b"second", end=True)
        assert client.read_response(stream).body == b"second"


def test_an_answer_may_come_before_the_upload_is_over(wide):
    """Both ways at once, as a chat would."""
    def chat(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in exchange.pieces():
            exchange.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
        exchange.send(b"0\r\n\r\n")

    wide.app.on("/chat", chat)
    with wide.http2() as client:
        stream = client.open("POST", "/chat", end=False)
        said = b""
        for word in (b"one ", b"two ", b"three"):
            client.send_body(stream, word)
            said += word
            client.pump_until(lambda: client.answer(stream).over or client.answer(stream).response
                              and client.answer(stream).response.body == said)
            assert client.answer(stream).response.body == said
        client.send_body(stream, b"", end=True)
        assert client.read_response(stream).body == said


@pytest.mark.parametrize("close", [True, False])
def test_an_app_that_refuses_an_upload_early_is_heard(wide, close):
    """413 while the client is still sending."""
    def refuse(exchange):
        exchange.send(http1.response_bytes(413, {"Connection": "close"} if close else {}, b"too large"))
        if close:
            exchange.close()

    wide.app.on("/refuse", refuse)
    with wide.http2() as client:
        stream = client.open("POST", "/refuse", end=False)
        client.send_body(stream, bytes(8 * 2**20), end=True)
        client.pump_until(lambda: client.answer(stream).over)
        response = client.answer(stream).response
        assert response and (response.status, response.body) == (413, b"too large")
        assert client.answer(stream).reset in (None, ErrorCodes.NO_ERROR), "RFC 9113 section 8.1"
        assert client.get("/after").status == 200


def test_an_app_that_answers_early_is_not_asked_again_on_that_connection(site):
    """S11: the client never sends the body that the app did not wait for."""
    def early(exchange):
        exchange.send(http1.response_bytes(200, body=b"early"))
        assert exchange.gone(), "the gateway went on with a connection whose request is unfinished"
        exchange.close()

    site.app.on("/public/early", early)
    with site.http2() as client:
        stream = client.open("POST", "/public/early", {"content-length": "44"}, end=False)
        client.pump_until(lambda: client.answer(stream).over)
        assert (client.answer(stream).response.status, client.answer(stream).response.body) == (200, b"early")
        site.canary()
        assert client.get("/public/after").status == 200
        connection = site.app.connections[site.app.requests("/public/early")[-1].connection - 1]
        poll(connection.closed.is_set, "the app's connection is closed")


def test_the_body_that_was_expected_is_asked_for(wide):
    with wide.http2() as client:
        stream = client.open("POST", "/swallow", {"content-length": "5", "expect": "100-continue"}, end=False)
        answer = client.answer(stream)
        client.pump_until(lambda: answer.interim or answer.over)
        assert [one.status for one in answer.interim] == [100]
        client.send_body(stream, b"hello", end=True)
        assert client.read_response(stream).body == b"%d %d" % checksum([b"hello"])


def test_a_body_that_the_app_does_not_want_is_not_asked_for(wide):
    wide.app.on("/unwanted", lambda exchange: (exchange.send(http1.response_bytes(403)), exchange.close())[0])
    with wide.http2() as client:
        stream = client.open("POST", "/unwanted", {"content-length": "5", "expect": "100-continue"}, end=False)
        client.pump_until(lambda: client.answer(stream).over)
        assert client.answer(stream).response.status == 403 and client.answer(stream).interim == []
        assert client.get("/after").status == 200


def test_a_client_that_does_not_wait_for_continue_is_served(wide):
    with wide.http2() as client:
        stream = client.open("POST", "/swallow", {"content-length": "5", "expect": "100-continue"}, end=False)
        client.send_body(stream, b"hello", end=True)
        assert client.read_response(stream).body == b"%d %d" % checksum([b"hello"])


def test_an_unknown_expectation_is_417(site):
    refused(site, request_fields("POST", headers={"expect": "x"}), "417", body=b"hello")


# ---- who leaves in the middle -------------------------------------------------------------------------------------------

def watched(app, path: str, begin: bytes) -> threading.Event:
    """Has the app begin an answer there, and set the event when its connection is closed."""
    left = threading.Event()

    def watch(exchange):
        if begin:
            exchange.send(begin)
        if exchange.gone():
            left.set()

    app.on(path, watch)
    return left


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin",
                                   b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n"],
                         ids=["thinking", "length", "chunked"])
@pytest.mark.parametrize("how", ["reset", "disconnect"])
def test_a_client_that_gives_up_ends_the_apps_work(wide, begin, how):
    left = watched(wide.app, "/watch", begin)
    before = len(wide.app.requests("/watch"))
    with wide.http2() as client:
        stream = client.open(path="/watch")
        other = client.open("POST", "/other", end=False)
        if begin:
            client.read_head(stream)
        else:
            poll(lambda: len(wide.app.requests("/watch")) > before, "the app is asked")
        if how == "disconnect":
            client.close()
            assert left.wait(PATIENCE)
            return
        client.reset(stream)
        assert left.wait(PATIENCE)
        client.send_body(other, b"hello", end=True)
        assert app_saw(client.read_response(other)).body == b"hello", "the other streams go on"


@pytest.mark.parametrize("announced", [True, False], ids=["length", "chunks"])
@pytest.mark.parametrize("how", ["reset", "disconnect"])
def test_an_upload_that_breaks_off_never_looks_complete(wide, announced, how):
    before = len(wide.app.requests("/swallow"))
    with wide.http2() as client:
        stream = client.open("POST", "/swallow", {"content-length": "10"} if announced else {}, end=False)
        client.send_body(stream, b"hello")
        last = poll(lambda: wide.app.requests("/swallow")[before:], "the head")[-1]
        if how == "reset":
            client.reset(stream)
        else:
            client.close()
        poll(wide.app.connections[last.connection - 1].closed.is_set, "its connection is cut")
        assert not last.complete
        if how == "reset":
            assert client.get("/after").status == 200
    wide.canary_open()


@pytest.mark.parametrize("begin", cases({
    "length": "HTTP/1.1 200 OK⏎Content-Length: 10⏎⏎short", "chunk": "HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎5⏎hel",
    "no-last-chunk": "HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎5⏎hello⏎",
    "bad-chunk": "HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎5⏎hello⏎zz⏎",
}))
def test_an_answer_that_breaks_off_never_looks_complete(wide, begin):
    """RFC 9113 section 8.1: END_STREAM would make it whole."""
    go_on = threading.Event()

    def cut(exchange):
        exchange.send(crlf(begin))
        go_on.wait(PATIENCE)
        exchange.close()

    wide.app.on("/cut", cut)
    with wide.http2() as client:
        stream = client.open(path="/cut")
        if "zz" not in begin:
            assert client.read_head(stream).status == 200
        go_on.set()
        outcome = client.outcome(stream)
        assert outcome in ("RST INTERNAL_ERROR", "RST CANCEL") or "zz" in begin and outcome == "502", outcome
        assert not client.answer(stream).ended or outcome == "502"
        assert client.get("/after").status == 200, "the other streams go on"


# ---- limits and timeouts ------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def limited(module_sites):
    return module_sites(routes=OPEN, limits={"header_bytes": "8KiB", "body_bytes": "64KiB",
                                             "header_timeout": milliseconds(PACE), "idle_timeout": milliseconds(PACE)})


@pytest.mark.parametrize("headers", [{"x": "y" * 9000}, {f"x-{number}": "y" * 50 for number in range(200)},
                                     {f"x-{number}": "" for number in range(1500)}, {"x": "y" * 20_000}],
                         ids=["one-long", "many", "very-many", "with-continuation"])
def test_a_head_that_is_too_large_is_431(limited, headers):
    before = len(limited.app.requests())
    with limited.frames() as client:
        assert client.outcome(client.open(request_fields(headers=headers))) == "431"
        assert client.outcome(client.open()) == "200", "the others go on, and the compression state is intact"
    assert len(limited.app.requests()) == before + 1


def test_a_head_just_below_the_limit_passes(limited):
    with limited.frames() as client:
        assert client.outcome(client.open(request_fields(headers={"x": "y" * 7800}))) == "200"


@pytest.mark.parametrize("length", [9000, 200_000])
def test_a_path_that_is_too_long_is_refused(limited, length):
    with limited.frames() as client:
        assert client.outcome(client.open(request_fields(path="/" + "x" * length))) in (
            "414", "431", "GOAWAY ENHANCE_YOUR_CALM", "GOAWAY COMPRESSION_ERROR")  # a literal too long to decode
    limited.canary_open()


def test_a_body_that_is_announced_too_large_is_413(limited):
    for extra in ({}, {"expect": "100-continue"}):
        with limited.frames() as client:
            assert client.outcome(client.open(request_fields(
                "POST", headers={"content-length": "65537"} | extra), end=False)) == "413"
            assert client.outcome(client.open()) == "200"


def test_a_body_that_becomes_too_large_is_413_or_cut(limited):
    before = len([request for request in limited.app.requests("/large") if request.complete])
    with limited.http2() as client:
        stream = client.open("POST", "/large", end=False)
        client.send_body(stream, bytes(20 * 4096), end=True)
        client.pump_until(lambda: client.answer(stream).over)
        assert client.outcome(stream) in ("413", "RST CANCEL", "RST REFUSED_STREAM", "RST INTERNAL_ERROR")
        assert client.get("/after").status == 200
    assert len([request for request in limited.app.requests("/large") if request.complete]) == before


def test_a_body_at_the_limit_passes(limited):
    with limited.http2() as client:
        assert len(app_saw(client.request("POST", "/x", body=b"x" * 65536)).body) == 65536


def test_a_connection_without_a_request_is_closed(limited):
    """SPEC section 5: limits.idle_timeout. RFC 9113 section 9.1: with GOAWAY."""
    with limited.frames() as client:
        assert client.farewell() == "GOAWAY NO_ERROR"
    with limited.frames() as client:
        assert client.outcome(client.open()) == "200"
        began = time.monotonic()
        assert client.farewell() == "GOAWAY NO_ERROR"
        assert time.monotonic() - began > 0.7 * PACE


def test_pings_do_not_keep_an_idle_connection(limited):
    """It is one "without a request" all the same."""
    with limited.frames() as client:
        deadline = time.monotonic() + PATIENCE
        while client.send(frame(6, 0, b"12345678")):
            assert time.monotonic() < deadline, "it stays open"
            wait_for_protocol_time(0.1 * PACE)
            client.pump_arrived()
        assert client.farewell() == "GOAWAY NO_ERROR"


def test_a_slow_request_does_not_count_as_idle(limited):
    limited.app.on("/slow", lambda exchange: wait_for_protocol_time(1.8 * PACE) or http1.response_bytes(200, body=b"slow"))
    with limited.http2() as client:
        assert client.get("/slow").body == b"slow"


@pytest.mark.parametrize("begin", cases({
    "silent": b"", "half-a-preface": PREFACE[:10], "preface-only": PREFACE,
}))
def test_a_connection_that_does_not_begin_in_time_is_closed(limited, begin):
    with limited.frames(preface=begin) as client:
        began = time.monotonic()
        assert client.farewell().startswith(("GOAWAY", "closed"))
        assert time.monotonic() - began < 2 * PACE + PATIENCE / 2
    limited.canary_open()


@pytest.fixture(scope="module")
def unhurried(module_sites):
    """header_timeout is far from idle_timeout."""
    return module_sites(routes=OPEN, limits={"header_timeout": milliseconds(1.5 * PACE), "idle_timeout": "75s"})


@pytest.mark.parametrize("dripping", [False, True], ids=["silent", "dripping"])
@pytest.mark.parametrize("begin", ["head-without-end", "half-a-frame"])
def test_a_head_that_does_not_end_in_time_ends_the_connection(unhurried, begin, dripping):
    """SPEC section 5: limits.header_timeout; single bytes do not extend it."""
    unfinished = block(request_fields())
    with unhurried.frames() as client:
        assert client.outcome(client.open()) == "200"
        stream = client.take_stream()
        whole = frame(HEADERS, stream, unfinished, END_STREAM)
        client.send(whole if begin == "head-without-end" else whole[:20])
        began = time.monotonic()
        drip = iter(whole[20:]) if begin == "half-a-frame" else None
        while dripping and time.monotonic() < began + PATIENCE:
            piece = frame(CONTINUATION, stream, block([("x", "y")])) if drip is None else bytes([next(drip)])
            if not client.send(piece):
                break
            wait_for_protocol_time((0.3 if drip is None else 0.1) * PACE)  # few: CONTINUATIONs are counted, too
            client.pump_arrived()
        client.farewell()
        assert PACE < time.monotonic() - began < 1.5 * PACE + PATIENCE / 2
    unhurried.canary_open()


def test_an_upload_that_stalls_is_ended(limited):
    """As over HTTP/1: idle_timeout for the next byte."""
    before = len(limited.app.requests("/stalled"))
    with limited.frames() as client:
        stream = client.open(request_fields("POST", "/stalled"), end=False)
        client.send(frame(DATA, stream, b"hello"))
        outcome = client.outcome(stream)
        assert outcome in ("408", "RST CANCEL", "RST INTERNAL_ERROR", "GOAWAY NO_ERROR"), outcome
    last = limited.app.requests("/stalled")[before]
    poll(limited.app.connections[last.connection - 1].closed.is_set, "its connection is cut")
    assert not last.complete


def test_an_answer_that_nobody_takes_is_given_up(limited):
    """No window for idle_timeout: the app is let go."""
    sent = pour_counted(limited.app, "/untaken")
    with limited.frames() as client:
        stream = client.open(request_fields(path="/untaken"))
        poll(lambda: sent, "the app pours")
        client.pump_until(lambda: client.answer(stream).over or client.goaway, patience=4 * PACE + PATIENCE)
        assert client.answer(stream).reset is not None or client.goaway, "it waits for ever"
    last = limited.app.requests("/untaken")[-1]
    poll(limited.app.connections[last.connection - 1].closed.is_set, "the app's connection is closed")


def test_an_app_that_does_not_answer_in_time_is_504(new_site):
    site = new_site(routes=OPEN, upstreams={"app": {"response_timeout": "500ms"}})
    site.app.on("/never", lambda exchange: exchange.gone() and None)
    with site.http2() as client:
        assert client.get("/never").status == 504
        assert client.get("/next").status == 200


# ---- the drain ----------------------------------------------------------------------------------------------------------

def test_sigterm_cuts_no_request_in_flight(new_site):
    """RFC 9113 section 6.8: GOAWAY, the streams go on, and the process ends with the last."""
    site = new_site(threads=2)
    arrived, go_on = threading.Semaphore(0), threading.Event()

    def slow(exchange):
        arrived.release()
        body = exchange.read_body()
        assert go_on.wait(PATIENCE)
        return http1.response_bytes(200, body=b"late " + body)

    def long_download(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        arrived.release()
        assert go_on.wait(PATIENCE)
        exchange.send(b"-last")

    site.app.on("/public/slow", slow)
    site.app.on("/public/download", long_download)
    with site.http2() as client, site.http2() as idle, site.http2() as fresh:
        assert idle.get("/public/x").status == 200
        assert fresh.is_alive()
        thinking, downloading = client.open(path="/public/slow"), client.open(path="/public/download")
        uploading = client.open("POST", "/public/slow", end=False)
        client.send_body(uploading, b"hello")
        for _ in range(3):
            assert arrived.acquire(timeout=PATIENCE)
        site.gateway.terminate()
        assert idle.farewell() == "GOAWAY NO_ERROR"
        assert fresh.farewell() == "GOAWAY NO_ERROR"
        client.pump_until(lambda: client.goaway)
        assert error_name(client.goaway.error_code) == "NO_ERROR" and client.goaway.last_stream_id >= uploading
        assert site.gateway.process.poll() is None, "it has not waited"
        go_on.set()
        client.send_body(uploading, b"-end!", end=True)
        assert client.read_response(thinking).body == b"late "
        assert client.read_response(uploading).body == b"late hello-end!"
        assert client.read_response(downloading).body == b"first-last"
        assert client.farewell() == "GOAWAY NO_ERROR"
        assert client.goaway.last_stream_id in (uploading, 2**31 - 1)
    site.gateway.stop()


def test_a_request_that_crosses_goaway_is_served_or_may_be_sent_again(new_site):
    """RFC 9113 section 6.8: above the last stream id nothing was done."""
    site = new_site(routes=OPEN)
    asked_for, go_on = threading.Event(), threading.Event()

    def slow(exchange):
        asked_for.set()
        assert go_on.wait(PATIENCE)
        return http1.response_bytes(200, body=b"late")

    site.app.on("/slow", slow)
    with site.http2() as client:
        first = client.open(path="/slow")
        assert asked_for.wait(PATIENCE)
        site.gateway.terminate()
        client.pump_until(lambda: client.goaway)
        crossing = client.open(path="/crossing")
        go_on.set()
        assert client.read_response(first).body == b"late"
        client.farewell()
        served = client.answer(crossing).ended and client.answer(crossing).response.status == 200
        asked_app = bool(site.app.requests("/crossing"))
        if client.goaway.last_stream_id < crossing or client.answer(crossing).reset == ErrorCodes.REFUSED_STREAM:
            assert not asked_app and not served
        else:
            assert asked_app and served, client.answer(crossing)
    site.gateway.stop()


# ---- where it goes ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("fields, host", cases({
    "H6-authority-only": (request_fields(), "example.test"),
    "H6-host-only": (request_fields(host=None, headers={"host": "example.test"}), "example.test"),
    "H6-both": (request_fields(headers={"host": "example.test"}), "example.test"),
    "H6-upper-case": (request_fields(host="EXAMPLE.TEST"), None),
    "H6-both-in-other-cases": (request_fields(host="Example.Test", headers={"host": "example.test"}), None),
    "H6-port": (request_fields(host="example.test:8443"), "example.test:8443"),
}))
def test_authority_and_host_become_the_host(site, fields, host):
    seen = accepted(site, fields)
    assert len(seen.all("Host")) == 1 and seen.one("Host").lower() == (host or "example.test")


@pytest.mark.parametrize("fields", cases({
    "H6-different": request_fields(headers={"host": "localhost"}),
    "H6-different-port": request_fields(headers={"host": "example.test:1"}),
    "H6-two-hosts": request_fields(headers=[("host", "example.test"), ("host", "example.test")]),
    "H6-two-hosts-without-authority": request_fields(host=None, headers=[("host", "example.test")] * 2),
    "H6-neither": request_fields(host=None),
    "H6-empty-authority": request_fields(host=""),
    "H6-empty-host": request_fields(headers={"host": ""}),
    **{f"H6-{name}": request_fields(host=value) for name, value in {
        "userinfo": "user@example.test", "list": "example.test, evil", "path": "example.test/x",
        "port-99999": "example.test:99999", "port-letters": "example.test:b", "open-bracket": "[::1", "space": "example .test",
        "query": "example.test?x", "fragment": "example.test#x", "backslash": "example.test\\x", "high-byte": "caf\xe9",
        "scheme": "https://example.test", "crlf": "example.test\r\nx: y", "nul": "example.test\0", "only-port": ":443",
        "smuggled": "example.test\r\n\r\nGET /public/smuggled HTTP/1.1\r\nhost: x"}.items()},
}))
def test_an_authority_that_is_none_is_refused(site, fields):
    """RFC 9113 section 8.3.1; H5, H6."""
    refused(site, fields)


@pytest.mark.parametrize("server_name, host, status", [
    ("example.test", "example.test", 200), ("example.test", "localhost", 200), ("example.test", "EXAMPLE.TEST", 200),
    ("api.example.test", "api.example.test", 200), ("example.test", "api.example.test", 421),
    ("api.example.test", "example.test", 421), ("example.test", "evil.test", 421),
], ids=lambda name: f"P3-{name}")
def test_a_request_for_a_host_of_another_certificate_is_misdirected(site, server_name, host, status):
    """RFC 9113 section 9.1.1: one connection may carry requests for several hosts, of its certificate only."""
    before = len(site.requests())
    with site.http2(server_name=server_name) as client:
        assert client.get("/public/x", host=host).status == status
        assert client.get("/public/x", host=server_name).status == 200, "the connection goes on for its own hosts"
    assert len(site.requests()) - before == 1 + (status == 200)
    site.canary()


def test_a_host_that_no_route_names_is_not_found(new_site):
    hosts = new_site(routes=[route("/", "public", host="example.test")])
    with hosts.http2() as client:
        for host, status in {"example.test": 200, "EXAMPLE.TEST": 200, "example.test:8443": 200, "localhost": 404}.items():
            assert client.get("/x", host=host).status == status, host
    assert len(hosts.requests()) == 3


@pytest.mark.parametrize("scheme", ["http", "ftp", "", "https\r\n", "https ", "\0", "https\r\n\r\nGET /public/smuggled"])
def test_another_scheme_than_https_is_refused_over_tls(site, scheme):
    """H6; RFC 9113 section 8.3.1"""
    refused(site, request_fields(scheme=scheme))


@pytest.mark.parametrize("path", cases({
    "H6-empty": "", "H6-star": "*", "H6-no-slash": "public/x", "H6-absolute": "https://example.test/public/x",
    "H6-absolute-elsewhere": "https://evil.test/public/x", "H6-authority-form": "example.test:443",
    "H6-fragment": "/public/x#y", "H5-space": "/public/x y", "H5-leading-space": " /public/x",
    "H5-smuggled": "/public/x HTTP/1.1\r\nhost: x\r\n\r\nGET /public/smuggled", "H5-crlf": "/public/x\r\n",
    "H5-lf": "/public/x\ny", "H5-nul": "/public/x\0", "H5-tab": "/public/x\ty", "H5-delete": "/public/x\x7f",
    "P1-raw-byte": "/public/\xe9", "P1-percent-nul": "/public/%00", "P1-slash": "/public/%2f", "P1-backslash": "/public/\\x",
    "P1-short-percent": "/public/%4", "P1-hidden-dots": "/public/%252e%252e/x", "H6-query-only": "?x",
}))
def test_a_path_that_is_none_is_refused(site, path):
    """H5, H6, P1"""
    refused(site, request_fields(path=path))


def test_the_path_is_canonical_for_policy_and_app(site):
    """P1"""
    with site.http2() as client:
        assert app_saw(client.get("//public/./a/../%78?q=//")).target == "/public/x?q=//"
        assert client.get("/public/../admin").status == 401


def test_options_for_the_server_smuggles_nothing(site):
    before = len(site.requests())
    with site.frames() as client:
        assert client.outcome(client.open(request_fields("OPTIONS", "*"))) in ("200", "204", "400", "401", "404", "405")
    site.canary()
    assert len(site.requests()) - before <= 1


@pytest.mark.parametrize("fields, outcomes", cases({
    "S14-trace": (request_fields("TRACE"), ("405",)),
    "S14-connect-with-path": (request_fields("CONNECT"), ("405", *MALFORMED)),
    "S14-connect": ([(":method", "CONNECT"), (":authority", "example.test:443")], ("405", *MALFORMED)),
    "S14-empty-method": (request_fields(""), tuple(MALFORMED)),
    "H5-method-with-space": (request_fields("GET /public/smuggled"), tuple(MALFORMED)),
    "H5-method-with-crlf": (request_fields("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"), tuple(MALFORMED)),
    "H5-method-with-nul": (request_fields("G\0ET"), tuple(MALFORMED)),
}))
def test_methods_that_are_not_for_a_gateway_are_refused(site, fields, outcomes):
    refused(site, fields, *outcomes)


# ---- fields -------------------------------------------------------------------------------------------------------------

GOOD_FIELDS = request_fields()


def without(name: str):
    return [pair for pair in GOOD_FIELDS if pair[0] != name]


@pytest.mark.parametrize("fields", cases({
    **{f"H6-missing{name}": without(name) for name in (":method", ":scheme", ":path")},
    **{f"H6-twice{name}": GOOD_FIELDS + [pair] for pair in GOOD_FIELDS for name in [pair[0]]},
    "H6-two-authorities": GOOD_FIELDS + [(":authority", "evil.test")], "H6-two-paths": GOOD_FIELDS + [(":path", "/public/y")],
    "H6-unknown": GOOD_FIELDS + [(":foo", "bar")], "H6-empty-name": GOOD_FIELDS + [(":", "bar")],
    "H6-status": GOOD_FIELDS + [(":status", "200")], "H6-upper-case": without(":method") + [(":METHOD", "GET")],
    "H6-late": without(":path") + [("x", "y"), (":path", "/public/x")],
    "H6-late-authority": without(":authority") + [("x", "y"), (":authority", "example.test")],
    "H6-protocol": GOOD_FIELDS + [(":protocol", "websocket")], "H6-none": [], "H6-only-regular": [("x", "y")],
}))
def test_pseudo_fields_that_are_not_in_order_are_refused(site, fields):
    """H6; RFC 9113 section 8.3"""
    refused(site, fields)


@pytest.mark.parametrize("trailers", cases({
    "H6-path": [(":path", "/public/y")], "H6-method": [(":method", "GET")], "H6-status": [(":status", "200")],
    "H5-upper-case": [("X-Y", "z")], "H5-crlf": [("x", "y\r\nz: a")], "H6-connection": [("connection", "close")],
}))
def test_trailers_that_are_none_are_refused(site, trailers):
    """H6: no pseudo-fields in trailers (RFC 9113 section 8.1)."""
    before = len([request for request in site.requests() if request.complete])
    with site.frames() as client:
        stream = client.open(request_fields("POST"), end=False)
        client.send(frame(DATA, stream, b"hello"), frame(HEADERS, stream, block(trailers), END_STREAM | END_HEADERS))
        assert client.outcome(stream) in MALFORMED
    site.canary()
    assert len([request for request in site.requests() if request.complete]) == before


def test_a_second_head_that_does_not_end_the_stream_is_refused(site):
    """RFC 9113 section 8.1"""
    before = len([request for request in site.requests() if request.complete])
    with site.frames() as client:
        stream = client.open(request_fields("POST"), end=False)
        client.send(frame(DATA, stream, b"hello"), frame(HEADERS, stream, block([("x", "y")]), END_HEADERS),
                    frame(DATA, stream, b"more", END_STREAM))
        assert client.outcome(stream) in MALFORMED
    site.canary()
    assert len([request for request in site.requests() if request.complete]) == before


@pytest.mark.parametrize("name, value", cases({
    "H6-connection": ("connection", "close"), "H6-connection-names-cookie": ("connection", "cookie"),
    "H6-keep-alive": ("keep-alive", "timeout=5"), "H6-proxy-connection": ("proxy-connection", "keep-alive"),
    "H5-transfer-encoding": ("transfer-encoding", "chunked"), "H5-identity": ("transfer-encoding", "identity"),
    "H6-upgrade": ("upgrade", "websocket"), "H6-te-gzip": ("te", "gzip"), "H6-te-list": ("te", "trailers, gzip"),
    "H6-te-chunked": ("te", "chunked"),
    "H5-upper-case": ("X-Foo", "y"), "H5-upper-case-last": ("fooX", "y"), "H5-space-in-name": ("x y", "z"),
    "H5-colon-in-name": ("x:y", "z"), "H5-colon-ends-name": ("x:", "z"), "H5-empty-name": ("", "z"),
    "H5-crlf-in-name": ("x\r\ny", "z"), "H5-cr-in-name": ("x\ry", "z"), "H5-lf-in-name": ("x\ny", "z"),
    "H5-nul-in-name": ("x\0", "z"), "H5-delete-in-name": ("x\x7f", "z"), "H5-high-byte-in-name": ("x\xe9", "z"),
    "H5-smuggled-by-name": ("x: y\r\n\r\nGET /public/smuggled HTTP/1.1\r\nhost", "z"),
    "H5-crlf": ("x", "a\r\ntransfer-encoding: chunked"), "H5-cr": ("x", "a\rb"), "H5-lf": ("x", "a\nb"), "H5-nul": ("x", "a\0b"),
    "H5-ends-in-crlf": ("x", "a\r\n"), "H5-begins-with-lf": ("x", "\na"), "H5-only-nul": ("x", "\0"),
    "H5-smuggled": ("x", "a\r\n\r\nGET /public/smuggled HTTP/1.1\r\nhost: x"), "H5-leading-space": ("x", " a"),
    "H5-trailing-space": ("x", "a "), "H5-trailing-tab": ("x", "a\t"), "H5-cookie-crlf": ("cookie", "a=b\r\nx-user-id: admin"),
    "H5-user-agent-nul": ("user-agent", "a\0b"),
}))
def test_fields_that_http2_prohibits_make_the_request_malformed(site, name, value):
    """H5, H6; RFC 9113 sections 8.2.1 and 8.2.2"""
    refused(site, GOOD_FIELDS + [(name, value)])


@pytest.mark.parametrize("headers", cases({
    "te-trailers": {"te": "trailers"}, "http2-settings": {"http2-settings": "AAMAAABkAAQAoAAA"}, "empty-value": {"x": ""},
    "tab-inside": {"x": "a\tb"}, "high-bytes": {"x": "caf\xe9"}, "many": {f"x-{number}": "y" for number in range(100)},
}))
def test_fields_that_are_allowed_pass_or_are_dropped(site, headers):
    seen = accepted(site, request_fields(headers=headers))
    for name, value in headers.items():
        assert seen.all(name) == ([] if name in ("te", "http2-settings") else [value]), name


@pytest.mark.parametrize("fields, body", cases({
    "H5-more": (request_fields("POST", headers={"content-length": "3"}), b"hello"),
    "H5-less": (request_fields("POST", headers={"content-length": "9"}), b"hello"),
    "H5-none-came": (request_fields("POST", headers={"content-length": "5"}), None),
    "H5-get": (request_fields("GET", headers={"content-length": "5"}), None),
    **{f"S4-{name}": (request_fields("POST", headers={"content-length": value}), b"hello") for name, value in {
        "plus": "+5", "minus": "-5", "hex": "0x5", "list": "5, 5", "empty": "", "huge": str(2**64 + 5), "letter": "5a",
        "leading-zero": "05"}.items()},
    "S4-two-equal": (request_fields("POST", headers=[("content-length", "5")] * 2), b"hello"),
    "S4-two-different": (request_fields("POST", headers=[("content-length", "5"), ("content-length", "6")]), b"hello"),
}))
def test_a_length_that_does_not_fit_the_body_is_refused(site, fields, body):
    """H5; RFC 9113 section 8.1.1; as strict as S4."""
    refused(site, fields, body=body)


def test_a_body_where_none_was_due_is_no_request(site):
    """H5: the head says it all, so the app may have it already."""
    before = len(site.requests())
    with site.frames() as client:
        stream = client.open(request_fields("POST", headers={"content-length": "0"}), end=False)
        client.send(frame(DATA, stream, b"GET /public/smuggled HTTP/1.1\r\nHost: x\r\n\r\n", END_STREAM))
        assert client.outcome(stream) in MALFORMED
    site.canary()
    assert {(one.path, one.body) for one in site.requests()[before:]} <= {("/public/x", b"")}


def test_a_length_that_is_exceeded_at_once_is_refused_whatever_the_app_says(wide):
    """The excess comes before END_STREAM: it is never the next request on the app's connection."""
    before = len(wide.app.requests())
    with wide.frames() as client:
        stream = client.open(request_fields("POST", "/swallow", {"content-length": "3"}), end=False)
        client.send(frame(DATA, stream, b"abcGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"))
        assert client.outcome(stream) in MALFORMED
    wide.canary_open()
    assert not wide.app.requests("/smuggled")
    assert not [one for one in wide.app.requests()[before:] if one.path == "/swallow" and one.complete]


@pytest.mark.parametrize("name", ["x-user-id", "x-user-org", "x-session-user", "x-session-data", "x_user_id", "x.user.id",
                                  "x-user_id", "x~user-id", "content_length", "transfer_encoding", "x-forwarded-user",
                                  "proxy", "x-original-url", "x-rewrite-url", "x-real-ip", "forwarded"])
def test_identity_is_not_taken_from_the_client(site, name):
    """I1, I3, S5"""
    alice = site.browser("alice")
    with site.http2() as client:
        for path, user in (("/x", "alice"), ("/public/x", None)):
            seen = app_saw(client.get(path, {name: "admin", "cookie": alice.cookie_header}))
            assert seen.one("X-User-Id") == user
            spoofed = [pair for pair in seen.headers if "admin" in pair[1]]
            assert not spoofed, spoofed


# ---- cookies and sessions -----------------------------------------------------------------------------------------------

def test_a_login_begins_a_session_that_rotates(site):
    alice = Http2Browser(site.gateway)
    response = alice.login("alice2")
    cookie = session_cookie(response)
    assert {"secure", "httponly", "path"} <= set(cookie.attributes)
    assert response.all("x-session-user") == []
    seen = [alice.cookie]
    for _ in range(5):
        response = alice.get("/account")
        assert app_saw(response).one("X-User-Id") == "alice2"
        assert "cookie" not in {name.lower() for name, _ in app_saw(response).headers}, "the session cookie is the gateway's"
        seen.append(session_cookie(response).value)
        assert "private" in response.one("cache-control") or "no-store" in response.one("cache-control")
    assert len(set(seen)) == 6
    assert set_cookies(alice.logout())[0].deletes
    assert alice.get("/account").status == 401
    alice.close()


def test_a_session_is_the_same_over_both_protocols(site):
    over_http2 = Http2Browser(site.gateway)
    over_http2.login("both")
    over_http1 = Browser(site.gateway, cookie=over_http2.cookie)
    assert over_http1.user() == "both"
    over_http2.cookie = over_http1.cookie
    assert over_http2.user() == "both"
    for browser in (over_http1, over_http2):
        browser.close()


def test_who_is_not_signed_in_is_refused_or_sent_to_the_login(site):
    with site.http2() as client:
        refusal = client.get("/account")
        assert refusal.status == 401 and refusal.json() and set_cookies(refusal) == []
        page = client.get("/page/x?y=z", {"accept": "text/html", "sec-fetch-mode": "navigate"})
        assert (page.status, page.one("location")) == (302, "/login?next=%2Fpage%2Fx%3Fy%3Dz")
        assert client.get("/page/x", {"sec-fetch-mode": "cors"}).status == 401
        assert client.get("/page/x", {"accept": "text/html"}).status == 302
        upload = client.open("POST", "/account", {"content-length": "100000"}, end=False)
        client.pump_until(lambda: client.answer(upload).over)
        assert client.answer(upload).response.status == 401, "without waiting for the body"
        assert client.get("/public/x").status == 200


def test_each_of_thirty_parallel_requests_gets_the_next_cookie(site):
    """C5: no false logout."""
    alice = site.browser("parallel", kind=Http2Browser)
    seen = set()
    for turn in range(5):
        responses = alice.fetch_all([f"/parallel/{turn}/{number}" for number in range(30)])
        for number, response in enumerate(responses):
            assert response.status == 200, f"turn {turn}: {response}"
            assert app_saw(response).path == f"/parallel/{turn}/{number}"
            assert app_saw(response).one("X-User-Id") == "parallel"
            seen.add(session_cookie(response).value)
    assert len(seen) == 150, "every answer carries a cookie of its own"


def test_parallel_requests_do_not_log_out_while_cookies_die(new_site):
    """C5, R1, with a grace that passes again and again."""
    grace = 0.3 * PACE
    site = new_site(session=rotation(grace))
    alice = site.browser("alice", kind=Http2Browser)
    for turn in range(8):
        responses = alice.fetch_all([f"/{turn}/{number}" for number in range(30)])
        assert {response.status for response in responses} == {200}
        wait_for_protocol_time(0.6 * grace)
    assert not site.gateway.security_log("replay")


def test_a_late_answer_brings_a_cookie_that_is_as_good(new_site):
    """SPEC section 2: minted when the answer is sent."""
    grace = 0.3 * PACE
    site = new_site(session=rotation(grace))
    asked_for, go_on = threading.Event(), threading.Event()

    def slow(exchange):
        asked_for.set()
        assert go_on.wait(PATIENCE)
        return http1.response_bytes(200, body=b"late")

    site.app.on("/slow", slow)
    alice = site.browser("alice", kind=Http2Browser)
    with site.http2() as client:
        stream = client.open(path="/slow", headers={"cookie": alice.cookie_header})
        assert asked_for.wait(PATIENCE)
        for _ in range(12):
            assert alice.user() == "alice"
            wait_for_protocol_time(0.3 * grace)
        go_on.set()
        alice.receive(client.read_response(stream))
    assert alice.user() == "alice"


def test_a_superseded_cookie_ends_the_session(new_site):
    """R2, over HTTP/2."""
    grace = 0.3 * PACE
    site = new_site(session=rotation(grace))
    alice = site.browser("alice", kind=Http2Browser)
    thief = Http2Browser(site.gateway, cookie=outlive(alice, grace))
    refusal = thief.get("/account")
    assert refusal.status == 401 and deletes_cookie(refusal)
    assert site.gateway.await_security("replay", "alice")["client"] == "127.0.0.1"
    assert alice.user() is None
    thief.close()


def test_each_stream_of_a_connection_is_admitted_by_its_own_cookie(site):
    alice, bob = site.browser("alice3"), site.browser("bob3")
    users = [alice, bob, None, bob, alice, None, alice] * 5
    with site.http2() as client:
        streams = [client.open(path=f"/{number}", headers={"cookie": user.cookie_header} if user else {})
                   for number, user in enumerate(users)]
        for number, (stream, user) in enumerate(zip(streams, users)):
            response = client.read_response(stream)
            if user is None:
                assert response.status == 401
                continue
            seen = app_saw(response)
            assert (seen.path, seen.one("X-User-Id")) == (f"/{number}", "alice3" if user is alice else "bob3")


@pytest.mark.parametrize("begun", [True, False], ids=["in-its-answer", "thinking"])
def test_a_revocation_ends_what_the_session_has_open_and_nothing_else(site, begun):
    """R6: streams of that session are closed; another's on the same connection go on."""
    left = watched(site.app, "/watched", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin" if begun else b"")
    go_on = threading.Event()

    def bobs(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegin")
        assert go_on.wait(PATIENCE)
        exchange.send(b"-end")

    site.app.on("/bobs", bobs)
    alice, bob = site.browser("alice4"), site.browser("bob4")
    with site.http2() as client:
        asked_before = len(site.app.requests("/watched"))
        stream = client.open(path="/watched", headers={"cookie": alice.cookie_header})
        other = client.open(path="/bobs", headers={"cookie": bob.cookie_header})
        client.read_head(other)
        if begun:
            client.read_head(stream)
        poll(lambda: len(site.app.requests("/watched")) > asked_before, "the app is asked")
        assert site.gateway.revoke("user=alice4") == 1
        if begun:
            with pytest.raises(Reset):
                client.read_response(stream)
            assert left.wait(PATIENCE)
        else:
            client.reset(stream)
        go_on.set()
        assert client.read_response(other).body == b"begin-end"
        assert client.get("/x", {"cookie": alice.cookie_header}).status == 401
    site.gateway.revoke("user=bob4")


def crumbs(*values: str) -> list[tuple[str, str]]:
    return [("cookie", value) for value in values]


@pytest.mark.parametrize("arrange, app_sees", cases({
    "H7-one-field": (lambda own: crumbs(f"a=1; {own}; b=2"), "a=1; b=2"),
    "H7-one-each": (lambda own: crumbs("a=1", own, "b=2"), "a=1; b=2"),
    "H7-first": (lambda own: crumbs(own, "a=1", "b=2"), "a=1; b=2"),
    "H7-last": (lambda own: crumbs("a=1", "b=2", own), "a=1; b=2"),
    "H7-pairs-around": (lambda own: crumbs("a=1; " + own, "b=2; c=3"), "a=1; b=2; c=3"),
    "H7-alone": (lambda own: crumbs(own), None),
    "H7-other-fields-between": (lambda own: [("cookie", "a=1"), ("x", "y"), ("cookie", own), ("x2", "y"), ("cookie", "b=2")],
                                "a=1; b=2"),
    "H7-junk-beside": (lambda own: crumbs(f"{COOKIE}=junk", own, "b=2"), "b=2"),
    "H7-same-twice": (lambda own: crumbs(own, "a=1", own), "a=1"),
}))
def test_crumbs_of_cookies_are_joined(site, arrange, app_sees):
    """H7; RFC 9113 section 8.2.3; SPEC section 2 for several session cookies."""
    alice = site.browser("crumbs")
    with site.http2() as client:
        response = client.read_response(client.open(path="/x", headers=arrange(alice.cookie_header)))
    assert response.status == 200
    seen = app_saw(response)
    assert (seen.one("X-User-Id"), seen.one("Cookie")) == ("crumbs", app_sees)
    session_cookie(response)


def test_a_session_cookie_cut_in_two_is_none(site):
    """H7: joined by "; ", the halves do not open; the session is not harmed."""
    alice = site.browser("halves")
    half = len(alice.cookie_header) // 2
    with site.http2() as client:
        response = client.read_response(client.open(path="/x", headers=crumbs(alice.cookie_header[:half],
                                                                              alice.cookie_header[half:])))
    assert response.status == 401
    assert alice.user() == "halves"


def test_cookies_of_two_sessions_in_crumbs_are_ambiguous_and_harm_neither(site):
    """H7, C2"""
    alice, bob = site.browser("alice5"), site.browser("bob5")
    with site.http2() as client:
        response = client.read_response(client.open(path="/x", headers=crumbs(alice.cookie_header, "a=1",
                                                                              bob.cookie_header)))
    assert response.status == 401 and set_cookies(response) == []
    assert (alice.user(), bob.user()) == ("alice5", "bob5")


def test_a_thousand_crumbs_are_joined(site):
    """H7"""
    alice = site.browser("thousand")
    pairs = [f"{number}=1" for number in range(1000)]
    with site.http2() as client:
        response = client.read_response(client.open(path="/x", headers=crumbs(*pairs[:500], alice.cookie_header,
                                                                              *pairs[500:])))
    assert response.status == 200
    assert app_saw(response).one("Cookie") == "; ".join(pairs)


# ---- clients as they occur ----------------------------------------------------------------------------------------------

def test_curl_speaks_http2(wide, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(PIECE * 8)
    address = "%s:%d" % wide.gateway.address
    for extra in ([], ["-H", "Expect: 100-continue"]):
        told = subprocess.run(["curl", "-sS", "--http2", "--cacert", wide.gateway.trust, *extra, "--data-binary", f"@{body}",
                               "-w", "%{http_code} %{http_version}", "-o", tmp_path / "out", f"https://{address}/swallow"],
                              capture_output=True, text=True, timeout=PATIENCE)
        assert told.stdout == "200 2", told.stderr
        assert (tmp_path / "out").read_bytes() == b"%d %d" % checksum([body.read_bytes()])


def test_curl_downloads_in_parallel(wide, tmp_path):
    address = "%s:%d" % wide.gateway.address
    told = subprocess.run(["curl", "-sS", "--http2", "--parallel", "--cacert", wide.gateway.trust,
                           "-w", "%{http_code} %{http_version} %{size_download}\n", "-o", tmp_path / "#1",
                           f"https://{address}/pour?[1-4]"], capture_output=True, text=True, timeout=PATIENCE * 3)
    assert told.stdout.split("\n")[:-1] == [f"200 2 {BIG}"] * 4, told.stderr


def test_httpx_keeps_a_session(site):
    address = "https://127.0.0.1:%d" % site.gateway.address[1]
    context = ssl.create_default_context(cafile=str(site.gateway.trust))
    with httpx.Client(http2=True, verify=context, base_url=address, timeout=PATIENCE) as client:
        assert client.get(asked("/login", {"X-Session-User": "httpx"})).status_code == 200
        for _ in range(5):
            response = client.get("/account")
            assert (response.status_code, response.http_version) == (200, "HTTP/2")
            assert ["X-User-Id", "httpx"] in response.json()["headers"]


def test_h2load_finds_no_fault(wide):
    told = subprocess.run(["h2load", "-n", "4000", "-c", "8", "-m", "50", "https://127.0.0.1:%d/x" % wide.gateway.address[1]],
                          capture_output=True, text=True, timeout=PATIENCE * 6)
    assert "4000 succeeded, 0 failed, 0 errored, 0 timeout" in told.stdout, told.stdout + told.stderr


def test_h2load_with_one_session_is_never_logged_out(site):
    """C5: 2000 requests with the same cookie, 200 at a time, over four connections."""
    alice = site.browser("h2load")
    told = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "50", "-H", f"cookie: {alice.cookie_header}", "-H", ":authority: example.test",
                           "https://127.0.0.1:%d/x" % site.gateway.address[1]],
                          capture_output=True, text=True, timeout=PATIENCE * 6)
    assert "status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx" in told.stdout, told.stdout + told.stderr
    assert alice.user() == "h2load"


def test_nghttp_uses_priorities_and_padding(wide, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(PIECE)
    url = "https://127.0.0.1:%d" % wide.gateway.address[1]
    told = subprocess.run(["nghttp", "-y", "--no-verify-peer", "-b", "200", "-p", "32", "-d", str(body), "--window-bits=10", f"{url}/swallow", f"{url}/swallow?2"],
                          capture_output=True, timeout=PATIENCE)
    assert told.stdout == b"%d %d" % checksum([PIECE]) * 2, told.stderr + told.stdout


def test_a_client_may_say_goodbye_first(wide):
    """RFC 9113 section 6.8: its streams are served still."""
    go_on = threading.Event()

    def slow(exchange):
        assert go_on.wait(PATIENCE)
        return http1.response_bytes(200, body=b"late")

    wide.app.on("/goodbye", slow)
    with wide.frames() as client:
        stream = client.open(request_fields(path="/goodbye"))
        client.send(frame(7, 0, bytes(8)))
        go_on.set()
        assert client.outcome(stream) == "200"
        assert client.answer(stream).response.body == b"late"


@pytest.mark.parametrize("name", ["padded-head", "head-with-priority", "continuations", "padded-body", "small-table",
                                  "huge-frames-allowed"])
def test_forms_of_frames_that_are_legal_are_understood(site, name):
    encoded = block(GOOD_FIELDS)
    settings = {"small-table": setting(SettingCodes.HEADER_TABLE_SIZE, 0),
                "huge-frames-allowed": setting(SettingCodes.MAX_FRAME_SIZE, 2**24 - 1)}.get(name, b"")
    with site.frames(settings=settings) as client:
        for _ in range(3):
            stream = client.take_stream()
            if name == "padded-head":
                data = frame(HEADERS, stream, b"\x10" + encoded + bytes(16), END_STREAM | END_HEADERS | PADDED)
            elif name == "head-with-priority":
                data = frame(HEADERS, stream, b"\x80\0\0\0\xff" + encoded, END_STREAM | END_HEADERS | WITH_PRIORITY)
            elif name == "continuations":
                data = frame(HEADERS, stream, encoded[:10], END_STREAM) + frame(CONTINUATION, stream, encoded[10:20])
                data += frame(CONTINUATION, stream, encoded[20:], END_HEADERS)
            elif name == "padded-body":
                data = client.head(stream, request_fields("POST"), end=False)
                data += frame(DATA, stream, b"\x05hello" + bytes(5), END_STREAM | PADDED)
            else:
                data = client.head(stream)
            client.send(data)
            assert client.outcome(stream) == "200"
    assert site.requests()[-1].body == (b"hello" if name == "padded-body" else b"")


def test_the_window_of_an_open_stream_may_shrink_below_zero(wide):
    """RFC 9113 section 6.9.2"""
    size = 300_000
    wide.app.on("/shrinking", lambda exchange: http1.response_bytes(200, body=bytes(size)))
    with wide.frames() as client:
        stream = client.open(request_fields(path="/shrinking"))
        client.pump_until(lambda: client.answer(stream).response and len(client.answer(stream).response.body) == WINDOW)
        client.send(frame(SETTINGS, 0, setting(SettingCodes.INITIAL_WINDOW_SIZE, 0)))
        client.send(frame(8, 0, b"\x00\x10\x00\x00"), frame(8, stream, b"\x00\x00\xff\xff"))
        assert client.is_alive()
        assert len(client.answer(stream).response.body) == WINDOW, "65535 below zero, and as much given: there is no room"
        client.send(frame(8, stream, b"\x00\x00\x00\x0a"))
        client.pump_until(lambda: len(client.answer(stream).response.body) >= WINDOW + 10)
        assert len(client.answer(stream).response.body) == WINDOW + 10
        client.send(frame(SETTINGS, 0, setting(SettingCodes.INITIAL_WINDOW_SIZE, size)))
        assert client.outcome(stream) == "200"
        assert len(client.answer(stream).response.body) == size
