"""SECURITY.md section 4: what HTTP/2 is attacked with. The ids of its table begin the ids of the cases; H5 to H7, as far as
they are about single requests, are in test_http2.py. After each attack the canary gets its own answer, and the app has seen
nothing that it should not."""

import socket
import struct
import threading

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hpack import Encoder

from harness import http1
from harness.cases import cases
from harness.deadlines import PACE, PATIENCE, SCALE, poll, wait_for_protocol_time
from harness.gateway import route
from harness.http2 import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY,
                           PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW, WINDOW_UPDATE, block, frame, integer, request_fields,
                           rst_stream, setting, window_update)

SANITIZED = SCALE > 1
ALLOWANCE = 2**30 if SANITIZED else 16 * 2**20  # bytes of memory that an attack may take
MANY = 10_000
# Of 10 000 requests that are reset at once, those that an app may see: clients that leave a page reset a few hundred.
TOLERATED = 1_500
OPEN = [route("/", "public")]


@pytest.fixture(scope="module")
def attacked(module_sites):
    """A gateway whose attackers wait for nothing; warmed up, so that what an attack takes shows."""
    site = module_sites()
    site.canary()
    with site.frames() as client:
        assert client.outcome(client.open(request_fields("POST"), end=True)) == "200"
    return site


def batches(frames, size: int = 200):
    """Joined, to be sent by few system calls."""
    batch = []
    for one in frames:
        batch.append(one)
        if len(batch) == size:
            yield b"".join(batch)
            batch = []
    yield b"".join(batch)


def flood(client, frames, listening: bool = True) -> None:
    """Sends until the gateway closes; what it takes does not tell whether it has had enough, as the kernel takes some too."""
    for batch in batches(frames):
        if not client.send(batch, listening=listening):
            break


def had_enough(client, *codes: str) -> None:
    """The gateway has given the connection up, and said why."""
    farewell = client.farewell()
    assert farewell in {f"GOAWAY {code}" for code in codes}, farewell


class Load:
    """How many requests an app works on at a time."""

    def __init__(self, app, path: str, answer=None):
        self.now = self.most = self.all = 0
        self._lock = threading.Lock()
        self._answer = answer
        app.on(path, self._handle)

    def _handle(self, exchange):
        with self._lock:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)
        try:
            return self._answer(exchange) if self._answer else exchange.gone() and None
        finally:
            with self._lock:
                self.now -= 1


# ---- frames where they do not belong --------------------------------------------------------------------------------------

GOOD = block(request_fields())
POST = block(request_fields("POST", "/public/attacked"))
SETTLE = frame(SETTINGS)


def settings_frame(code: int, value: int) -> bytes:
    return frame(SETTINGS, 0, setting(code, value))


