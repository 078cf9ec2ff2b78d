"""HTTP/2 towards clients: bodies and back-pressure, who leaves, time limits, the drain; clients as they occur."""

import ssl
import subprocess
import threading
import time
import zlib

import httpx
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame, PingFrame

from harness import http1
from harness.browser import app_saw, asked
from harness.cases import cases
from harness.deadlines import PACE, PATIENCE, SCALE, milliseconds, poll, stands_still, wait_for_protocol_time
from harness.gateway import route
from harness.http1 import crlf
from harness.http2 import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, MALFORMED, PADDED, PING, PREFACE, SETTINGS, WINDOW,
                           WITH_PRIORITY, accepted, block, error_name, frame, refused, request_fields, rst_stream, setting,
                           window_update)
from harness.upstream import HeldAnswer, answers_early, held_for_the_drain, watched

SANITIZED = SCALE > 1
BIG = 2**24 if SANITIZED else 2**26         # bytes of a big body that is moved whole: python reads it
ENDLESS = 2**30                             # bytes of one that nobody moves
ALLOWANCE = 2**30 if SANITIZED else 16 * 2**20  # bytes of memory that a body of any size may take
PIECE = bytes(range(256)) * 1024
OPEN = [route("/", "public")]


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


def test_a_client_that_is_slower_than_the_app_is_listened_to(wide):
    """Its windows are open, and more waits than it takes: it may ask for something else all the same."""
    pour_counted(wide.app, "/faster")
    taken = [0]

    def take(data) -> None:
        taken[0] += len(data)

    with wide.http2(settings={SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1}, receive_buffer=65536, crediting=False) as client:
        client.credit(0, 2**30)
        download = client.open(path="/faster")
        client.sink[download] = take
        client.pump_until(lambda: taken[0] >= 2**20)
        meanwhile = client.open(path="/meanwhile")
        client.pump_until(lambda: client.answer(meanwhile).over or taken[0] >= ENDLESS / 2)
        assert client.answer(meanwhile).over, "512 MiB later it is not answered"
        client.reset(download)


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


