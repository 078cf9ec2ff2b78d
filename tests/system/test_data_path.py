"""The data path: bodies of any size both ways, every kind of app, retries, limits, timeouts, the drain."""

import contextlib
import signal
import socket
import subprocess
import threading
import time
import zlib

import pytest
from h2.settings import SettingCodes

from harness import http1
from harness.browser import SetCookie, app_saw, asked, set_cookies
from harness.client import RawClient
from harness.deadlines import PACE, PATIENCE, SCALE, milliseconds, poll, wait_for_protocol_time
from harness.gateway import free_port, route
from harness.http1 import crlf
from harness.upstream import HeldAnswer, RecordingUpstream, held_for_the_drain

SANITIZED = SCALE > 1  # its allocators keep what is freed, and it is slow
BIG = 2**26 if SANITIZED else 2**30  # bytes of a big body; the code has no case that begins beyond 4 GiB
ALLOWANCE = 2**30 if SANITIZED else 16 * 2**20  # bytes of memory that a body of any size may take
PIECE = bytes(range(256)) * 1024
HEAD_TIME = 1.5  # seconds, of the gateway that shows how long a head may take
OPEN = [route("/", "public")]


def open_site(new_site, app=None, **changes):
    return new_site(app, **{"routes": OPEN} | changes)


def checksum(pieces) -> tuple[int, int]:
    """Length and CRC of a body that is too large to keep."""
    length = crc = 0
    for piece in pieces:
        length, crc = length + len(piece), zlib.crc32(piece, crc)
    return length, crc