@pytest.mark.parametrize("data, codes", cases({
    # RFC 9113 section 5.1, "idle"
    "H8-data-on-idle": (frame(DATA, 1, b"hello", END_STREAM), ("PROTOCOL_ERROR",)),
    "H8-rst-on-idle": (rst_stream(1), ("PROTOCOL_ERROR",)),
    "H8-window-on-idle": (window_update(1, 100), ("PROTOCOL_ERROR",)),
    "H8-continuation-on-idle": (frame(CONTINUATION, 1, GOOD, END_HEADERS), ("PROTOCOL_ERROR",)),
    # section 5.1.1
    "H8-even-stream": (frame(HEADERS, 2, GOOD, END_HEADERS | END_STREAM), ("PROTOCOL_ERROR",)),
    "H8-stream-0": (frame(HEADERS, 0, GOOD, END_HEADERS | END_STREAM), ("PROTOCOL_ERROR",)),
    "H8-data-on-stream-0": (frame(DATA, 0, b"x"), ("PROTOCOL_ERROR",)),
    "H8-rst-on-stream-0": (rst_stream(0), ("PROTOCOL_ERROR",)),
    "H8-continuation-on-stream-0": (frame(CONTINUATION, 0, GOOD, END_HEADERS), ("PROTOCOL_ERROR",)),
    "H8-priority-on-stream-0": (frame(PRIORITY, 0, bytes(5)), ("PROTOCOL_ERROR",)),
    # section 8.4
    "H8-push-from-client": (frame(HEADERS, 1, POST, END_HEADERS) + frame(PUSH_PROMISE, 1, b"\0\0\0\2" + GOOD, END_HEADERS),
                            ("PROTOCOL_ERROR",)),
    "H8-push-on-stream-0": (frame(PUSH_PROMISE, 0, b"\0\0\0\2" + GOOD, END_HEADERS), ("PROTOCOL_ERROR",)),
    # section 6.10: nothing comes between the pieces of a head
    "H2-data-within-head": (frame(HEADERS, 1, GOOD, END_STREAM) + frame(DATA, 1, b"x"), ("PROTOCOL_ERROR",)),
    "H2-ping-within-head": (frame(HEADERS, 1, GOOD, END_STREAM) + frame(PING, 0, bytes(8)), ("PROTOCOL_ERROR",)),
    "H2-head-within-head": (frame(HEADERS, 1, GOOD, END_STREAM) + frame(HEADERS, 3, GOOD, END_HEADERS | END_STREAM),
                            ("PROTOCOL_ERROR",)),
    "H2-other-continuation": (frame(HEADERS, 1, GOOD, END_STREAM) + frame(CONTINUATION, 3, GOOD, END_HEADERS),
                              ("PROTOCOL_ERROR",)),
    "H2-unknown-within-head": (frame(HEADERS, 1, GOOD, END_STREAM) + frame(200, 0, b"x"), ("PROTOCOL_ERROR",)),
    "H2-continuation-after-head": (frame(HEADERS, 1, POST, END_HEADERS) + frame(CONTINUATION, 1, GOOD, END_HEADERS),
                                   ("PROTOCOL_ERROR",)),
    # section 4.2 and those of each frame
    "H4-frame-too-large": (frame(HEADERS, 1, POST, END_HEADERS) + frame(DATA, 1, bytes(16385)), ("FRAME_SIZE_ERROR",)),
    "H4-head-too-large": (frame(HEADERS, 1, bytes(16385), END_HEADERS), ("FRAME_SIZE_ERROR",)),
    "H4-unknown-too-large": (frame(200, 0, bytes(16385)), ("FRAME_SIZE_ERROR",)),
    "H4-ping-length": (frame(PING, 0, bytes(7)), ("FRAME_SIZE_ERROR",)),
    "H4-ping-on-stream": (frame(PING, 1, bytes(8)), ("PROTOCOL_ERROR",)),
    "H4-settings-length": (frame(SETTINGS, 0, bytes(5)), ("FRAME_SIZE_ERROR",)),
    "H4-settings-ack-with-payload": (frame(SETTINGS, 0, bytes(6), ACK), ("FRAME_SIZE_ERROR",)),
    "H4-settings-on-stream": (frame(SETTINGS, 1), ("PROTOCOL_ERROR",)),
    "H4-settings-push-2": (settings_frame(SettingCodes.ENABLE_PUSH, 2), ("PROTOCOL_ERROR",)),
    "H4-settings-window-2^31": (settings_frame(SettingCodes.INITIAL_WINDOW_SIZE, 2**31), ("FLOW_CONTROL_ERROR",)),
    "H4-settings-frame-size-small": (settings_frame(SettingCodes.MAX_FRAME_SIZE, 16383), ("PROTOCOL_ERROR",)),
    "H4-settings-frame-size-large": (settings_frame(SettingCodes.MAX_FRAME_SIZE, 2**24), ("PROTOCOL_ERROR",)),
    "H4-rst-length": (frame(HEADERS, 1, POST, END_HEADERS) + frame(RST_STREAM, 1, bytes(3)), ("FRAME_SIZE_ERROR",)),
    "H4-window-length": (frame(WINDOW_UPDATE, 0, bytes(3)), ("FRAME_SIZE_ERROR",)),
    "H4-goaway-on-stream": (frame(GOAWAY, 1, bytes(8)), ("PROTOCOL_ERROR",)),
    "H4-goaway-length": (frame(GOAWAY, 0, bytes(7)), ("FRAME_SIZE_ERROR",)),
    "H4-padding-as-long-as-data": (frame(HEADERS, 1, POST, END_HEADERS) + frame(DATA, 1, b"\x06hello", PADDED | END_STREAM),
                                   ("PROTOCOL_ERROR",)),
    "H4-padding-longer-than-head": (frame(HEADERS, 1, b"\xff" + GOOD, PADDED | END_HEADERS | END_STREAM),
                                    ("PROTOCOL_ERROR",)),
    "H4-padded-and-empty": (frame(HEADERS, 1, POST, END_HEADERS) + frame(DATA, 1, b"", PADDED | END_STREAM),
                            ("PROTOCOL_ERROR", "FRAME_SIZE_ERROR")),
    # section 6.9
    "H4-window-0": (window_update(0, 0), ("PROTOCOL_ERROR",)),
    "H4-window-overflow": (window_update(0, 2**31 - 1), ("FLOW_CONTROL_ERROR",)),
    "H4-window-overflow-in-steps": (window_update(0, 2**30) * 2, ("FLOW_CONTROL_ERROR",)),
    # RFC 7541
    "H3-index-0": (frame(HEADERS, 1, b"\x80", END_HEADERS | END_STREAM), ("COMPRESSION_ERROR",)),
    "H3-index-beyond-table": (frame(HEADERS, 1, GOOD + b"\xbe", END_HEADERS | END_STREAM), ("COMPRESSION_ERROR",)),
    "H3-index-huge": (frame(HEADERS, 1, GOOD + b"\xff" * 12, END_HEADERS | END_STREAM), ("COMPRESSION_ERROR",)),
    "H3-name-index-beyond-table": (frame(HEADERS, 1, GOOD + b"\x0f\x60\x01x", END_HEADERS | END_STREAM),
                                   ("COMPRESSION_ERROR",)),
    "H3-table-too-large": (frame(HEADERS, 1, integer(4097, 5, 0x20) + GOOD, END_HEADERS | END_STREAM), ("COMPRESSION_ERROR",)),
    "H3-table-update-late": (frame(HEADERS, 1, GOOD + integer(0, 5, 0x20), END_HEADERS | END_STREAM), ("COMPRESSION_ERROR",)),
    "H3-huffman-padding-8-bits": (frame(HEADERS, 1, GOOD + b"\x00\x01x\x82\x1f\xff", END_HEADERS | END_STREAM),
                                  ("COMPRESSION_ERROR",)),
    "H3-huffman-padding-0-bits": (frame(HEADERS, 1, GOOD + b"\x00\x01x\x81\x18", END_HEADERS | END_STREAM),
                                  ("COMPRESSION_ERROR",)),
    "H3-huffman-end-of-string": (frame(HEADERS, 1, GOOD + b"\x00\x01x\x84\xff\xff\xff\xff", END_HEADERS | END_STREAM),
                                 ("COMPRESSION_ERROR",)),
    "H3-cut-literal": (frame(HEADERS, 1, GOOD + b"\x00\x01x\x05ab", END_HEADERS | END_STREAM), ("COMPRESSION_ERROR",)),
    "H3-cut-integer": (frame(HEADERS, 1, GOOD + b"\xff", END_HEADERS | END_STREAM), ("COMPRESSION_ERROR",)),
    "H3-length-4GiB": (frame(HEADERS, 1, GOOD + b"\x00\x01x" + integer(2**32, 7, 0), END_HEADERS | END_STREAM),
                       ("COMPRESSION_ERROR",)),
}))
def test_an_error_of_the_connection_ends_it(attacked, data, codes):
    """What RFC 9113 calls a connection error: GOAWAY with its code (section 5.4.1), and the app sees no whole request."""
    before = len([request for request in attacked.requests() if request.complete])
    with attacked.frames() as client:
        client.send(data)
        had_enough(client, *codes)
    attacked.canary()
    assert len([request for request in attacked.requests() if request.complete]) == before


