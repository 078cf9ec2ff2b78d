"""Server-sent events and other answers without end: each piece at once, until their session ends."""

import threading
import time

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from harness import http1
from harness.browser import session_cookie
from harness.deadlines import PATIENCE, SCALE, poll, wait_for_protocol_time
from harness.gateway import rotation
from harness.http2 import Reset

SOON = 1 + 2 * SCALE  # seconds: the one that is promised, and what a busy machine takes
HEADS = {
    "chunked": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    "until-close": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    "length": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100000000\r\n\r\n",
}


class Events:
    """An app that sends events when it is told to."""

    def __init__(self, app, path: str, framing: str = "chunked"):
        self._framing, self._begun, self.over = framing, threading.Event(), threading.Event()
        self.left = threading.Event()
        app.on(path, self._serve)

    def _serve(self, exchange) -> None:
        self._exchange = exchange
        exchange.send(HEADS[self._framing])
        self._begun.set()
        if exchange.gone():
            self.left.set()

    def send(self, event: bytes) -> None:
        assert self._begun.wait(PATIENCE)
        self._exchange.send(b"%x\r\n%s\r\n" % (len(event), event) if self._framing == "chunked" else event)


class OverHttp1:
    def __init__(self, gateway, path: str, browser):
        self._client = gateway.client()
        self._client.send(http1.request_bytes("GET", path, {"Cookie": browser.cookie_header}))
        self.response = http1.read_response_head(self._client.reader)
        self._pieces = http1.body_pieces(self.response, self._client.reader)

    def event(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            got += next(self._pieces)
        return got

    def is_cut(self) -> bool:
        """Not ended: cut, so that it cannot be taken for whole."""
        with pytest.raises(http1.Closed):
            next(self._pieces)
        return True

    def close(self) -> None:
        self._client.close()


class OverHttp2:
    def __init__(self, gateway, path: str, browser):
        self._client = gateway.http2()
        self._stream = self._client.open("GET", path, {"cookie": browser.cookie_header})
        self._got = bytearray()
        self._client.sink[self._stream] = self._got.extend
        self.response = self._client.read_head(self._stream)

    def event(self, size: int) -> bytes:
        self._client.pump_until(lambda: len(self._got) >= size)
        got = bytes(self._got[:size])
        del self._got[:size]
        return got

    def is_cut(self) -> bool:
        with pytest.raises(Reset):
            self._client.read_response(self._stream)
        return True

    def close(self) -> None:
        self._client.close()


BOTH = pytest.mark.parametrize("protocol", [OverHttp1, OverHttp2], ids=["http1", "http2"])


class UploadOverHttp1:
    """A request whose body comes in parts, without a known end."""

    def __init__(self, gateway, path: str, browser):
        self._client = gateway.client()
        self._client.send(http1.request_bytes("POST", path, {"Cookie": browser.cookie_header,
                                                             "Transfer-Encoding": "chunked"}))

    def send(self, part: bytes) -> None:
        self._client.send(b"%x\r\n%s\r\n" % (len(part), part))

    def end(self) -> None:
        self._client.send(b"0\r\n\r\n")

    def answer(self):
        return self._client.read_response()

    def close(self) -> None:
        self._client.close()


class UploadOverHttp2:
    def __init__(self, gateway, path: str, browser):
        self._client = gateway.http2()
        self._stream = self._client.open("POST", path, {"cookie": browser.cookie_header}, end=False)

    def send(self, part: bytes) -> None:
        self._client.send_body(self._stream, part)

    def end(self) -> None:
        self._client.send_body(self._stream, b"", end=True)

    def answer(self):
        return self._client.read_response(self._stream)

    def close(self) -> None:
        self._client.close()


UPLOADS = pytest.mark.parametrize("protocol", [UploadOverHttp1, UploadOverHttp2], ids=["http1", "http2"])


class Received:
    """An app that reads what is uploaded, and answers at its end."""

    def __init__(self, app, path: str):
        self.pieces, self.cut = [], threading.Event()
        app.on(path, self._serve)

    def _serve(self, exchange) -> None:
        try:
            self.pieces.extend(exchange.pieces())
        except http1.Closed:
            return self.cut.set()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@BOTH
@pytest.mark.parametrize("framing", HEADS)
def test_events_arrive_one_by_one(site, protocol, framing):
    """Each is read before the next is sent."""
    events = Events(site.app, "/events", framing)
    alice = site.browser("alice")
    client = protocol(site.gateway, "/events", alice)
    assert client.response.one("Content-Type") == "text/event-stream"
    session_cookie(client.response)
    for number in range(50):
        event = b"data: %d\n\n" % number
        began = time.monotonic()
        events.send(event)
        assert client.event(len(event)) == event
        assert time.monotonic() - began < SOON / 2
    client.close()
    assert events.left.wait(PATIENCE), "the app hears that its client has left"


@BOTH
@pytest.mark.parametrize("end", ["logout", "revoked", "login"])
def test_a_stream_ends_with_its_session(site, protocol, end):
    events = Events(site.app, "/events")
    alice = site.browser("alice")
    client = protocol(site.gateway, "/events", alice)
    events.send(b"data: x\n\n")
    client.event(9)
    wait_for_protocol_time(0.6)  # what is shorter may end by itself
    copy = alice.copy()
    {"logout": copy.logout, "login": lambda: copy.login("bob"), "revoked": lambda: site.gateway.revoke("user=alice")}[end]()
    began = time.monotonic()
    assert client.is_cut()
    assert time.monotonic() - began < SOON
    assert events.left.wait(PATIENCE)
    poll(lambda: [line for line in site.gateway.access_log()
                  if line["path"] == "/events" and line.get("reason") == "session_ended"], "its line")


def test_what_the_gateway_keeps_of_an_answer_ends_with_its_session(site):
    """The app has said all, and the client takes none of it yet."""
    site.app.on("/kept", lambda exchange: http1.response_bytes(200, body=bytes(50_000)))
    alice = site.browser("alice")
    with site.gateway.http2(settings={SettingCodes.INITIAL_WINDOW_SIZE: 0}) as client:
        stream = client.open("GET", "/kept", {"cookie": alice.cookie_header})
        client.read_head(stream)
        wait_for_protocol_time(0.6)  # what is shorter may end by itself
        site.gateway.revoke("user=alice")
        began = time.monotonic()
        client.pump_until(lambda: client.answer(stream).over)
        assert client.answer(stream).reset == ErrorCodes.CANCEL and time.monotonic() - began < SOON


@UPLOADS
@pytest.mark.parametrize("end", ["logout", "revoked"])
def test_an_upload_ends_with_its_session(site, protocol, end):
    """An app that has not answered yet gets no more of it, and knows that it is not whole; its client is told."""
    received = Received(site.app, "/upload")
    alice = site.browser("alice")
    upload = protocol(site.gateway, "/upload", alice)
    upload.send(b"one")
    poll(lambda: received.pieces, "the first part")
    wait_for_protocol_time(0.6)  # what is shorter may end by itself
    copy = alice.copy()
    {"logout": copy.logout, "revoked": lambda: site.gateway.revoke("user=alice")}[end]()
    began = time.monotonic()
    answer = upload.answer()
    assert time.monotonic() - began < SOON
    assert answer.status == 401 and answer.json()["error"] == "session_ended"
    assert received.cut.wait(PATIENCE) and received.pieces == [b"one"]
    poll(lambda: [line for line in site.gateway.access_log()
                  if line["path"] == "/upload" and line.get("reason") == "session_ended"], "its line")
    upload.close()


@UPLOADS
def test_a_login_at_the_end_of_an_upload_is_not_cut_with_the_session_that_it_replaces(site, protocol):
    """The long answer belongs to the new one."""
    def sign_in_then_stream(exchange):
        exchange.read_body()
        exchange.send(b"HTTP/1.1 200 OK\r\nX-Session-User: bob\r\nContent-Length: 6\r\n\r\none")
        wait_for_protocol_time(1.5)
        exchange.send(b"two")

    site.app.on("/control/upload", sign_in_then_stream)
    upload = protocol(site.gateway, "/control/upload", site.browser("alice"))
    upload.send(b"one")
    wait_for_protocol_time(0.8)
    upload.end()
    answer = upload.answer()
    assert answer.status == 200 and answer.body == b"onetwo"
    upload.close()


@UPLOADS
def test_an_upload_is_activity(new_site, protocol):
    """It may take longer than the idle timeout."""
    site = new_site(session={"idle_timeout": "1s"} | rotation(0.1))
    received = Received(site.app, "/upload")
    upload = protocol(site.gateway, "/upload", site.browser("alice"))
    for part in range(1, 11):
        upload.send(b"%d" % part)
        poll(lambda: len(received.pieces) == part, "the part")
        wait_for_protocol_time(0.25)
    upload.end()
    answer = upload.answer()
    assert answer.status == 200
    assert "Max-Age=1;" in answer.one("Set-Cookie"), "the cookie lives as long as the session does now"
    upload.close()


@BOTH
def test_a_stream_ends_when_its_session_expires(new_site, protocol):
    site = new_site(session={"idle_timeout": "2s"} | rotation(0.1))
    events = Events(site.app, "/events")
    client = protocol(site.gateway, "/events", site.browser("alice"))
    began = time.monotonic()
    events.send(b"data: x\n\n")
    client.event(9)
    assert client.is_cut()
    assert 1.5 < time.monotonic() - began < 2 + SOON


@BOTH
def test_a_stream_on_another_gateway_ends_when_its_session_expires(new_redis, new_fleet, protocol):
    fleet = new_fleet(new_redis().url, session={"idle_timeout": "2s"} | rotation(0.1))
    events = Events(fleet.app, "/events")
    alice = fleet.browser_at(fleet.a, "alice")
    client = protocol(fleet.b, "/events", alice)
    began = time.monotonic()
    events.send(b"data: x\n\n")
    client.event(9)
    assert client.is_cut()
    assert 1.5 < time.monotonic() - began < 2 + SOON