def test_chunks_arrive_as_they_are_sent(wide):
    held = HeldAnswer(wide.app, "/pieces", end=lambda body: b"6\r\nsecond\r\n0\r\n\r\n",
                      begin=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
    with wide.http2() as client:
        stream = client.open(path="/pieces")
        client.pump_until(lambda: client.answer(stream).response and client.answer(stream).response.body)
        assert client.answer(stream).response.body == b"first"
        held.release()
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
    answers_early(site.app, "/public/early")
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


def test_a_slow_client_that_goes_on_reading_gets_all_its_answers(limited):
    """limits.idle_timeout is for those who take nothing. Some streams wait for others, of which the client takes."""
    body = bytes(40_000)
    limited.app.on("/picture", lambda exchange: http1.response_bytes(200, body=body))
    with limited.http2(crediting=False) as client:
        streams = [client.open(path="/picture") for _ in range(10)]
        began = time.monotonic()
        while not all(client.answer(stream).over for stream in streams):
            wait_for_protocol_time(0.25 * PACE)
            client.credit(0, 12_000)
            client.pump_arrived()
            assert time.monotonic() - began < 2 * PATIENCE
        assert time.monotonic() - began > 3 * PACE
        for stream in streams:
            assert client.read_response(stream).body == body


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


def test_a_head_that_was_given_up_ends_no_other_stream(unhurried):
    """Nothing of it is waited for any more."""
    go_on = threading.Event()
    unhurried.app.on("/held", lambda exchange: go_on.wait(PATIENCE) and http1.response_bytes(200, body=b"held"))
    with unhurried.frames() as client:
        held = client.open(request_fields(path="/held"))
        stream, rest = client.take_stream(), block(request_fields(headers={f"x-{i}": "a" * 4000 for i in range(34)}))
        client.send(frame(HEADERS, stream, rest[:16000], END_STREAM))
        for begin in range(16000, len(rest), 16000):
            client.send(frame(CONTINUATION, stream, rest[begin:begin + 16000], END_HEADERS * (begin + 16000 >= len(rest))))
        client.pump_until(lambda: client.answer(stream).over)
        assert client.answer(stream).reset is not None, "it was read to its end"
        wait_for_protocol_time(2.5 * PACE)
        assert client.is_alive()
        go_on.set()
        assert client.outcome(held) == "200"


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


@pytest.mark.parametrize("size", [1, 50_000])
def test_a_small_answer_that_nobody_takes_is_given_up(limited, size):
    """The same where the app has long said all, and the gateway keeps it."""
    limited.app.on("/small", lambda exchange: http1.response_bytes(200, body=bytes(size)))
    with limited.frames(settings=setting(SettingCodes.INITIAL_WINDOW_SIZE, 0)) as client:
        stream = client.open(request_fields(path="/small"))
        client.pump_until(lambda: client.answer(stream).response)
        client.pump_until(lambda: client.answer(stream).over or client.goaway, patience=4 * PACE + PATIENCE)
        assert client.answer(stream).reset is not None or client.goaway, "it waits for ever"


@pytest.mark.parametrize("how", ["the-app-dies", "the-client-resets", "the-client-errs"])
def test_the_end_of_another_stream_does_not_extend_the_time_for_a_head(unhurried, how):
    """SPEC section 5: limits.header_timeout. The app has begun to answer a stream, and a head is unfinished."""
    go_on = threading.Event()

    def cut(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
        go_on.wait(PATIENCE)
        exchange.close()

    unhurried.app.on("/cut-beside", cut)
    with unhurried.frames() as client:
        other = client.open(request_fields(path="/cut-beside"))
        client.read_head(other)
        began = time.monotonic()
        client.send(frame(HEADERS, client.take_stream(), block(request_fields()), END_STREAM))
        if how == "the-app-dies":
            go_on.set()
            client.pump_until(lambda: client.answer(other).over)
            client.farewell()
            assert PACE < time.monotonic() - began < 1.5 * PACE + PATIENCE / 2
        else:  # nothing else may come within a head
            client.send(rst_stream(other) if how == "the-client-resets" else window_update(other, 0))
            assert client.farewell() == "GOAWAY PROTOCOL_ERROR"
        go_on.set()
    unhurried.canary_open()


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
    slow, download = held_for_the_drain(site.app)
    with site.http2() as client, site.http2() as idle, site.http2() as fresh:
        assert idle.get("/public/x").status == 200
        assert fresh.is_alive()
        thinking, downloading = client.open(path="/public/slow"), client.open(path="/public/download")
        uploading = client.open("POST", "/public/slow", end=False)
        client.send_body(uploading, b"hello")
        for held in (slow, slow, download):
            held.await_arrival()
        site.gateway.terminate()
        assert idle.farewell() == "GOAWAY NO_ERROR"
        assert fresh.farewell() == "GOAWAY NO_ERROR"
        client.pump_until(lambda: client.goaway)
        assert error_name(client.goaway.error_code) == "NO_ERROR" and client.goaway.last_stream_id >= uploading
        assert site.gateway.process.poll() is None, "it has not waited"
        slow.release()
        download.release()
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


def told_to_go(client) -> list[int]:
    """The last stream ids of all GOAWAY frames so far."""
    return [one.last_stream_id for one in client.frames if isinstance(one, GoAwayFrame)]


def test_a_request_that_is_under_way_at_sigterm_is_served(new_site):
    """RFC 9113 section 6.8: which request is the last is told when the client has heard that there should be no more."""
    site = new_site(routes=OPEN)
    with site.frames() as client:
        assert client.outcome(client.open(request_fields(path="/x"))) == "200"
        site.gateway.terminate()
        client.pump_until(lambda: [one for one in client.frames if isinstance(one, PingFrame)])
        assert told_to_go(client) == [2**31 - 1]
        crossing = client.open(request_fields(path="/crossing"))
        assert client.outcome(crossing) == "200"
        ping = next(one for one in client.frames if isinstance(one, PingFrame))
        client.send(frame(PING, 0, ping.opaque_data, ACK), client.head(late := client.take_stream()))
        assert client.farewell() == "GOAWAY NO_ERROR"
        assert told_to_go(client) == [2**31 - 1, crossing] and not client.answer(late).over
    site.gateway.stop()


def test_a_client_that_says_nothing_at_sigterm_is_waited_for_a_moment(new_site):
    site = new_site(routes=OPEN)
    with site.frames() as client:
        stream = client.open(request_fields(path="/x"))
        assert client.outcome(stream) == "200"
        site.gateway.terminate()
        assert client.farewell() == "GOAWAY NO_ERROR"
        assert told_to_go(client) == [2**31 - 1, stream]
    site.gateway.stop()


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
    told = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "50", "-H", f"cookie: {alice.cookie_header}",
                           "-H", ":authority: example.test",
                           "https://127.0.0.1:%d/x" % site.gateway.address[1]],
                          capture_output=True, text=True, timeout=PATIENCE * 6)
    assert "status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx" in told.stdout, told.stdout + told.stderr
    assert alice.user() == "h2load"


def test_nghttp_uses_priorities_and_padding(wide, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(PIECE)
    url = "https://127.0.0.1:%d" % wide.gateway.address[1]
    told = subprocess.run(["nghttp", "-y", "--no-verify-peer", "-b", "200", "-p", "32", "-d", str(body), "--window-bits=10",
                           f"{url}/swallow", f"{url}/swallow?2"],
                          capture_output=True, timeout=PATIENCE)
    assert told.stdout == b"%d %d" % checksum([PIECE]) * 2, told.stderr + told.stdout


def test_a_client_may_say_goodbye_first(wide):
    """RFC 9113 section 6.8: its streams are served still."""
    held = HeldAnswer(wide.app, "/goodbye")
    with wide.frames() as client:
        stream = client.open(request_fields(path="/goodbye"))
        client.send(frame(7, 0, bytes(8)))
        held.release()
        assert client.outcome(stream) == "200"
        assert client.answer(stream).response.body == b"late"


@pytest.mark.parametrize("name", ["padded-head", "head-with-priority", "continuations", "padded-body", "small-table",
                                  "huge-frames-allowed"])
def test_forms_of_frames_that_are_legal_are_understood(site, name):
    encoded = block(request_fields())
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