@pytest.mark.parametrize("data, outcomes", cases({
    "H4-window-0-on-stream": (lambda stream: window_update(stream, 0), {"RST PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR"}),
    "H4-window-overflow-on-stream": (lambda stream: window_update(stream, 2**31 - 1),
                                     {"RST FLOW_CONTROL_ERROR", "GOAWAY FLOW_CONTROL_ERROR"}),
    "H4-window-overflow-in-steps": (lambda stream: window_update(stream, 2**30) * 2,
                                    {"RST FLOW_CONTROL_ERROR", "GOAWAY FLOW_CONTROL_ERROR"}),
    "H4-window-overflow-by-settings": (
        lambda stream: window_update(stream, 2**31 - 1 - WINDOW) + settings_frame(SettingCodes.INITIAL_WINDOW_SIZE, WINDOW + 1),
        {"GOAWAY FLOW_CONTROL_ERROR", "RST FLOW_CONTROL_ERROR"}),
    "H8-data-after-end": (lambda stream: frame(DATA, stream, b"x"), {"RST STREAM_CLOSED", "GOAWAY STREAM_CLOSED"}),
    "H8-head-after-end": (lambda stream: frame(HEADERS, stream, GOOD, END_HEADERS | END_STREAM),
                          {"RST STREAM_CLOSED", "GOAWAY STREAM_CLOSED", "GOAWAY PROTOCOL_ERROR"}),
    "H4-priority-length": (lambda stream: frame(PRIORITY, stream, bytes(4)), {"RST FRAME_SIZE_ERROR", "GOAWAY FRAME_SIZE_ERROR"}),
}))
def test_an_error_of_a_stream_ends_that_stream(attacked, data, outcomes):
    """RFC 9113 sections 5.1, 6.3, 6.9: while the app thinks about the request."""
    go_on = threading.Event()

    def think(exchange):
        go_on.wait(PATIENCE)
        return http1.response_bytes(200, body=b"late")

    attacked.app.on("/public/think", think)
    before = len(attacked.app.requests("/public/think"))
    with attacked.frames() as client:
        stream = client.open(request_fields(path="/public/think"))
        poll(lambda: len(attacked.app.requests("/public/think")) > before, "the app has it")
        client.send(data(stream))
        assert client.outcome(stream) in outcomes
        go_on.set()
        if not client.goaway:
            assert client.outcome(client.open()) == "200"
    attacked.canary()
    assert len(attacked.app.requests("/public/think")) == before + 1


@pytest.mark.parametrize("data, outcomes", cases({
    "H8-data": (lambda stream: frame(DATA, stream, b"GET /public/smuggled HTTP/1.1\r\nHost: x\r\n\r\n", END_STREAM),
                {"RST STREAM_CLOSED", "GOAWAY STREAM_CLOSED"}),
    "H8-head": (lambda stream: frame(HEADERS, stream, block(request_fields(path="/public/smuggled")), END_HEADERS | END_STREAM),
                {"RST STREAM_CLOSED", "GOAWAY STREAM_CLOSED", "GOAWAY PROTOCOL_ERROR"}),
    "H8-window": (lambda stream: window_update(stream, 100), {"200"}),
    "H8-rst": (rst_stream, {"200"}),
    "H8-priority": (lambda stream: frame(PRIORITY, stream, bytes(5)), {"200"}),
}))
def test_what_comes_for_a_closed_stream_reaches_nobody(attacked, data, outcomes):
    """RFC 9113 section 5.1, "closed"; "200": the stream's answer stays what it was, and the connection goes on."""
    with attacked.frames() as client:
        stream = client.open()
        assert client.outcome(stream) == "200"
        client.send(data(stream))
        if client.is_alive():
            reset = client.answer(stream).reset
            assert (f"RST {ErrorCodes(reset).name}" if reset is not None else "200") in outcomes
            assert client.outcome(client.open()) == "200"
        else:
            had_enough(client, *[outcome.removeprefix("GOAWAY ") for outcome in outcomes])
    attacked.canary()
    assert not attacked.app.requests("/public/smuggled")


def test_a_head_for_a_stream_that_the_client_has_reset_is_an_error(attacked):
    """RFC 9113 section 5.1: also while the app has not noticed yet."""
    Load(attacked.app, "/public/left-early")
    with attacked.frames() as client:
        stream = client.open(request_fields("POST", "/public/left-early"), end=False)
        poll(lambda: attacked.app.requests("/public/left-early"), "the app has it")
        client.send(rst_stream(stream), client.head(stream, request_fields(path="/public/smuggled")))
        had_enough(client, "STREAM_CLOSED", "PROTOCOL_ERROR")
    attacked.canary()
    assert not attacked.app.requests("/public/smuggled")


def test_data_for_a_stream_that_the_client_has_reset_is_an_error(attacked):
    """RFC 9113 section 5.1"""
    with attacked.frames() as client:
        stream = client.open(request_fields("POST", "/public/left-before"), end=False)
        client.send(rst_stream(stream), frame(DATA, stream, b"x"))
        had_enough(client, "STREAM_CLOSED")
    attacked.canary()