def expected_checksum() -> tuple[int, int]:
    return checksum(PIECE for _ in range(BIG // len(PIECE)))


# ---- connections ------------------------------------------------------------------------------------------------------

def test_a_connection_serves_many_requests_and_so_does_the_apps(site):
    with site.client() as client:
        seen = [app_saw(client.get(f"/public/{number}")) for number in range(20)]
    assert [request.path for request in seen] == [f"/public/{number}" for number in range(20)]
    assert len({request.connection for request in seen}) == 1


@pytest.mark.parametrize("version, connection, stays_open", [
    ("1.1", None, True), ("1.1", "keep-alive", True), ("1.1", "close", False), ("1.1", "x, Close", False),
    ("1.0", None, False), ("1.0", "keep-alive", True), ("1.0", "close", False)])
def test_a_connection_is_kept_or_closed_as_the_client_asks(site, version, connection, stays_open):
    with site.client() as client:
        line = f"Connection: {connection}⏎" if connection else ""
        client.send(crlf(f"GET /public/x HTTP/{version}⏎Host: example.test⏎{line}⏎"))
        response = client.read_response()
        assert response.status == 200
        if stays_open:
            assert not response.closes and client.get("/public/y").status == 200
        else:
            assert client.is_closed()


def test_http_1_0_clients_get_no_chunks(site):
    """They could not read them."""
    site.app.on("/public/chunks", lambda exchange: crlf("HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎5⏎hello⏎0⏎⏎"))
    with site.client() as client:
        client.send(crlf("GET /public/chunks HTTP/1.0⏎Host: example.test⏎⏎"))
        head = http1.read_response_head(client.reader)
        assert head.all("Transfer-Encoding") == []
        assert client.read_until_close() == b"hello"


# ---- big bodies -------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def wide(module_sites):
    """A gateway without sessions on its way, and an app that swallows and pours."""
    site = module_sites(routes=OPEN)

    def swallow(exchange):
        received = checksum(exchange.pieces())
        return http1.response_bytes(200, body=b"%d %d" % received)

    def pour(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
        for _ in range(BIG // len(PIECE)):
            exchange.send(PIECE)

    def pour_chunks(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(BIG // len(PIECE)):
            exchange.send(b"%x\r\n" % len(PIECE) + PIECE + b"\r\n")
        exchange.send(b"0\r\n\r\n")

    site.app.on("/swallow", swallow)
    site.app.on("/pour", pour)
    site.app.on("/pour-chunks", pour_chunks)
    with site.client() as client:
        client.get("/warm")
    return site


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_big_upload_is_streamed(wide, chunked):
    with wide.client() as client, wide.gateway.flat_memory(ALLOWANCE):
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {BIG}"
        client.send(crlf(f"POST /swallow HTTP/1.1⏎Host: example.test⏎{framing}⏎⏎"))
        for _ in range(BIG // len(PIECE)):
            client.send(b"%x\r\n" % len(PIECE) + PIECE + b"\r\n" if chunked else PIECE)
        if chunked:
            client.send(b"0\r\n\r\n")
        assert client.read_response().body == b"%d %d" % expected_checksum()


@pytest.mark.parametrize("path", ["/pour", "/pour-chunks"])
def test_a_big_download_is_streamed(wide, path):
    with wide.client() as client, wide.gateway.flat_memory(ALLOWANCE):
        client.send(http1.request_bytes("GET", path))
        response = http1.read_response_head(client.reader)
        assert checksum(http1.body_pieces(response, client.reader)) == expected_checksum()
        assert client.get("/after").status == 200


def test_a_client_that_does_not_read_stops_the_app(wide):
    """Back-pressure: what nobody reads is not fetched."""
    sent = []

    def pour_counted(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
        for _ in range(BIG // len(PIECE)):
            exchange.send(PIECE)
            sent.append(len(PIECE))

    wide.app.on("/pour-counted", pour_counted)
    with wide.client(receive_buffer=65536) as client, wide.gateway.flat_memory(ALLOWANCE):
        client.send(http1.request_bytes("GET", "/pour-counted"))
        http1.read_response_head(client.reader)
        before = -1
        while before != sum(sent):
            before = sum(sent)
            wait_for_protocol_time(0.3 * PACE)
        assert before < BIG / 2, "the app could send although nobody read"
        with wide.client() as other:
            assert other.get("/meanwhile").status == 200


def test_an_app_that_does_not_read_stops_the_client(wide):
    """Back-pressure the other way."""
    done = threading.Event()

    def refuse_to_read(exchange):
        done.wait(PATIENCE)
        exchange.close()

    wide.app.on("/stuck", refuse_to_read)
    with wide.client(patience=PACE) as client, wide.gateway.flat_memory(ALLOWANCE):
        client.send(crlf(f"POST /stuck HTTP/1.1⏎Host: example.test⏎Content-Length: {BIG}⏎⏎"))
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < BIG:
                client.sock.sendall(PIECE)
                sent += len(PIECE)
        assert sent < BIG / 2
        done.set()


def test_a_client_that_leaves_ends_the_apps_work(wide):
    left = threading.Event()

    def watch(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin")
        exchange.gone()
        left.set()

    wide.app.on("/watch", watch)
    client = wide.client()
    client.send(http1.request_bytes("GET", "/watch"))
    http1.read_response_head(client.reader)
    client.reset()
    assert left.wait(PATIENCE)


def test_a_client_that_leaves_while_the_app_thinks_ends_that_too(wide):
    asked_for, left = threading.Event(), threading.Event()

    def think(exchange):
        asked_for.set()
        exchange.gone()
        left.set()

    wide.app.on("/think", think)
    client = wide.client()
    client.send(http1.request_bytes("GET", "/think"))
    assert asked_for.wait(PATIENCE)
    client.reset()
    assert left.wait(PATIENCE)


def test_an_upload_that_breaks_off_never_looks_complete(wide):
    before = len(wide.app.requests("/swallow"))
    client = wide.client()
    client.send(crlf("POST /swallow HTTP/1.1⏎Host: example.test⏎Transfer-Encoding: chunked⏎⏎5⏎hello⏎"))
    last = poll(lambda: wide.app.requests("/swallow")[before:], "the head")[-1]
    client.close()
    poll(wide.app.connections[last.connection - 1].closed.is_set, "its connection is cut")
    assert not last.complete


# ---- every kind of answer -----------------------------------------------------------------------------------------------

def test_chunks_arrive_as_they_are_sent(wide):
    """An answer is not gathered: the first piece arrives while the app still thinks about the second."""
    go_on = threading.Event()

    def in_pieces(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert go_on.wait(PATIENCE)
        exchange.send(b"6\r\nsecond\r\n0\r\n\r\n")

    wide.app.on("/pieces", in_pieces)
    with wide.client() as client:
        client.send(http1.request_bytes("GET", "/pieces"))
        response = http1.read_response_head(client.reader)
        pieces = http1.body_pieces(response, client.reader)
        assert next(pieces) == b"first"
        go_on.set()
        assert b"".join(pieces) == b"second"


def test_an_upload_arrives_as_it_is_sent(wide):
    def first_piece(exchange):
        arrived.append(next(exchange.pieces()))
        got_first.set()
        return http1.response_bytes(200, body=exchange.read_body())

    arrived, got_first = [], threading.Event()
    wide.app.on("/upload-pieces", first_piece)
    with wide.client() as client:
        client.send(crlf("POST /upload-pieces HTTP/1.1⏎Host: example.test⏎Transfer-Encoding: chunked⏎⏎5⏎first⏎"))
        assert got_first.wait(PATIENCE) and arrived == [b"first"]
        client.send(b"6\r\nsecond\r\n0\r\n\r\n")
        assert client.read_response().body == b"second"


def test_trailers_of_the_app_are_dropped(wide):
    wide.app.on("/trailers", lambda exchange: crlf(
        "HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎Trailer: Set-Cookie⏎⏎5;x=y⏎hello⏎0⏎Set-Cookie: __Host-session=x⏎⏎"))
    with wide.client() as client:
        response = client.get("/trailers")
        assert response.body == b"hello" and response.all("Set-Cookie") == response.all("Trailer") == []
        assert client.get("/next").status == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_app_that_ends_its_answer_by_closing_is_understood(wide, version):
    def until_close(exchange):
        exchange.send(crlf(f"HTTP/{version} 200 OK⏎Content-Type: text/plain⏎⏎") + PIECE)
        exchange.close()

    wide.app.on("/until-close", until_close)
    with wide.client() as client:
        assert client.get("/until-close").body == PIECE
    wide.canary_open()


def test_a_cut_answer_is_no_whole_one_to_a_client_that_reads_to_the_end(new_site):
    """HTTP/1.0 knows an answer's end by the connection's; with TLS, its goodbye would be there."""
    def broken(exchange):
        exchange.send(crlf("HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎5⏎hello⏎"))
        begun.wait(PATIENCE)
        exchange.close()

    begun = threading.Event()
    site = open_site(new_site, listen=[{"address": "127.0.0.1:0"}])
    site.app.on("/broken", broken)
    with RawClient(site.gateway.endpoint(0)) as client:
        client.send(crlf("GET /broken HTTP/1.0⏎Host: example.test⏎⏎"))
        assert http1.read_response_head(client.reader).status == 200
        assert client.reader.exactly(5) == b"hello"
        begun.set()
        with pytest.raises(OSError):
            assert client.sock.recv(100) != b"", "it ended as a whole one does"


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_an_answer_that_is_the_last_reaches_a_slow_client(new_site, protocol):
    """What a system has to send goes where its end is closed while the peer still sends (RFC 9112 section 9.6)."""
    site = open_site(new_site)
    held = HeldAnswer(site.app, "/last", end=lambda body: http1.response_bytes(200, body=PIECE * 8))
    with site.client(receive_buffer=4096) if protocol == "http1" else site.http2(receive_buffer=4096, settings={
            SettingCodes.INITIAL_WINDOW_SIZE: 2**30}) as client:
        if protocol == "http1":
            client.send(http1.request_bytes("GET", "/last"))
        else:
            client.credit(0, 2**30)
            stream = client.open("GET", "/last")
        held.await_arrival()
        site.gateway.terminate()
        held.release()
        poll(site.gateway.untaken, "the gateway is done with it, and the client is not")
        if protocol == "http1":
            client.send(crlf("GET /more HTTP/1.1⏎Host: example.test⏎⏎"))
            response = client.read_response()
        else:
            client.credit(0, 1)
            response = client.read_response(stream)
        assert response.body == PIECE * 8
    site.gateway.stop()


def test_what_a_route_sets_for_its_pages_is_not_for_the_gateways_own_answers(new_site):
    """A failure that caches keep for a year, or the way to the login, would keep people out."""
    cached = {"Cache-Control": "public, max-age=31536000", "Expires": "Thu, 01 Jan 2037 00:00:00 GMT",
              "CDN-Cache-Control": "max-age=9", "Strict-Transport-Security": "max-age=1"}
    site = new_site(routes=[route("/static/", "public", headers={"response": {"set": cached}}),
                            route("/", headers={"response": {"set": {"Cache-Control": "max-age=60"}}},
                                  on_unauthenticated={"redirect": "/login"})])
    site.app.on("/static/broken", lambda exchange: b"nonsense\r\n\r\n")
    with site.client() as client:
        assert client.get("/static/whole").all("Cache-Control") == ["public, max-age=31536000"]
        broken = client.get("/static/broken")
        assert broken.status == 502 and broken.all("Cache-Control") == ["no-store"]
        assert broken.all("Expires") == broken.all("CDN-Cache-Control") == []
        assert broken.one("Strict-Transport-Security") == "max-age=1"
    with site.client() as client:
        login = client.get("/page", {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"})
        assert login.status in (302, 303) and "no-store" in login.one("Cache-Control")
        assert "max-age=60" not in login.one("Cache-Control")


@pytest.mark.parametrize("answer, status, length", [
    ("HTTP/1.1 204 No Content⏎⏎", 204, None), ("HTTP/1.1 304 Not Modified⏎ETag: \"x\"⏎⏎", 304, None),
    ("HTTP/1.1 304 Not Modified⏎Content-Length: 1000⏎⏎", 304, "1000"),
    ("HTTP/1.1 200 OK⏎Content-Length: 0⏎⏎", 200, "0"),
    ("HTTP/1.1 205 Reset Content⏎Content-Length: 0⏎⏎", 205, "0"),
], ids=["204", "304", "304-length", "empty", "205"])
def test_answers_without_a_body_leave_the_connection_in_step(wide, answer, status, length):
    wide.app.on("/bodiless", lambda exchange: crlf(answer))
    with wide.client() as client:
        response = client.get("/bodiless")
        assert (response.status, response.body) == (status, b"")
        assert response.one("Content-Length") in (length, None)
        assert client.get("/next").status == 200


@pytest.mark.parametrize("answer", ["HTTP/1.1 200 OK⏎Content-Length: 1000⏎⏎",
                                    "HTTP/1.1 200 OK⏎Transfer-Encoding: chunked⏎⏎",
                                    "HTTP/1.1 200 OK⏎⏎"], ids=["length", "chunked", "none"])
def test_the_answer_to_head_has_no_body(wide, answer):
    wide.app.on("/head", lambda exchange: crlf(answer))
    with wide.client() as client:
        response = client.request("HEAD", "/head")
        assert response.status == 200
        assert response.one("Content-Length") == ("1000" if "1000" in answer else None)
        assert client.get("/next").status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_that_never_has_a_body_has_no_length(wide, method):
    """RFC 9110 section 8.6: neither 204 nor 1xx."""
    wide.app.on("/no-content", lambda exchange: crlf("HTTP/1.1 204 No Content⏎Content-Length: 10⏎⏎"))
    wide.app.on("/hint-of-a-length", lambda exchange: crlf(
        "HTTP/1.1 103 Early Hints⏎Content-Length: 5⏎Link: </a>⏎⏎"
        "HTTP/1.1 200 OK⏎Content-Length: 2⏎⏎" + "ok" * (method == "GET")))
    with wide.client() as client:
        response = client.request(method, "/no-content")
        assert response.status == 204 and response.all("Content-Length") == []
        response = client.request(method, "/hint-of-a-length")
        assert [(one.status, one.headers) for one in response.interim] == [(103, [("Link", "</a>")])]
        assert (response.status, response.one("Content-Length")) == (200, "2")
        assert client.get("/next").status == 200


def test_early_hints_are_relayed(wide):
    def hint(exchange):
        exchange.send(crlf("HTTP/1.1 103 Early Hints⏎Link: </style.css>; rel=preload⏎⏎"))
        return http1.response_bytes(200, body=b"page")

    wide.app.on("/hints", hint)
    with wide.client() as client:
        response = client.get("/hints")
    assert [(one.status, one.one("Link")) for one in response.interim] == [(103, "</style.css>; rel=preload")]
    assert response.body == b"page"


def test_interim_answers_do_not_reach_http_1_0_clients(wide):
    wide.app.on("/hints-1.0", lambda exchange: crlf("HTTP/1.1 103 Early Hints⏎⏎HTTP/1.1 200 OK⏎Content-Length: 0⏎⏎"))
    with wide.client() as client:
        client.send(crlf("GET /hints-1.0 HTTP/1.0⏎Host: example.test⏎⏎"))
        assert client.read_response().interim == []


@pytest.mark.parametrize("close", [True, False])
def test_an_app_that_refuses_an_upload_early_is_heard(wide, close):
    """413 while the client is still sending."""
    def refuse(exchange):
        exchange.send(http1.response_bytes(413, {"Connection": "close"} if close else {}, b"too large"))
        if close:
            exchange.close()

    wide.app.on("/refuse", refuse)
    size = 8 * 2**20  # more than all buffers on the way hold, and less than is read for the answer's sake
    with wide.client() as client:
        client.send(crlf(f"POST /refuse HTTP/1.1⏎Host: example.test⏎Content-Length: {size}⏎⏎"))
        client.send_and_listen(PIECE * (size // len(PIECE)))
        response = client.read_response()
    assert (response.status, response.body) == (413, b"too large")


def test_status_and_reason_pass_as_the_app_says_them(wide):
    wide.app.on("/teapot", lambda exchange: crlf("HTTP/1.1 418 Short and stout⏎Content-Length: 0⏎⏎"))
    with wide.client() as client:
        response = client.get("/teapot")
    assert (response.status, response.reason) == (418, "Short and stout")


def test_an_app_of_http_1_0_that_keeps_alive_is_understood(wide):
    wide.app.on("/old-app", lambda exchange: crlf("HTTP/1.0 200 OK⏎Content-Length: 5⏎Connection: keep-alive⏎⏎hello"))
    with wide.client() as client:
        assert [client.get("/old-app").body for _ in range(3)] == [b"hello"] * 3


def test_curl_uploads_with_expect(wide, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(PIECE * 8)
    address = "%s:%d" % wide.gateway.address
    told = subprocess.run(["curl", "-sS", "--http1.1", "--cacert", wide.gateway.trust, "-H", "Expect: 100-continue",
                           "--data-binary",
                           f"@{body}", "-w", "%{http_code}", "-o", tmp_path / "out", f"https://{address}/swallow"],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert told.stdout == "200", told.stderr
    assert (tmp_path / "out").read_bytes() == b"%d %d" % checksum([body.read_bytes()])


def test_an_app_that_never_says_continue_still_gets_the_body(wide):
    """An old app ignores Expect; clients send the body after a while."""
    def silent(exchange):
        exchange.request.headers = [pair for pair in exchange.request.headers if pair[0].lower() != "expect"]
        return http1.response_bytes(200, body=exchange.read_body())

    wide.app.on("/silent", silent)
    with wide.client() as client:
        client.send(crlf("POST /silent HTTP/1.1⏎Host: example.test⏎Content-Length: 5⏎Expect: 100-continue⏎⏎"))
        wait_for_protocol_time(0.2)
        assert client.send(b"hello").read_response().body == b"hello"


# ---- every kind of app --------------------------------------------------------------------------------------------------

def test_an_app_on_a_unix_socket_is_reached(new_site, tmp_path):
    site = open_site(new_site, new_site.app(unix_path=tmp_path / "app.sock"))
    with site.client() as client:
        assert app_saw(client.get("/x")).path == "/x"


def test_an_app_over_tls_is_reached_and_verified(new_site, certificates):
    app = new_site.app(certificate=certificates.app)
    tls = {"ca": str(certificates.app.cert), "server_name": "app.internal"}
    site = open_site(new_site, app, upstreams={"app": {"tls": tls}})
    with site.client() as client:
        assert client.request("POST", "/x", body=PIECE).json()["body"].encode("latin-1") == PIECE
        assert app_saw(client.get("/y")).connection == app_saw(client.get("/z")).connection


@pytest.mark.parametrize("tls", [{"ca": "example", "server_name": "app.internal"},
                                 {"ca": "app", "server_name": "other.internal"},
                                 {"ca": "app"}], ids=["other-authority", "other-name", "address-as-name"])
def test_an_app_that_cannot_be_verified_gets_nothing(new_site, certificates, tls):
    app = new_site.app(certificate=certificates.app)
    settings = tls | {"ca": str(getattr(certificates, tls["ca"]).cert)}
    site = open_site(new_site, app, upstreams={"app": {"tls": settings}})
    with site.client() as client:
        assert client.get("/x").status == 502
    assert app.requests() == []


def test_an_app_without_tls_where_tls_is_configured_gets_nothing(new_site, certificates):
    tls = {"ca": str(certificates.app.cert), "server_name": "app.internal"}
    site = open_site(new_site, upstreams={"app": {"tls": tls}})
    with site.client() as client:
        assert client.get("/x").status == 502
    assert site.app.requests() == []
    site.app.violations.clear()  # it took the handshake for a request


# ---- several servers, retries ---------------------------------------------------------------------------------------------

def two_servers(new_site, **upstream):
    first, second = new_site.app(), new_site.app()
    servers = {"servers": [first.address, second.address]} | upstream
    return open_site(new_site, first, upstreams={"app": servers}), first, second


def test_servers_take_turns(new_site):
    site, first, second = two_servers(new_site)
    with site.client() as client:
        for number in range(10):
            assert client.get(f"/{number}").status == 200
    assert len(first.requests()) == len(second.requests()) == 5


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_server_that_refuses_connections_is_stepped_over(new_site, method):
    app = new_site.app()
    dead = f"127.0.0.1:{free_port()}"
    site = open_site(new_site, app, upstreams={"app": {"servers": [dead, app.address, dead]}})
    with site.client() as client:
        for number in range(6):
            body = b"hello" if method == "POST" else b""
            assert app_saw(client.request(method, f"/{number}", body=body)).body == body
    assert len(app.requests()) == 6


def test_no_server_is_502_with_its_reason_in_the_log(new_site):
    site = open_site(new_site, upstreams={"app": {"servers": [f"127.0.0.1:{free_port()}"]}})
    with site.client() as client:
        response = client.get("/x")
        assert response.status in (502, 503)
        assert client.get("/x").status in (502, 503)
    lines = poll(lambda: len(site.gateway.access_log()) == 2 and site.gateway.access_log(), "two lines")
    assert all(line["reason"] for line in lines)


def close_without_an_answer(exchange):
    exchange.read_body()
    exchange.close()


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_request_that_may_have_been_carried_out_is_not_repeated(new_site, method):
    site, first, second = two_servers(new_site)
    for app in (first, second):
        app.on("/once", close_without_an_answer)
    with site.client() as client:
        assert client.request(method, "/once", body=b"pay").status == 502
    assert len(first.requests("/once")) + len(second.requests("/once")) == 1


def test_a_stale_pooled_connection_is_replaced_for_get(new_site):
    """The app closes its idle connection just as the next request is sent."""
    site = open_site(new_site)
    calls = []

    def close_the_second(exchange):
        calls.append(exchange.request.connection)
        if len(calls) == 2:
            exchange.close()
            return None
        return http1.response_bytes(200, body=b"%d" % len(calls))

    site.app.on("/stale", close_the_second)
    with site.client() as client:
        assert [client.get("/stale").body for _ in range(2)] == [b"1", b"3"]
    assert calls[0] == calls[1] != calls[2]


def test_a_pooled_connection_that_the_app_closed_is_not_used(new_site):
    """POST, too, goes well after the app has closed its idle connections."""
    site = open_site(new_site)
    with site.client() as client:
        for number in range(5):
            assert client.request("POST", f"/{number}", body=b"x").status == 200
            site.app.connections[-1].close()
            poll(lambda: site.app.open_connections() == 0, "the app's side is closed")
            wait_for_protocol_time(0.02)  # for the close to cross the loopback
    assert len(site.app.requests()) == 5


def test_an_app_that_restarts_is_found_again(new_site):
    app = RecordingUpstream()
    site = open_site(new_site, app)
    with site.client() as client:
        assert client.get("/x").status == 200
        app.close()
        assert client.get("/x").status in (502, 503)
        again = RecordingUpstream(port=int(app.address.rpartition(":")[2]))
        assert poll(lambda: client.get("/x").status == 200, "the app is back")
        again.close()


def test_a_client_that_reads_slowly_is_no_client_that_does_not(new_site):
    """The system's buffers are large, and ask for more only when a good part of them is free."""
    size, slow_part, pace = 16 * 2**20, 2 * 2**20, 0.5e6
    site = open_site(new_site, limits={"idle_timeout": milliseconds(SCALE)})
    site.app.on("/large", lambda exchange: http1.response_bytes(200, body=bytes(size)))
    with site.client(receive_buffer=65536) as client:
        client.send(http1.request_bytes("GET", "/large"))
        response, taken = http1.read_response_head(client.reader), 0
        for piece in http1.body_pieces(response, client.reader):
            taken += len(piece)
            if taken < slow_part:
                wait_for_protocol_time(SCALE * len(piece) / pace)
        assert taken == size


# ---- timeouts of the app ----------------------------------------------------------------------------------------------------

def test_an_app_that_does_not_answer_in_time_is_504(new_site):
    site = open_site(new_site, upstreams={"app": {"response_timeout": "500ms"}})
    site.app.on("/never", lambda exchange: exchange.gone() and None)
    with site.client() as client:
        began = time.monotonic()
        response = client.get("/never")
        assert response.status == 504 and 0.4 < time.monotonic() - began < PATIENCE
        assert client.get("/next").status == 200
    site.canary_open()


def test_an_answer_that_stalls_is_cut(new_site):
    def stall(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        exchange.gone()

    site = open_site(new_site, upstreams={"app": {"response_timeout": "500ms"}})
    site.app.on("/stall", stall)
    with site.client() as client:
        client.send(http1.request_bytes("GET", "/stall"))
        response = http1.read_response_head(client.reader)
        with pytest.raises(http1.Closed):
            list(http1.body_pieces(response, client.reader))


def test_a_server_that_does_not_take_connections_is_504_or_stepped_over(new_site):
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = [socket.socket() for _ in range(2)]
    for sock in waiting:  # they fill its queue: nobody ever accepts
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
    address = "127.0.0.1:%d" % full.getsockname()[1]
    app = new_site.app()
    alone = open_site(new_site, upstreams={"app": {"servers": [address], "connect_timeout": "300ms"}})
    with alone.client() as client:
        assert client.get("/x").status in (502, 503, 504)
    servers = {"servers": [address, app.address], "connect_timeout": "300ms"}
    beside = open_site(new_site, app, upstreams={"app": servers})
    with beside.client() as client:
        assert client.request("POST", "/x", body=b"x").status == 200
        assert client.request("POST", "/x", body=b"x").status == 200
    for sock in [full, *waiting]:
        sock.close()


# ---- limits -----------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def limited(module_sites):
    return module_sites(routes=OPEN, limits={"header_bytes": "8KiB", "body_bytes": "64KiB", "header_timeout": "1s",
                                             "idle_timeout": "1s"})


def refused(site, data: bytes, *statuses: int) -> None:
    """The same as Site.refused(), on a site without sessions."""
    before = len([request for request in site.app.requests() if request.complete])
    with site.client() as client:
        response = client.send(data).read_response()
        assert response.status in statuses and response.closes, response
        assert client.is_closed()
    assert len([request for request in site.app.requests() if request.complete]) == before


@pytest.mark.parametrize("headers", [{"X": "y" * 9000}, {f"X-{number}": "y" * 50 for number in range(200)},
                                     {f"X-{number}": "" for number in range(1500)}],
                                     ids=["one-long", "many", "very-many"])
def test_a_head_that_is_too_large_is_431(limited, headers):
    refused(limited, http1.request_bytes("GET", "/x", headers), 431)


def test_an_endless_head_is_431(limited):
    refused(limited, b"GET /x HTTP/1.1\r\nHost: example.test\r\nX: " + b"y" * 200_000, 431)


@pytest.mark.parametrize("length", [9000, 200_000])
def test_a_target_that_is_too_long_is_414(limited, length):
    refused(limited, http1.request_bytes("GET", "/" + "x" * length), 414)


def test_a_head_just_below_the_limit_passes(limited):
    with limited.client() as client:
        assert client.get("/x", {"X": "y" * 8000}).status == 200
        assert client.get("/" + "x" * 8000).status == 200


def test_a_body_that_is_announced_too_large_is_413(limited):
    refused(limited, crlf("POST /x HTTP/1.1⏎Host: example.test⏎Content-Length: 65537⏎⏎"), 413)
    refused(limited, crlf("POST /x HTTP/1.1⏎Host: example.test⏎Content-Length: 65537⏎Expect: 100-continue⏎⏎"), 413)


def test_a_body_that_becomes_too_large_is_413_or_cut(limited):
    before = len([request for request in limited.app.requests("/large") if request.complete])
    with limited.client() as client:
        client.send(crlf("POST /large HTTP/1.1⏎Host: example.test⏎Transfer-Encoding: chunked⏎⏎"))
        for _ in range(20):
            client.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        response = client.read_response()
        assert response.status == 413 and response.closes
        assert client.is_closed()
    assert len([request for request in limited.app.requests("/large") if request.complete]) == before


def test_a_body_at_the_limit_passes(limited):
    with limited.client() as client:
        assert len(client.request("POST", "/x", body=b"x" * 65536).json()["body"]) == 65536


@pytest.mark.parametrize("begin", [b"G", b"GET /x HTTP/1.1\r\n", b"GET /x HTTP/1.1\r\nHost: example.test\r\nX: "],
                         ids=["one-byte", "line", "within-a-field"])
@pytest.mark.parametrize("dripping", [False, True], ids=["silent", "dripping"])
def test_a_head_that_does_not_end_in_time_is_408(limited, begin, dripping):
    with limited.client() as client:
        client.send(begin)
        began = time.monotonic()
        if dripping:
            client.drip_until_answered(b"x", 0.1)
        response = client.read_response()
        assert response.status == 408 and response.closes
        assert 0.8 < time.monotonic() - began < 2 + PATIENCE / 2


@pytest.fixture(scope="module")
def unhurried(module_sites):
    """header_timeout is longer than a connection keeps its buffers, and far from idle_timeout."""
    return module_sites(routes=OPEN, limits={"header_timeout": milliseconds(HEAD_TIME), "idle_timeout": "75s"})


@pytest.mark.parametrize("before", ["at-once", "parked", "behind-a-request"])
@pytest.mark.parametrize("dripping", [False, True], ids=["silent", "dripping"])
def test_the_time_for_a_head_is_header_timeout_and_runs_from_its_first_byte(unhurried, before, dripping):
    with unhurried.client() as client:
        if before == "parked":
            wait_for_protocol_time(1.2)  # after a second of silence the connection gives its buffers back
        elif before == "behind-a-request":
            assert client.get("/x").status == 200
        client.send(b"GET /x HTTP/1.1\r\nHo")
        began = time.monotonic()
        if dripping:
            client.drip_until_answered(b"x", 0.2)
        response = client.read_response()
        assert response.status == 408 and response.closes
        assert HEAD_TIME - 0.2 < time.monotonic() - began < HEAD_TIME + PATIENCE / 2


def test_a_connection_without_a_request_is_closed(limited):
    with limited.client() as client:
        assert client.is_closed(), "an answer, or no end"
    with limited.client() as client:
        assert client.get("/x").status == 200
        assert client.is_closed()


def test_a_slow_request_does_not_count_as_idle(limited):
    limited.app.on("/slow", lambda exchange: wait_for_protocol_time(1.8) or http1.response_bytes(200, body=b"slow"))
    with limited.client() as client:
        assert client.get("/slow").body == b"slow"


def test_connections_beyond_the_limit_are_closed(new_site):
    site = open_site(new_site, limits={"connections": 5})
    clients = [site.client() for _ in range(5)]
    for client in clients:
        assert client.get("/x").status == 200
    with pytest.raises((OSError, http1.Closed, AssertionError)):
        assert site.client(patience=2 * SCALE).get("/x").status == 200
    clients[0].close()

    def admitted():
        try:
            with site.client(patience=2 * SCALE) as client:
                return client.get("/x").status == 200
        except (OSError, http1.Closed):
            return False

    poll(admitted, "a place is free again")
    for client in clients[1:]:
        assert client.get("/x").status == 200
        client.close()


# ---- rewriting ----------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def rewriting(module_sites):
    return module_sites(routes=[route("/old/", "public", rewrite={"strip_prefix": "/old"}), route("/", "public")])


@pytest.mark.parametrize("sent, received",
                         [("/old/a/b?c=/old/", "/a/b?c=/old/"), ("/old/", "/"), ("/old//a", "/a"),
                          ("/old/old/a", "/old/a"),
                                            ("/old/%2e%2e/a", "/a"), ("/older/a", "/older/a")])
def test_a_prefix_is_stripped_from_the_path(rewriting, sent, received):
    with rewriting.client() as client:
        assert app_saw(client.get(sent)).target == received


@pytest.mark.parametrize("location, seen", [
    ("/account", "/old/account"), ("/account?next=/x#y", "/old/account?next=/x#y"), ("/", "/old/"),
    ("https://example.test/account", "https://example.test/old/account"), ("http://{app}/account", None),
    ("relative", "relative"), ("../up", "../up"), ("?query", "?query"), ("#fragment", "#fragment"),
    ("https://elsewhere.test/account", "https://elsewhere.test/account"),
    ("//elsewhere.test/account", "//elsewhere.test/account"),
])
def test_a_location_is_put_right(rewriting, location, seen):
    with rewriting.client() as client:
        response = client.get(asked("/old/x", {"Location": location.format(app=rewriting.app.address)}, status=302))
    if seen is None:
        assert response.one("Location") in ("/old/account", "https://example.test/old/account")
    else:
        assert response.one("Location") == seen


@pytest.mark.parametrize("cookie, path", [("a=b; Path=/", "/old/"), ("a=b; Path=/shop", "/old/shop"),
                                          ("a=b; path=/shop; Secure", "/old/shop"),
                                          ("a=b", None), ("a=b; HttpOnly; Path=/x; Max-Age=5", "/old/x")])
def test_a_cookies_path_is_put_right(rewriting, cookie, path):
    with rewriting.client() as client:
        seen = SetCookie.parse(client.get(asked("/old/x", {"Set-Cookie": cookie})).one("Set-Cookie"))
    assert seen.name == "a" and seen.value == "b"
    assert seen.attributes.get("path", "none").rstrip("/") == (path or "none").rstrip("/")


def test_other_routes_leave_locations_alone(rewriting):
    with rewriting.client() as client:
        response = client.get(asked("/x", {"Location": "/account", "Set-Cookie": "a=b; Path=/"}, status=302))
    assert response.one("Location") == "/account" and response.one("Set-Cookie") == "a=b; Path=/"


# ---- the drain ------------------------------------------------------------------------------------------------------------------

def test_sigterm_cuts_no_request_in_flight(new_site):
    site = new_site(threads=2)
    slow, download = held_for_the_drain(site.app)
    alice = site.browser("alice")
    thinking, downloading, uploading, idle = (site.client() for _ in range(4))
    assert idle.get("/public/x").status == 200
    thinking.send(http1.request_bytes("GET", "/public/slow"))
    downloading.send(http1.request_bytes("GET", "/public/download"))
    uploading.send(crlf("POST /public/slow HTTP/1.1⏎Host: example.test⏎Content-Length: 10⏎⏎hello"))
    for held in (slow, slow, download):
        held.await_arrival()
    site.gateway.terminate()
    assert idle.is_closed()
    poll(lambda: not accepts(site), "new connections are refused")
    slow.release()
    download.release()
    uploading.send(b"-end!")
    assert thinking.read_response().body == b"late "
    assert uploading.read_response().body == b"late hello-end!"
    assert downloading.read_response().body == b"first-last"
    assert thinking.is_closed() and downloading.is_closed() and uploading.is_closed()
    site.gateway.stop()
    alice.close()


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_a_drain_has_a_limit_where_one_is_set(new_site, protocol):
    """A stream of events has no end of its own."""
    site = open_site(new_site, limits={"drain_timeout": "500ms"})
    held = HeldAnswer(site.app, "/events", begin=b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n")
    with site.client() if protocol == "http1" else site.http2() as client:
        if protocol == "http1":
            client.send(http1.request_bytes("GET", "/events"))
        else:
            client.open("GET", "/events")
        held.await_arrival()
        site.gateway.terminate()
        assert site.gateway.process.wait(PATIENCE) == 0
    assert "limits.drain_timeout is over" in site.gateway.stderr()
    held.release()


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_up_to_its_last_moment_leave_it_a_clean_end(new_site, again):
    """A supervisor takes a death by a signal for a crash."""
    process = new_site(threads=2).gateway.process
    process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(again)
        with contextlib.suppress(subprocess.TimeoutExpired):  # it is to have time for something else, too
            process.wait(0.001)
    assert process.poll() == 0


def accepts(site) -> bool:
    try:
        with socket.create_connection(site.gateway.address, timeout=PATIENCE):
            return True
    except OSError:
        return False


def test_sigterm_ends_an_idle_gateway_at_once(new_site):
    site = new_site()
    with site.client() as client:
        assert client.get("/public/x").status == 200
        began = time.monotonic()
        site.gateway.stop()
        assert time.monotonic() - began < 3 * SCALE
        assert client.is_closed()


def test_several_threads_share_one_store(new_site):
    site = new_site(threads=4)
    alice = site.browser("alice")
    for _ in range(40):
        assert alice.user() == "alice"
        alice.close()  # the next connection may be another thread's
    assert site.gateway.users() == 1
    assert set_cookies(alice.logout())[0].deletes