def test_what_was_on_its_way_to_a_hundred_streams_when_they_were_reset_is_ignored(attacked):
    """As many as a client may have open: each refused by the app, while DATA for each is on its way."""
    attacked.app.on("/public/refuse-all", lambda exchange: (exchange.send(http1.response_bytes(403)), exchange.close())[0])
    with attacked.frames() as client:
        streams = [client.open(request_fields("POST", "/public/refuse-all"), end=False) for _ in range(100)]
        client.pump_until(lambda: all(client.answer(stream).over for stream in streams))
        assert client.is_alive()
        client.send(*(frame(DATA, stream, bytes(1000), END_STREAM) for stream in streams))
        assert client.is_alive()
        assert client.outcome(client.open()) == "200"
    attacked.canary()


def test_what_the_client_had_sent_before_it_heard_of_a_reset_is_ignored(attacked):
    """RFC 9113 section 5.1: the app refuses the upload; its rest, and its trailers, are on their way."""
    attacked.app.on("/public/refuse", lambda exchange: (exchange.send(http1.response_bytes(403)), exchange.close())[0])
    with attacked.frames() as client:
        for _ in range(20):
            stream = client.open(request_fields("POST", "/public/refuse"), end=False)
            client.pump_until(lambda: client.answer(stream).over)
            assert client.answer(stream).response.status == 403
            client.send(frame(DATA, stream, bytes(10_000)), window_update(stream, 1),
                        frame(HEADERS, stream, block([("x-checksum", "1")]), END_STREAM | END_HEADERS))
            assert client.outcome(client.open()) == "200"
    attacked.canary()


@pytest.mark.parametrize("first, second", [(5, 3), (5, 1), (5, 5)])
def test_a_stream_id_does_not_come_again(attacked, first, second):
    """H8; RFC 9113 section 5.1.1"""
    with attacked.frames() as client:
        assert client.outcome(client.open(stream=first)) == "200"
        client.send(client.head(second, request_fields(path="/public/smuggled")))
        had_enough(client, "PROTOCOL_ERROR", "STREAM_CLOSED")
    attacked.canary()
    assert not attacked.app.requests("/public/smuggled")


def test_the_last_stream_id_is_one(attacked):
    with attacked.frames() as client:
        assert client.outcome(client.open(stream=2**31 - 1)) == "200"
    attacked.canary()


@pytest.mark.parametrize("data", cases({
    "unknown-frame": frame(200, 0, b"hello"), "unknown-frame-on-stream": frame(201, 1, b"hello", 0xff),
    "unknown-setting": settings_frame(0xff00, 1), "unknown-flags": frame(PING, 0, bytes(8), 0xfe),
    "stray-ping-ack": frame(PING, 0, bytes(8), ACK),
    "priority-on-idle": frame(PRIORITY, 7, bytes(5)), "settings-again": SETTLE * 3,
    "reserved-bit": frame(PING, 2**31, bytes(8)), "no-push": settings_frame(SettingCodes.ENABLE_PUSH, 0),
}))
def test_what_must_be_ignored_is_ignored(attacked, data):
    """RFC 9113 sections 4.1, 5.1, 5.5, 6.5.2"""
    with attacked.frames() as client:
        client.send(data)
        assert client.is_alive()
        assert client.outcome(client.open()) == "200"
    attacked.canary()


@pytest.mark.parametrize("begin", cases({
    "http1": b"GET /public/smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n", "wrong-preface": PREFACE.replace(b"SM", b"XX") + SETTLE,
    "no-settings": PREFACE + frame(HEADERS, 1, block(request_fields(path="/public/smuggled")), END_HEADERS | END_STREAM),
    "settings-ack-first": PREFACE + frame(SETTINGS, 0, b"", ACK), "zeros": bytes(1000), "tls": b"\x16\x03\x01\0\0" * 20,
}))
def test_a_wrong_begin_ends_the_connection(attacked, begin):
    """RFC 9113 section 3.4"""
    with attacked.frames(preface=begin) as client:
        assert client.farewell() in {"GOAWAY PROTOCOL_ERROR", "closed"}
    attacked.canary()
    assert not attacked.app.requests("/public/smuggled")


# ---- H1: resets -----------------------------------------------------------------------------------------------------------

def test_rapid_reset_is_ended(attacked):
    """H1, CVE-2023-44487"""
    load = Load(attacked.app, "/public/rapid")
    head = block(request_fields(path="/public/rapid"))
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        flood(client, (frame(HEADERS, stream, head, END_HEADERS | END_STREAM) + rst_stream(stream)
                              for stream in range(1, 2 * MANY, 2)))
        had_enough(client, "ENHANCE_YOUR_CALM")
        attacked.canary()
    poll(lambda: load.now == 0, "the app is let go")
    assert load.all <= TOLERATED and load.most <= 300, (load.all, load.most)
    attacked.canary()


def test_rapid_reset_of_requests_that_the_app_answers_is_ended(attacked):
    """H1: one by one, each once it has reached the app."""
    load = Load(attacked.app, "/public/rapid-answered", lambda exchange: http1.response_bytes(200, body=bytes(1000)))
    head = block(request_fields(path="/public/rapid-answered"))
    with attacked.frames() as client:
        flood(client, (frame(HEADERS, stream, head, END_HEADERS | END_STREAM) + rst_stream(stream)
                              for stream in range(1, 2 * MANY, 2)))
        had_enough(client, "ENHANCE_YOUR_CALM")
    assert load.all <= TOLERATED
    attacked.canary()


@pytest.mark.parametrize("provoke", [rst_stream, lambda stream: window_update(stream, 2**31 - 1)],
                         ids=["H1-by-client", "H1-by-gateway"])
@pytest.mark.parametrize("patient", [False, True], ids=["at-once", "in-turns"])
def test_resets_between_requests_that_the_gateway_answers_itself_are_ended(attacked, provoke, patient):
    """H1: a 401 costs the attacker nothing, so that it must not buy another reset."""
    load = Load(attacked.app, "/public/rapid-between")
    head, refused = block(request_fields(path="/public/rapid-between")), block(request_fields(path="/refused"))
    with attacked.frames() as client:
        client.send(window_update(0, 2**30))
        for stream in range(1, 4 * MANY, 4):
            if not client.send(frame(HEADERS, stream, refused, END_HEADERS | END_STREAM),
                               frame(HEADERS, stream + 2, head, END_HEADERS | END_STREAM), provoke(stream + 2)):
                break
            if patient:
                client.pump_until(lambda: client.answer(stream).over or client.goaway)
        had_enough(client, "ENHANCE_YOUR_CALM", "INTERNAL_ERROR")  # the latter is nghttp2's own limit's
    poll(lambda: load.now == 0, "the app is let go")
    assert load.all <= TOLERATED and load.most <= 300, (load.all, load.most)
    attacked.canary()


@pytest.mark.parametrize("begun", [False, True], ids=["unanswered", "under-way"])
def test_resets_of_a_page_that_is_left_are_no_attack(attacked, begun):
    """A browser resets what it has asked for, once: here 300 downloads, of which it may have 100 open."""
    path = f"/public/left-{begun}"
    Load(attacked.app, path, lambda exchange: begun and exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1")
         or exchange.gone() and None)
    with attacked.frames() as client:
        for _ in range(3):
            streams = [client.open(request_fields(path=path)) for _ in range(100)]
            if begun:
                client.pump_until(lambda: all(client.answer(stream).response for stream in streams))
            client.send(*(rst_stream(stream) for stream in streams))
            assert client.is_alive()
        assert client.outcome(client.open()) == "200"
    attacked.canary()


@pytest.mark.parametrize("provoke, codes", cases({
    "H1-window-0": (lambda stream: window_update(stream, 0), ()),
    "H1-window-overflow": (lambda stream: window_update(stream, 2**31 - 1), ("FLOW_CONTROL_ERROR",)),
    "H1-priority-length": (lambda stream: frame(PRIORITY, stream, bytes(4)), ("FRAME_SIZE_ERROR",)),
    "H1-data-after-end": (lambda stream: frame(DATA, stream, b"x"), ("STREAM_CLOSED",)),
    "H1-head-after-end": (lambda stream: frame(HEADERS, stream, GOOD, END_HEADERS | END_STREAM), ("STREAM_CLOSED",)),
    "H1-depends-on-itself": (lambda stream: frame(PRIORITY, stream, struct.pack(">IB", stream, 0)), ()),
}))
def test_resets_that_the_gateway_is_made_to_send_are_counted(attacked, provoke, codes):
    """H1, "MadeYouReset", CVE-2025-8671"""
    load = Load(attacked.app, "/public/made")
    head = block(request_fields(path="/public/made"))
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        flood(client, (frame(HEADERS, stream, head, END_HEADERS | END_STREAM) + provoke(stream)
                       for stream in range(1, 2 * MANY, 2)))
        had_enough(client, "ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", *codes)
        attacked.canary()
    poll(lambda: load.now == 0, "the app is let go")
    assert load.all <= TOLERATED and load.most <= 300, (load.all, load.most)
    attacked.canary()


def test_requests_that_are_malformed_by_their_body_are_counted(attacked):
    """H1: the head reaches the app, the DATA that does not fit the length makes the gateway reset."""
    load = Load(attacked.app, "/public/unfit", lambda exchange: exchange.read_body() and None)
    head = block(request_fields("POST", "/public/unfit", {"content-length": "3"}))
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        flood(client, (frame(HEADERS, stream, head, END_HEADERS) + frame(DATA, stream, b"12345")
                              for stream in range(1, 2 * MANY, 2)))
        had_enough(client, "ENHANCE_YOUR_CALM", "PROTOCOL_ERROR")
    poll(lambda: load.now == 0, "the app is let go")
    assert load.all <= TOLERATED
    attacked.canary()


def test_malformed_requests_without_end_are_ended(attacked):
    head = block(request_fields(path="/public/malformed") + [("connection", "close")])
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        flood(client, (frame(HEADERS, stream, head, END_HEADERS | END_STREAM) for stream in range(1, 2 * MANY, 2)))
        had_enough(client, "ENHANCE_YOUR_CALM", "PROTOCOL_ERROR")
    attacked.canary()
    assert not attacked.app.requests("/public/malformed")


@pytest.mark.parametrize("acknowledging", [True, False])
def test_more_streams_than_allowed_are_refused(attacked, acknowledging):
    """RFC 9113 section 5.1.2: REFUSED_STREAM, so that the client knows that it may ask again."""
    go_on = threading.Event()

    def wait(exchange):
        go_on.wait(PATIENCE)
        return http1.response_bytes(200, body=b"late")

    load = Load(attacked.app, "/public/wait", wait)
    with attacked.frames(acknowledging=acknowledging) as client:
        assert client.is_alive()
        limit = client.frames[0].settings[SettingCodes.MAX_CONCURRENT_STREAMS]
        streams = [client.open(request_fields(path="/public/wait")) for _ in range(limit)]
        poll(lambda: load.now == limit, f"the app has {limit}")
        extra = [client.open(request_fields(path="/public/wait")) for _ in range(5)]
        outcomes = {client.outcome(stream) for stream in extra}
        go_on.set()
        assert outcomes == {"RST REFUSED_STREAM"}
        assert {client.outcome(stream) for stream in streams} == {"200"}
        assert client.outcome(client.open()) == "200"
    assert load.all == load.most == limit
    attacked.canary()


def test_more_work_than_allowed_is_refused(new_site):
    """What was reset is at work for as long as its app cannot be reached: no more than 200 at a time, and what comes
    beyond them may be asked for again."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        site = new_site(routes=[route("/hangs", "public") | {"upstream": "hangs"}, route("/", "public")],
                        upstreams={"hangs": {"servers": ["%s:%d" % full.getsockname()],
                                             "connect_timeout": f"{int(PATIENCE)}s"}})
        with site.frames() as client:
            for _ in range(2):
                streams = [client.open(request_fields(path="/hangs")) for _ in range(100)]
                assert client.is_alive()
                client.send(*(rst_stream(stream) for stream in streams))
                assert client.is_alive()
            extra = [client.open(request_fields(path="/x")) for _ in range(5)]
            assert {client.outcome(stream) for stream in extra} == {"RST REFUSED_STREAM"}
        for one in waiting:
            one.close()
    site.canary_open()


# ---- H2: heads without end ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("first, piece", cases({
    "H2-fields": (GOOD, block([("x", "y" * 1000)])), "H2-empty": (GOOD, b""), "H2-one-byte": (b"", b"\x82"),
    "H2-one-byte-values": (GOOD, block([("a", "b")])),
    "H2-a-value-without-end": (GOOD + b"\x00\x01x" + integer(2**30, 7, 0), b"y" * 1000),
    "H2-full-frames": (GOOD, b"".join(block([("x", "y" * 1000)]) for _ in range(16))), "H2-indexed": (GOOD, b"\x90" * 1000),
}))
def test_continuation_without_end_is_ended(attacked, first, piece):
    """H2, CVE-2024-27316 and its kind: long before header_timeout."""
    before = len(attacked.requests())
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        client.send(frame(HEADERS, 1, first, END_STREAM))
        flood(client, (frame(CONTINUATION, 1, piece) for _ in range(100_000)))
        had_enough(client, "ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "COMPRESSION_ERROR")
    attacked.canary()
    assert len(attacked.requests()) == before


def test_a_head_in_small_pieces_is_served_or_ended(attacked):
    """H2: one byte each."""
    with attacked.frames() as client:
        client.send(frame(HEADERS, 1, GOOD[:1], END_STREAM),
                    *(frame(CONTINUATION, 1, GOOD[at:at + 1]) for at in range(1, len(GOOD) - 1)),
                    frame(CONTINUATION, 1, GOOD[-1:], END_HEADERS))
        outcome = client.outcome(1)
        assert outcome == "200" or outcome.startswith("GOAWAY"), outcome
    attacked.canary()


# ---- H3: HPACK ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, value", [("x", "y" * 4000), ("cookie", "y" * 4000), ("", "y" * 4000), ("x" * 4000, ""),
                                         ("x", "")],
                         ids=["H3-field", "H3-crumb", "H3-nameless", "H3-long-name", "H3-empty"])
def test_a_head_that_is_small_only_on_the_wire_is_refused(attacked, name, value):
    """H3: an entry of 4 KB in the table, and 16 000 references to it of one byte each: 64 MB."""
    before = len(attacked.requests())
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        encoded = GOOD + block([(name, value)], 0x40) + b"\xbe" * 16_000
        client.send(client.head_of_block(1, encoded))
        outcome = client.outcome(1)
        assert outcome in {"431", "400", "RST PROTOCOL_ERROR", "GOAWAY ENHANCE_YOUR_CALM", "GOAWAY PROTOCOL_ERROR",
                           "RST INTERNAL_ERROR", "GOAWAY INTERNAL_ERROR"}, outcome
    attacked.canary()
    assert len(attacked.requests()) == before


def test_small_heads_without_end_are_refused_each(attacked):
    """H3, over and over on one connection: its cost stays bounded."""
    before = len(attacked.requests())
    encoded = GOOD + b"\xbe" * 8000
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        client.send(client.head_of_block(client.take_stream(), GOOD + block([("x", "y" * 4000)], 0x40)))
        flood(client, (client.head_of_block(client.take_stream(), encoded) for _ in range(1000)))
        attacked.canary()
        client.pump_until(lambda: client.goaway or len(client.answers) >= 900)
    attacked.canary()
    assert len(attacked.requests()) <= before + 1


def test_a_head_survives_the_refusal_of_another(attacked):
    """H3; RFC 9113 section 4.3: the compression state stays whole, whatever is done with the request."""
    encoder = Encoder()
    def encoded(fields):
        return encoder.encode([(name.encode(), value.encode()) for name, value in fields])

    with attacked.frames() as client:
        for turn in range(5):
            client.send(client.head_of_block(refused := client.take_stream(), encoded(
                request_fields(headers={"x": "z" * 40_000, "x-kept": f"kept-{turn}"}))))
            assert client.outcome(refused) == "431"
            client.send(client.head_of_block(malformed := client.take_stream(), encoded(
                request_fields(headers={"connection": "close", "x-also-kept": f"also-{turn}"}))))
            assert client.outcome(malformed) in ("400", "RST PROTOCOL_ERROR")
            client.send(client.head_of_block(good := client.take_stream(), encoded(
                request_fields(headers={"x-kept": f"kept-{turn}", "x-also-kept": f"also-{turn}"}))))
            assert client.outcome(good) == "200"
            seen = dict(map(tuple, client.answer(good).response.json()["headers"]))
            lower = {name.lower(): value for name, value in seen.items()}
            assert (lower["x-kept"], lower["x-also-kept"]) == (f"kept-{turn}", f"also-{turn}")
    attacked.canary()


def test_updates_of_the_table_size_do_no_harm(attacked):
    """H3: flip-flop, in heads and by SETTINGS."""
    flip = integer(0, 5, 0x20) + integer(4096, 5, 0x20)
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        for _ in range(50):
            client.send(client.head_of_block(stream := client.take_stream(), flip + GOOD))
            assert client.outcome(stream) == "200"
        client.send(client.head_of_block(stream := client.take_stream(), flip * 5000 + GOOD))
        outcome = client.outcome(stream)
        assert outcome in ("200", "GOAWAY COMPRESSION_ERROR", "GOAWAY ENHANCE_YOUR_CALM"), outcome
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        client.send(settings_frame(SettingCodes.HEADER_TABLE_SIZE, 2**32 - 1))
        assert client.outcome(client.open()) == "200"
    attacked.canary()


# ---- H4: floods -----------------------------------------------------------------------------------------------------------

FLOODS = {
    "H4-ping": frame(PING, 0, bytes(8)), "H4-empty-settings": SETTLE,
    "H4-settings": settings_frame(SettingCodes.INITIAL_WINDOW_SIZE, WINDOW),
    "H4-full-settings": frame(SETTINGS, 0, setting(SettingCodes.INITIAL_WINDOW_SIZE, WINDOW) * 100),
    "H4-priority": frame(PRIORITY, 1, bytes([0, 0, 0, 0, 5])), "H4-window": window_update(0, 1), "H4-rst-of-closed": rst_stream(1),
    "H4-window-of-closed": window_update(1, 1), "H4-ping-ack": frame(PING, 0, bytes(8), ACK),
}


@pytest.mark.parametrize("data", cases(FLOODS))
@pytest.mark.parametrize("listening", [True, False], ids=["reading", "not-reading"])
def test_a_flood_is_ended(attacked, data, listening):
    """H4, CVE-2019-9511 to 9518: frames that cost the gateway more than the client, and bring nothing."""
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        assert client.outcome(client.open()) == "200"
        try:
            flood(client, (data for _ in range(100_000)), listening)
        except TimeoutError:
            assert not listening  # it takes no more from who does not read: that is bounded, too
        attacked.canary()
        had_enough(client, "ENHANCE_YOUR_CALM", "PROTOCOL_ERROR")
    attacked.canary()


def test_a_flood_of_unknown_frames_costs_nothing(attacked):
    """RFC 9113 section 5.5: they are ignored."""
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        flood(client, (frame(200, 0, b"") for _ in range(100_000)))
        attacked.canary()
        assert client.outcome(client.open()) == "200" or client.goaway
    attacked.canary()


def test_a_flood_of_empty_data_on_a_stream_that_was_answered_is_ended(attacked):
    """H4, CVE-2019-9518: the gateway has answered it, and wants nothing more of it."""
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        stream = client.open(request_fields("POST", "/nowhere/at/all", host="unknown.test"), end=False)
        client.pump_until(lambda: client.answer(stream).over or client.goaway)
        flood(client, (frame(DATA, stream) for _ in range(100_000)))
        had_enough(client, "ENHANCE_YOUR_CALM")
    attacked.canary()


@pytest.mark.parametrize("data", cases({
    "H4-empty-data": lambda stream: frame(DATA, stream), "H4-empty-padded-data": lambda stream: frame(DATA, stream, b"\0", PADDED),
    "H4-window-of-stream": lambda stream: window_update(stream, 1),
    "H4-priority-of-itself": lambda stream: frame(PRIORITY, stream, bytes([0, 0, 0, 0, 5])),
}))
def test_a_flood_on_an_open_stream_is_ended(attacked, data):
    """H4, CVE-2019-9518"""
    with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
        stream = client.open(request_fields("POST", "/public/flooded"), end=False)
        flood(client, (data(stream) for _ in range(100_000)))
        had_enough(client, "ENHANCE_YOUR_CALM", "PROTOCOL_ERROR")
    attacked.canary()
    assert not [request for request in attacked.app.requests("/public/flooded") if request.complete]


def test_pings_beside_a_download_are_no_attack(attacked):
    """Some clients measure the round trip with every window."""
    attacked.app.on("/public/large", lambda exchange: http1.response_bytes(200, body=bytes(4 * 2**20)))
    with attacked.http2() as client:
        stream = client.open(path="/public/large")
        pings = 0
        while not client.answer(stream).over:
            before = len(client.answer(stream).response.body) if client.answer(stream).response else 0
            client._ping(struct.pack(">Q", pings))
            pings += 1
            client.pump_until(lambda: client.answer(stream).over or client.answer(stream).response
                              and len(client.answer(stream).response.body) > before)
        assert len(client.read_response(stream).body) == 4 * 2**20
        assert client.get("/public/x").status == 200
    attacked.canary()


def test_more_data_than_the_window_allows_is_an_error(attacked):
    """RFC 9113 section 6.9.1. The app reads nothing; the client sends all the same."""
    done = threading.Event()
    attacked.app.on("/public/stuck", lambda exchange: done.wait(PATIENCE * 2) and exchange.close())
    try:
        with attacked.frames() as client, attacked.gateway.flat_memory(ALLOWANCE):
            stream = client.open(request_fields("POST", "/public/stuck"), end=False)
            for _ in range(64):
                if not client.send(*[frame(DATA, stream, bytes(16384))] * 64):
                    break
                client.pump_arrived()
            outcome = client.outcome(stream)
            assert outcome in ("RST FLOW_CONTROL_ERROR", "GOAWAY FLOW_CONTROL_ERROR", "GOAWAY ENHANCE_YOUR_CALM",
                               "RST STREAM_CLOSED", "GOAWAY STREAM_CLOSED"), outcome
    finally:
        done.set()
    attacked.canary()


@pytest.fixture(scope="module")
def pouring(module_sites):
    """An app whose answers are large; each of its connections is counted."""
    site = module_sites(routes=OPEN)

    def pour(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 2**30)
        try:
            for _ in range(2**30 // 2**16):
                exchange.send(bytes(2**16))
        except OSError:
            pass

    site.app.on("/pour", pour)
    site.app.on("/large", lambda exchange: http1.response_bytes(200, body=bytes(2**20)))
    site.canary_open()
    return site


def test_an_answer_in_windows_of_one_byte_takes_no_more_memory(pouring):
    """H4, CVE-2019-9511, "data dribble": 1-byte windows with a big answer."""
    with pouring.frames(settings=setting(SettingCodes.INITIAL_WINDOW_SIZE, 1)) as client, \
            pouring.gateway.flat_memory(ALLOWANCE):
        stream = client.open(request_fields(path="/pour"))
        client.pump_until(lambda: client.answer(stream).response and client.answer(stream).response.body)
        for _ in range(2000):
            before = len(client.answer(stream).response.body)
            client.send(window_update(stream, 1))
            client.pump_until(lambda: client.answer(stream).over or client.goaway
                              or len(client.answer(stream).response.body) > before)
            if client.goaway or client.answer(stream).over:
                break
        assert client.goaway or client.answer(stream).over or len(client.answer(stream).response.body) == 2001
        pouring.canary_open()
    pouring.canary_open()


@pytest.mark.parametrize("window", [0, 1])
def test_a_hundred_large_answers_without_a_window_take_bounded_memory(pouring, window):
    """H4, CVE-2019-9511"""
    bounded = max(ALLOWANCE, 40 * 2**20)
    with pouring.frames(settings=setting(SettingCodes.INITIAL_WINDOW_SIZE, window)) as client, \
            pouring.gateway.flat_memory(bounded):
        streams = [client.open(request_fields(path="/pour")) for _ in range(100)]
        client.pump_until(lambda: all(client.answer(stream).response for stream in streams))
        wait_for_protocol_time(0.5 * PACE)
        pouring.canary_open()
    poll(lambda: pouring.app.open_connections() <= 3, "the app is let go")
    pouring.canary_open()


def test_a_hundred_large_answers_that_nobody_reads_take_bounded_memory(pouring):
    """H4, CVE-2019-9517, "internal data buffering": the windows are open, TCP is not."""
    bounded = max(ALLOWANCE, 40 * 2**20)
    with pouring.frames(settings=setting(SettingCodes.INITIAL_WINDOW_SIZE, 2**31 - 1), receive_buffer=4096) as client, \
            pouring.gateway.flat_memory(bounded):
        client.send(window_update(0, 2**30), listening=False)
        before = len(pouring.app.requests("/pour"))
        for stream in range(1, 201, 2):
            client.send(client.head(stream, request_fields(path="/pour")), listening=False)
        poll(lambda: len(pouring.app.requests("/pour")) > before, "the app pours")
        wait_for_protocol_time(0.5 * PACE)
        pouring.canary_open()
    poll(lambda: pouring.app.open_connections() <= 3, "the app is let go")
    pouring.canary_open()


def test_an_open_head_on_each_of_many_connections_holds_up_nobody(attacked):
    """D1, over HTTP/2."""
    clients = [attacked.frames() for _ in range(50)]
    try:
        for client in clients:
            client.send(frame(HEADERS, 1, GOOD, END_STREAM))
        attacked.canary()
    finally:
        for client in clients:
            client.close()
    attacked.canary()


# ---- H8: CONNECT ----------------------------------------------------------------------------------------------------------

EXTENDED = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", "example.test"),
            (":path", "/public/tunnel")]


@pytest.mark.parametrize("fields", cases({
    "H8-bogus-protocol": [(name, "bogus" if name == ":protocol" else value) for name, value in EXTENDED],
    "H8-protocol-on-get": [(name, "GET" if name == ":method" else value) for name, value in EXTENDED],
    "H8-without-scheme": [pair for pair in EXTENDED if pair[0] != ":scheme"],
    "H8-protocol-twice": EXTENDED[:2] + EXTENDED[1:],
}))
def test_a_malformed_extended_connect_opens_no_tunnel(attacked, fields):
    """H8; RFC 8441 section 4, RFC 9113 section 8.1.1: what comes behind it is nobody's request."""
    before = len(attacked.requests())
    with attacked.frames() as client:
        stream = client.open(fields, end=False)
        client.send(frame(DATA, stream, b"GET /public/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"))
        assert client.outcome(stream) in {"400", "405", "501", "RST PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR"}
    attacked.canary()
    assert len(attacked.requests()) == before


# ---- and all of it at once ------------------------------------------------------------------------------------------------

def test_attackers_beside_each_other_do_not_keep_others_from_being_served(attacked):
    head = block(request_fields(path="/public/rapid-beside"))
    Load(attacked.app, "/public/rapid-beside")
    stop = threading.Event()

    def attack(kind: int) -> None:
        while not stop.is_set():
            try:
                with attacked.frames() as client:
                    if kind == 0:
                        flood(client, (frame(HEADERS, stream, head, END_HEADERS | END_STREAM) + rst_stream(stream)
                                       for stream in range(1, 2000, 2)))
                    elif kind == 1:
                        flood(client, (frame(PING, 0, bytes(8)) for _ in range(2000)))
                    else:
                        client.send(frame(HEADERS, 1, GOOD))
                        flood(client, (frame(CONTINUATION, 1, b"") for _ in range(2000)))
            except (OSError, TimeoutError, http1.Closed):
                pass

    attackers = [threading.Thread(target=attack, args=(kind,)) for kind in range(3)]
    for attacker in attackers:
        attacker.start()
    try:
        for _ in range(50):
            attacked.canary()
        with attacked.http2() as client:
            for _ in range(50):
                assert client.get("/public/x").status == 200
    finally:
        stop.set()
        for attacker in attackers:
            attacker.join()
    attacked.canary()
