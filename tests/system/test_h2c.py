"""Apps that speak HTTP/2 in the clear (`protocol: h2c`): requests, answers and trailers, flow, who leaves, who fails."""

import subprocess
import threading

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from harness import http1
from harness.browser import Http2Browser, set_cookies
from harness.cases import cases
from harness.client import connect
from harness.deadlines import PATIENCE, SCALE, poll, stands_still, wait_for_protocol_time
from harness.gateway import COOKIE, free_port, route
from harness.http1 import crlf
from harness.http2 import (ACK, END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS, FrameClient, Reset, block, frame,
                           request_fields, rst_stream, setting)
from harness.http2_app import Http2App, answer_plainly

SANITIZED = SCALE > 1
ALLOWANCE = 2**30 if SANITIZED else 24 * 2**20
TO_CALLS = [route(path, **settings) | {"upstream": "calls"} for path, settings in {
    "/login": {"access": "optional", "sessions": "control"}, "/private/data/": {"session_data": True}, "/private/": {},
    "/": {"access": "public"}}.items()]


def calls_site(sites, *servers: str, **settings):
    """A gateway in front of apps that speak HTTP/2, with `settings` of their upstream."""
    upstream = {"servers": list(servers), "protocol": "h2c", "response_timeout": f"{int(20 * SCALE)}s"} | settings
    return sites(upstreams={"calls": upstream}, routes=TO_CALLS)


@pytest.fixture(scope="module")
def app():
    made = Http2App()
    yield made
    made.close()
    assert not made.violations, "the app received what is not HTTP/2"


@pytest.fixture(scope="module")
def calls(module_sites, app):
    return calls_site(module_sites, app.address)


@pytest.fixture
def new_app():
    """Makes apps that live for one test."""
    made = []

    def new(*arguments, **options) -> Http2App:
        made.append(Http2App(*arguments, **options))
        return made[-1]

    yield new
    for one in made:
        one.close()


def echo(call) -> None:
    """Sends every piece back as it comes, and its request's trailers behind the last."""
    call.send_head([("content-type", "application/grpc")])
    while piece := call.read():
        call.send(piece)
    call.send_trailers([("grpc-status", "0")] + call.trailers)


# ---- requests and answers -----------------------------------------------------------------------------------------------

def test_a_request_reaches_the_app_as_http2(calls, app):
    with calls.http2() as client:
        response = client.request("POST", "/plain?a=%2f", {"te": "trailers", "grpc-timeout": "5S", "user-agent": "me",
                                                           "x-user-id": "admin"}, b"hello")
    assert (response.status, response.body) == (200, b"plain")
    call = app.calls("/plain")[-1]
    assert call.fields[:4] == [(":method", "POST"), (":scheme", "http"), (":authority", "example.test"), (":path", "/plain?a=%2f")]
    assert (call.one("te"), call.one("grpc-timeout"), call.one("user-agent")) == ("trailers", "5S", "me")
    assert (call.one("content-length"), call.body) == ("5", b"hello")
    assert call.one("x-forwarded-proto") == "https" and call.one("x-request-id")
    names = [name for name, _ in call.fields]
    assert not {"host", "connection", "transfer-encoding", "x-user-id", "cookie"} & set(names)
    assert names == [name.lower() for name in names]


def test_a_request_of_http1_reaches_the_app_as_http2(calls, app):
    """SECURITY S7: its trailers do not."""
    with calls.client() as client:
        client.send(crlf("POST /plain-1 HTTP/1.1⏎Host: example.test⏎TE: trailers⏎Connection: TE⏎X-Big: Yes⏎"
                         "Transfer-Encoding: chunked⏎⏎5⏎hello⏎0⏎X-User-Id: admin⏎X-Sum: 1⏎⏎"))
        response = client.read_response()
        assert (response.status, response.body) == (200, b"plain")
        assert client.get("/again").status == 200
    call = app.calls("/plain-1")[-1]
    assert (call.body, call.one("x-big"), call.trailers) == (b"hello", "Yes", [])
    assert call.one("te") is call.one("content-length") is call.one("transfer-encoding") is None


def test_te_is_not_told_for_a_client_that_has_not(calls, app):
    with calls.http2() as client:
        assert client.get("/no-te").status == 200
    assert app.calls("/no-te")[-1].one("te") is None


def test_many_requests_share_a_connection(new_site, new_app):
    app = new_app()
    site = calls_site(new_site, app.address)
    with site.http2() as client:
        streams = [client.open(path=f"/{n}") for n in range(50)]
        assert [client.read_response(stream).body for stream in streams] == [b"plain"] * 50
    with site.client() as client:
        assert client.get("/last").status == 200
    assert len(app.calls()) == 51 and len({call.connection for call in app.calls()}) == 1


def test_trailers_pass_both_ways(calls, app):
    """SECURITY H9"""
    app.on("/echo", echo)
    with calls.http2() as client:
        stream = client.open("POST", "/echo", {"te": "trailers"}, end=False)
        client.send_body(stream, b"one")
        client.pump_until(lambda: client.answer(stream).response and client.answer(stream).response.body == b"one")
        client.send_body(stream, b"two")
        client.send_trailers(stream, [("x-checksum", "12"), ("x-user-id", "admin"), ("x_user_id", "admin"),
                                      ("cookie", "a=b"), ("x-session-user", "admin"), ("authorization", "x")])
        assert client.read_response(stream).body == b"onetwo"
        assert client.answer(stream).trailers == [("grpc-status", "0"), ("x-checksum", "12")]
    assert app.calls("/echo")[-1].trailers == [("x-checksum", "12")]


def test_trailers_behind_an_empty_body_pass(calls, app):
    def handler(call):
        call.read_all()
        call.send_head([("content-type", "application/grpc")])
        call.send_trailers([("grpc-status", "0"), ("x-seen", dict(call.trailers).get("x-only", ""))])

    app.on("/empty", handler)
    with calls.http2() as client:
        stream = client.open("POST", "/empty", end=False)
        client.send_trailers(stream, [("x-only", "this")])
        assert client.read_response(stream).body == b""
        assert client.answer(stream).trailers == [("grpc-status", "0"), ("x-seen", "this")]


def test_large_trailers_pass(calls, app):
    """Larger than what is sent at once."""
    trailers = [(f"x-trailer-{number}", f"{number % 10}" * 1000) for number in range(70)]

    def handler(call):
        call.read_all()
        call.send_head()
        call.send(b"hello")
        call.send_trailers(trailers)

    app.on("/large-trailers", handler)
    with calls.http2() as client:
        stream = client.open(path="/large-trailers")
        assert client.read_response(stream).body == b"hello"
        assert client.answer(stream).trailers == trailers
        assert client.get("/next").status == 200


@pytest.mark.parametrize("name", ["set-cookie", "x-session-user", "x-session-end", "x_session_user", "content-length-",
                                  "transfer_encoding", "x-user-id", "location", "cache-control", "clear-site-data"])
def test_trailers_cannot_say_what_heads_say(calls, app, name):
    def handler(call):
        call.read_all()
        call.send_head()
        call.send(b"x")
        call.send_trailers([(name, f"{COOKIE}=stolen"), ("grpc-status", "0")])

    app.on("/trailer", handler)
    with calls.http2() as client:
        stream = client.open(path="/trailer")
        client.read_response(stream)
        passed = dict(client.answer(stream).trailers)
    assert passed.pop("grpc-status") == "0"
    assert set(passed) <= ({name} if name == "content-length-" else set())


def test_an_answer_of_trailers_only_stays_one(calls, app):
    """gRPC's Trailers-Only: one HEADERS frame that ends the stream."""
    def handler(call):
        call.read_all()
        call.send_head([("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "none")], end=True)

    app.on("/only", handler)
    with calls.frames() as client:
        stream = client.open(request_fields("POST", "/only"))
        assert client.outcome(stream) == "200"
        answer = client.answer(stream)
        assert (answer.response.one("grpc-status"), answer.response.one("grpc-message")) == ("5", "none")
        assert answer.response.one("content-length") is None and answer.response.body == b"" and not answer.trailers
        frames = [one for one in client.frames if one.stream_id == stream]
        assert len(frames) == 1 and "END_STREAM" in frames[0].flags
    with calls.client() as client:
        response = client.request("POST", "/only")
        assert (response.one("grpc-status"), response.body) == ("5", b"")
        assert client.get("/next").status == 200


def test_clients_of_http1_get_no_trailers(calls, app):
    def handler(call):
        call.send_head([("content-type", "text/plain")])
        call.send(b"body")
        call.send_trailers([("grpc-status", "0")])

    app.on("/with-trailers", handler)
    with calls.client() as client:
        response = client.get("/with-trailers", {"TE": "trailers", "Connection": "TE"})
        assert response.body == b"body" and response.one("grpc-status") is None
        assert client.get("/next").status == 200


@pytest.mark.parametrize("status, body", [(204, b""), (304, b""), (404, b"none"), (503, b"later")])
def test_any_status_passes(calls, app, status, body):
    def handler(call):
        call.read_all()
        call.send_head([("content-length", str(len(body)))] if status != 204 else [], status, end=not body)
        if body:
            call.send(body, end=True)

    app.on(f"/status-{status}", handler)
    for client in (calls.http2(), calls.client()):
        with client:
            response = client.get(f"/status-{status}")
            assert (response.status, response.body) == (status, body)
            assert client.get("/next").status == 200


def test_head_has_no_body(calls, app):
    app.on("/head", lambda call: call.send_head([("content-length", "5")], end=True))
    with calls.http2() as client:
        response = client.read_response(client.open("HEAD", "/head"))
        assert (response.one("content-length"), response.body) == ("5", b"")
    with calls.client() as client:
        response = client.request("HEAD", "/head")
        assert response.one("Content-Length") == "5"
        assert client.get("/next").status == 200


def test_interim_answers_pass(calls, app):
    def handler(call):
        call.send_head([("link", "</a.css>; rel=preload")], 103)
        call.send_head([("link", "</b.css>; rel=preload")], 103)
        call.read_all()
        call.send_head()
        call.send(b"end", end=True)

    app.on("/early", handler)
    for client in (calls.http2(), calls.client()):
        with client:
            response = client.get("/early")
            assert [head.one("link") for head in response.interim] == ["</a.css>; rel=preload", "</b.css>; rel=preload"]
            assert response.body == b"end"


def test_expect_continue_is_between_client_and_app(calls, app):
    def handler(call):
        if call.one("expect") == "100-continue":
            call.send_head(status=100)
        answer_plainly(call)

    app.on("/expect", handler)
    with calls.client() as client:
        client.send(crlf("POST /expect HTTP/1.1⏎Host: example.test⏎Expect: 100-continue⏎Content-Length: 5⏎⏎"))
        poll(lambda: app.calls("/expect"), "the app has it")
        client.send(b"hello")
        response = client.read_response()
        assert response.body == b"plain" and [head.status for head in response.interim] == [100]
    assert app.calls("/expect")[-1].body == b"hello"


# ---- sessions -----------------------------------------------------------------------------------------------------------

@pytest.fixture
def signed_in(calls, app):
    """alice's browser, over HTTP/2."""
    def login(call):
        call.read_all()
        call.send_head([("x-session-user", "alice"), ("grpc-status", "0")], end=True)

    app.on("/login", login)
    browser = Http2Browser(calls.gateway)
    response = browser.get("/login")
    assert response.one("x-session-user") is None and browser.cookie
    yield browser
    browser.close()


def test_answers_of_calls_carry_the_cookie(calls, app, signed_in):
    """SECURITY C7, for gRPC; trailers-only answers, too."""
    app.on("/private/echo", echo)
    app.on("/private/only", lambda call: call.send_head([("grpc-status", "7")], end=True))
    for path in ("/private/echo", "/private/only"):
        response = signed_in.fetch("POST", path, {"te": "trailers"}, b"hello")
        assert response.status == 200 and set_cookies(response)[0].name == COOKIE
        assert "private" in response.one("cache-control")
        assert app.calls(path)[-1].one("x-user-id") == "alice" and app.calls(path)[-1].one("cookie") is None


@pytest.mark.parametrize("user", [" alice", "alice "], ids=["before", "behind"])
def test_a_login_with_spaces_around_the_user_signs_nobody_in(calls, app, user):
    """RFC 9113 section 8.2.1: in HTTP/2 they do not belong to what is around the value, and so make it malformed."""
    def login(call):
        call.read_all()
        call.send_head([("x-session-user", user)], end=True)

    app.on("/login", login)
    with calls.http2() as client:
        response = client.get("/login")
    assert response.status == 502 and set_cookies(response) == []


@pytest.mark.parametrize("size", [65_000, 65_536])
def test_session_data_of_64_kib_comes_with_calls(calls, app, size):
    """The head is larger than what is sent at once."""
    data = '{"x":"' + "y" * (size - 8) + '"}'

    def login(call):
        call.read_all()
        call.send_head([("x-session-user", "dora"), ("x-session-data", data)], end=True)

    app.on("/login", login)
    browser = Http2Browser(calls.gateway)
    assert browser.get("/login").status == 200
    for _ in range(2):
        assert browser.get("/private/data/x").status == 200
        assert app.calls("/private/data/x")[-1].one("x-session-data") == data
    browser.close()


def test_a_call_without_a_session_does_not_reach_the_app(calls, app):
    before = len(app.calls())
    with calls.http2() as client:
        assert client.request("POST", "/private/echo", {"x-user-id": "admin"}, b"hello").status == 401
    assert len(app.calls()) == before


def test_the_end_of_a_session_ends_its_calls(calls, app, signed_in):
    """SPEC R6"""
    def pour(call):
        call.send_head()
        while call.is_wanted_for(0.02):
            call.send(b"x" * 100)

    app.on("/private/pour", pour)
    with calls.http2() as client:
        stream = client.open(path="/private/pour", headers={"cookie": f"{COOKIE}={signed_in.cookie}"})
        assert client.read_head(stream).status == 200
        assert calls.gateway.revoke("user=alice") >= 1
        assert client.outcome(stream) in ("RST CANCEL", "RST INTERNAL_ERROR")
    assert app.calls("/private/pour")[-1].await_reset() == ErrorCodes.CANCEL


# ---- bodies and their flow ------------------------------------------------------------------------------------------------

def test_both_sides_speak_in_turns(calls, app):
    app.on("/turns", echo)
    with calls.http2() as client:
        stream = client.open("POST", "/turns", {"te": "trailers"}, end=False)
        for turn in range(1, 51):
            client.send_body(stream, b"%04d" % turn)
            client.pump_until(lambda: client.answer(stream).response and len(client.answer(stream).response.body) == 4 * turn)
        client.send_body(stream, b"", end=True)
        assert client.read_response(stream).body == b"".join(b"%04d" % turn for turn in range(1, 51))


@pytest.mark.parametrize("kind", ["http2", "client"])
def test_large_bodies_pass_both_ways(calls, app, kind):
    """Larger than every window and buffer."""
    size = 8 * 2**20

    def handler(call):
        body = call.read_all()
        call.send_head([("x-size", str(len(body)))])
        call.send(bytes(range(256)) * (size // 256))
        call.send_trailers([("grpc-status", "0")])

    app.on("/large", handler)
    with getattr(calls, kind)() as client:
        response = client.request("POST", "/large", {}, b"u" * size)
        assert response.one("x-size") == str(size) and response.body == bytes(range(256)) * (size // 256)


def test_a_slow_client_holds_up_its_app_and_nobody_else(calls, app):
    sent = []

    def pour(call):
        call.send_head()
        while call.reset is None and not call.connection.closed:
            call.send(bytes(2**16))
            sent.append(2**16)

    app.on("/pour", pour)
    with calls.http2(crediting=False) as slow, calls.gateway.flat_memory(ALLOWANCE):
        stream = slow.open(path="/pour")
        slow.read_head(stream)
        assert stands_still(sent) < 2 * 2**20, "the app is held up"
        with calls.http2() as client:
            for _ in range(20):
                assert client.get("/beside").body == b"plain"
        slow.reset(stream)
    assert app.calls("/pour")[-1].await_reset() == ErrorCodes.CANCEL


def test_a_slow_app_holds_up_its_client_and_nobody_else(calls, app):
    go_on = threading.Event()

    def wait(call):
        assert go_on.wait(2 * PATIENCE)
        call.read_all()
        call.send_head([("x-size", str(len(call.body)))], end=True)

    app.on("/wait", wait)
    with calls.http2() as client, calls.gateway.flat_memory(ALLOWANCE):
        stream = client.open("POST", "/wait", end=False)
        with pytest.raises(TimeoutError) as held_up:
            client.send_body(stream, bytes(32 * 2**20), patience=0.5 * SCALE)
        assert held_up.value.args[0] < 2 * 2**20
        with calls.http2() as other:
            for _ in range(20):
                assert other.get("/beside").body == b"plain"
        go_on.set()
        client.send_body(stream, b"end", end=True)
        assert client.read_response(stream).one("x-size") == str(held_up.value.args[0] + 3)


def test_an_answer_ahead_of_the_upload_ends_it(calls, app):
    """RFC 9113 section 8.1: the app answers without the body, and says so."""
    def refuse(call):
        call.send_head([("grpc-status", "8")], end=True)
        call.send_reset(ErrorCodes.NO_ERROR)

    app.on("/refuse", refuse)
    with calls.http2() as client:
        stream = client.open("POST", "/refuse", end=False)
        client.pump_until(lambda: client.answer(stream).over)
        assert client.answer(stream).response.one("grpc-status") == "8"
        client.pump_until(lambda: client.answer(stream).reset is not None)
        assert client.answer(stream).reset == ErrorCodes.NO_ERROR
        assert client.get("/next").status == 200


def test_an_upload_that_takes_long_beside_its_answer_is_no_silence(new_site, new_app):
    """The app has begun its answer, and goes on when the upload ends: longer than its response_timeout."""
    app = new_app(echo)
    site = calls_site(new_site, app.address, response_timeout=f"{int(800 * SCALE)}ms")

    def handler(call):
        call.send_head()
        call.read_all()
        call.send(call.body, end=True)

    app.on("/collect", handler)
    with site.http2() as client:
        stream = client.open("POST", "/collect", end=False)
        client.read_head(stream)
        for _ in range(8):
            wait_for_protocol_time(0.2 * SCALE)
            client.send_body(stream, b"x")
        client.send_body(stream, b"", end=True)
        assert client.read_response(stream).body == b"x" * 8


def test_an_app_that_takes_an_upload_slowly_is_waited_for(new_site, new_app):
    """Longer than response_timeout, during each of which it takes some."""
    app = new_app()
    site = calls_site(new_site, app.address, response_timeout=f"{int(300 * SCALE)}ms")

    def handler(call):
        for _ in range(15):
            call.read()
            wait_for_protocol_time(0.1 * SCALE)
        call.send_head()
        call.send(b"%d" % len(call.read_all()), end=True)

    app.on("/slow", handler)
    with site.http2() as client:
        response = client.request("POST", "/slow", {}, bytes(400_000))
        assert (response.status, response.body) == (200, b"400000")


def test_an_answer_goes_on_whose_request_is_not_read(new_site, new_app):
    """In a call both sides talk: the app is done with listening, and speaks for longer than response_timeout."""
    app = new_app()
    site = calls_site(new_site, app.address, response_timeout=f"{int(300 * SCALE)}ms")

    def handler(call):
        call.send_head()
        for _ in range(12):
            call.send(b"tick")
            wait_for_protocol_time(0.1 * SCALE)
        call.send(b"", end=True)

    app.on("/talks", handler)
    with site.http2() as client:
        stream = client.open("POST", "/talks", end=False)
        client.send_body(stream, bytes(150_000))
        assert client.read_response(stream).body == b"tick" * 12


# ---- who leaves ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("begins", [False, True], ids=["unanswered", "answered"])
def test_a_client_that_cancels_cancels_at_the_app(calls, app, begins):
    def handler(call):
        if begins:
            call.send_head()
        call.await_reset()

    path = f"/cancel-{begins}"
    app.on(path, handler)
    with calls.http2() as client:
        stream = client.open("POST", path, end=False)
        client.send_body(stream, b"hello")
        poll(lambda: app.calls(path), "the app has it")
        if begins:
            client.read_head(stream)
        client.reset(stream)
        assert app.calls(path)[-1].await_reset() == ErrorCodes.CANCEL
        assert client.get("/next").status == 200
    connections = len(app.open_connections())
    with calls.client() as client:
        client.send(http1.request_bytes("GET", path))
        poll(lambda: len(app.calls(path)) == 2, "the app has it")
    assert app.calls(path)[-1].await_reset() == ErrorCodes.CANCEL
    assert len(app.open_connections()) == connections, "a connection was given up for one call"


@pytest.mark.parametrize("code, told", [(ErrorCodes.CANCEL, "CANCEL"), (ErrorCodes.ENHANCE_YOUR_CALM, "ENHANCE_YOUR_CALM"),
                                        (ErrorCodes.INTERNAL_ERROR, "INTERNAL_ERROR"), (ErrorCodes.NO_ERROR, "INTERNAL_ERROR"),
                                        (ErrorCodes.HTTP_1_1_REQUIRED, "INTERNAL_ERROR")])
def test_an_app_that_cancels_cancels_at_the_client(calls, app, code, told):
    begun = threading.Event()

    def handler(call):
        call.send_head()
        call.send(b"begun")
        begun.wait(PATIENCE)
        call.send_reset(code)

    app.on("/cut", handler)
    with calls.http2() as client:
        stream = client.open(path="/cut")
        client.pump_until(lambda: client.answer(stream).response and client.answer(stream).response.body == b"begun")
        begun.set()
        assert client.outcome(stream) == f"RST {told}"
        assert client.get("/next").status == 200
    with calls.client() as client:
        client.send(http1.request_bytes("GET", "/cut"))
        with pytest.raises(http1.Closed):
            client.read_response()


@pytest.mark.parametrize("code", [ErrorCodes.CANCEL, ErrorCodes.INTERNAL_ERROR, ErrorCodes.NO_ERROR, ErrorCodes.PROTOCOL_ERROR])
def test_an_app_that_resets_without_an_answer_gets_502(calls, app, code):
    app.on("/reset", lambda call: call.send_reset(code))
    before = len(app.calls("/reset"))
    with calls.http2() as client:
        assert client.request("POST", "/reset", {}, b"hello").status == 502
    assert len(app.calls("/reset")) == before + 1, "what the app may have done is not done again"


def test_rapid_reset_reaches_the_app_bounded_and_cuts_nobody_else(new_site, new_app):
    """SECURITY H1, where all users share the app's connection."""
    app = new_app()
    app.on("/rapid", lambda call: call.await_reset())
    site = calls_site(new_site, app.address)
    head = block(request_fields(path="/rapid"))
    with site.http2() as other, site.frames() as client, site.gateway.flat_memory(ALLOWANCE):
        assert other.get("/beside").body == b"plain"
        for stream in range(1, 20_000, 200):
            streams = range(stream, stream + 200, 2)
            heads = b"".join(frame(HEADERS, one, head, END_HEADERS | END_STREAM) for one in streams)
            if not client.send(heads) or not client.send(b"".join(rst_stream(one) for one in streams)):
                break
            assert other.get("/beside").body == b"plain"
        assert client.farewell() == "GOAWAY ENHANCE_YOUR_CALM"
        assert other.get("/beside").body == b"plain"
    assert len(app.calls("/rapid")) <= 1500
    assert len({call.connection for call in app.calls("/beside")}) <= 2 and not app.violations


# ---- retries --------------------------------------------------------------------------------------------------------------

def test_what_the_app_refuses_unseen_is_asked_again(calls, app):
    """RFC 9113 section 8.7: REFUSED_STREAM. The body goes along, though it was sent before."""
    turns = iter((True, False))

    def handler(call):
        if next(turns):
            call.read_all()
            return call.send_reset(ErrorCodes.REFUSED_STREAM)
        answer_plainly(call)

    app.on("/refused-once", handler)
    with calls.http2() as client:
        assert client.request("POST", "/refused-once", {}, b"hello" * 1000).body == b"plain"
    assert [call.body for call in app.calls("/refused-once")] == [b"hello" * 1000] * 2


def test_what_the_app_refuses_always_is_given_up(calls, app):
    app.on("/refused", lambda call: call.send_reset(ErrorCodes.REFUSED_STREAM))
    with calls.http2() as client:
        assert client.get("/refused").status == 502
        assert client.get("/next").status == 200
    assert 2 <= len(app.calls("/refused")) <= 4


def test_a_body_that_is_under_way_moves_to_another_try(calls, app):
    first = threading.Event()

    def handler(call):
        if not first.is_set():
            call.read()
            first.set()
            return call.send_reset(ErrorCodes.REFUSED_STREAM)
        echo(call)

    app.on("/moves", handler)
    with calls.http2() as client:
        stream = client.open("POST", "/moves", end=False)
        client.send_body(stream, b"one")
        assert first.wait(PATIENCE)
        client.send_body(stream, b"two", end=True)
        assert client.read_response(stream).body == b"onetwo"


@pytest.mark.parametrize("protocol", ["http1", "http2"])
@pytest.mark.parametrize("body", [b"", b"late", bytes(2**20)], ids=len)
def test_a_request_under_way_outlives_its_upstream(new_site, new_app, protocol, body):
    """A reload has replaced it: what is left of it goes when the answer has been read to its end."""
    app, go_on = new_app(), threading.Event()

    def slow(call):
        assert go_on.wait(2 * PATIENCE)
        call.send_head()
        call.send(body, end=True)

    app.on("/slow", slow)
    site = calls_site(new_site, app.address)
    with (site.client() if protocol == "http1" else site.http2()) as client:
        for number in range(3):
            go_on.clear()
            if protocol == "http1":
                client.send(http1.request_bytes("GET", "/slow"))
            else:
                stream = client.open("GET", "/slow")
            poll(lambda: len(app.calls("/slow")) == number + 1, "the request")
            site.gateway.reload(upstreams={"calls": {"connect_timeout": f"{number + 3}s"}})
            go_on.set()
            response = client.read_response() if protocol == "http1" else client.read_response(stream)
            assert (response.status, response.body) == (200, body)
            assert client.get("/next").status == 200
    poll(lambda: len(app.open_connections()) == 1, "the connections of before are gone")


def test_goaway_sends_new_requests_to_a_new_connection(new_site, new_app):
    """RFC 9113 section 6.8: those that the app has taken go on."""
    go_on = threading.Event()

    def slow(call):
        call.send_head()
        assert go_on.wait(PATIENCE)
        call.send(b"slow", end=True)

    app = new_app()
    app.on("/slow", slow)
    site = calls_site(new_site, app.address)
    with site.http2() as client:
        stream = client.open(path="/slow")
        client.read_head(stream)
        taken = app.calls("/slow")[0]
        taken.connection.send_goaway(taken.stream)
        poll(lambda: client.get("/next").status == 200 and app.calls("/next")[-1].connection != taken.connection,
             "a request comes over a new connection")
        go_on.set()
        assert client.read_response(stream).body == b"slow"
        poll(lambda: taken.connection.closed, "the gateway closes what is of no use any more")
        assert client.get("/after").status == 200
    assert len({call.connection for call in app.calls()}) == 2  # others are health checks


def test_requests_above_the_last_of_goaway_are_asked_again(new_site, new_app):
    app = new_app()
    first = threading.Event()

    def handler(call):
        if not first.is_set():
            call.read_all()
            first.set()
            return call.connection.send_goaway(call.stream - 2)
        answer_plainly(call)

    app.on("/lost", handler)
    site = calls_site(new_site, app.address)
    with site.http2() as client:
        assert client.get("/warm").status == 200
        assert client.request("POST", "/lost", {}, b"hello").body == b"plain"
    assert [call.body for call in app.calls("/lost")] == [b"hello", b"hello"]
    assert len({call.connection for call in app.calls("/lost")}) == 2


@pytest.mark.parametrize("method, times", [("GET", 2), ("POST", 1)])
def test_a_connection_that_breaks_is_asked_again_only_where_that_does_no_harm(new_site, new_app, method, times):
    app = new_app()
    broken = threading.Event()

    def handler(call):
        if not broken.is_set():
            broken.set()
            return call.connection.close()
        answer_plainly(call)

    app.on("/breaks", handler)
    site = calls_site(new_site, app.address)
    with site.http2() as client:
        assert client.get("/warm").status == 200
        assert client.read_response(client.open(method, "/breaks")).status == (200 if times == 2 else 502)
        assert client.get("/next").status == 200
    assert len(app.calls("/breaks")) == times


def test_a_connection_that_the_app_closed_while_it_was_idle_is_not_used(new_site, new_app):
    app = new_app()
    site = calls_site(new_site, app.address)
    with site.http2() as client:
        for _ in range(5):
            poll(lambda: client.request("POST", "/x", {}, b"x").status == 200, "the gateway has heard of it")
            app.calls()[-1].connection.close()
    assert len({call.connection for call in app.calls()}) == 5


def test_a_server_that_is_down_is_passed_over(new_site, new_app):
    app = new_app()
    site = calls_site(new_site, f"127.0.0.1:{free_port()}", app.address)
    with site.http2() as client:
        for _ in range(4):
            assert client.request("POST", "/x", {}, b"hello").status == 200
    assert len(app.calls()) == 4


def test_no_server_at_all_is_502(new_site):
    site = calls_site(new_site, f"127.0.0.1:{free_port()}")
    with site.http2() as client:
        response = client.request("POST", "/x", {}, b"hello")
        assert response.status == 502 and b"upstream_unreachable" in response.body


def test_a_server_that_speaks_http1_is_502(new_site):
    """It answers the preface with 400, or closes."""
    app = new_site.app()
    with calls_site(new_site, app.address).http2() as client:
        assert client.get("/x").status == 502
    assert not app.requests("/x")


# ---- limits of the app ------------------------------------------------------------------------------------------------------

def test_the_apps_limit_of_streams_is_kept(new_site, new_app):
    """RFC 9113 section 5.1.2"""
    go_on = threading.Event()

    def slow(call):
        assert go_on.wait(PATIENCE)
        answer_plainly(call)

    app = new_app(slow, {SettingCodes.MAX_CONCURRENT_STREAMS: 2})
    site = calls_site(new_site, app.address)
    with site.http2() as client:
        streams = [client.open(path=f"/{n}") for n in range(7)]
        poll(lambda: len(app.calls()) == 7, "all have come")
        by_connection = [call.connection for call in app.calls()]
        assert max(by_connection.count(one) for one in by_connection) == 2
        go_on.set()
        assert [client.read_response(stream).status for stream in streams] == [200] * 7
    assert not app.violations


def test_idle_connections_beyond_the_limit_are_closed(new_site, new_app):
    go_on = threading.Event()

    def slow(call):
        assert go_on.wait(PATIENCE)
        answer_plainly(call)

    app = new_app(slow, {SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    site = calls_site(new_site, app.address, max_idle_connections=1)
    with site.http2() as client:
        streams = [client.open(path=f"/{n}") for n in range(5)]
        poll(lambda: len(app.calls()) == 5, "all have come")
        go_on.set()
        assert [client.read_response(stream).status for stream in streams] == [200] * 5
    poll(lambda: sum(not one.closed for one in {call.connection for call in app.calls()}) == 1, "one is kept")


def test_a_head_that_is_larger_than_the_app_takes_is_not_sent(new_site, new_app):
    """Apps end the connection for it (python3-h2 does), and everybody's streams with it."""
    app = new_app(settings={SettingCodes.MAX_HEADER_LIST_SIZE: 8192})
    site = calls_site(new_site, app.address)
    with site.http2() as client:
        assert client.get("/x").status == 200
        assert client.request("GET", "/x", {"x-large": "a" * 7000}).status == 200
        large = client.request("GET", "/x", {"x-large": "a" * 9000})
        assert (large.status, large.json()["error"]) == (431, "upstream_header_limit")
        assert client.get("/x").status == 200
    assert len({call.connection for call in app.calls()}) == 1


def test_trailers_that_are_larger_than_the_app_takes_are_not_sent(new_site, new_app):
    app = new_app(settings={SettingCodes.MAX_HEADER_LIST_SIZE: 8192})
    app.on("/echo", echo)
    site = calls_site(new_site, app.address)
    with site.http2() as client:
        held = client.open("POST", "/echo", end=False)
        client.send_body(held, b"one")
        client.read_head(held)
        stream = client.open("POST", "/x", end=False)
        client.send_body(stream, b"hello")
        client.send_trailers(stream, [("x-large", "a" * 9000)])
        assert client.read_response(stream).status == 431
        client.send_body(held, b"two", end=True)
        assert client.read_response(held).body == b"onetwo", "who shares the connection goes on"


def test_an_app_that_takes_no_stream_is_late(new_site, new_app):
    app = new_app(settings={SettingCodes.MAX_CONCURRENT_STREAMS: 0})
    site = calls_site(new_site, app.address, response_timeout="300ms")
    with site.http2() as client:
        assert client.get("/x").status == 504


@pytest.mark.parametrize("data", cases({
    "ping": frame(PING, 0, bytes(8)), "settings": frame(SETTINGS),
    "window-setting": frame(SETTINGS, 0, setting(SettingCodes.INITIAL_WINDOW_SIZE, 65535)),
    "ping-ack": frame(PING, 0, bytes(8), ACK),
}))
def test_a_flood_of_an_app_is_ended(new_site, new_app, data):
    app = new_app()
    site = calls_site(new_site, app.address)
    with site.http2() as client, site.gateway.flat_memory(ALLOWANCE):
        assert client.get("/x").status == 200
        flooding = app.calls()[0].connection
        for _ in range(1000):
            if not flooding.send_raw(data * 100):
                break
        poll(lambda: flooding.closed, "the gateway has had enough")
        assert client.get("/x").status == 200
    assert flooding.goaway in (ErrorCodes.ENHANCE_YOUR_CALM, None)


def test_a_storm_of_interim_answers_is_502(calls, app):
    """SECURITY S12"""
    def storm(call):
        for _ in range(1000):
            call.send_head(status=103)

    app.on("/storm", storm)
    with calls.http2() as client:
        assert client.get("/storm").status == 502
        assert client.get("/next").status == 200


@pytest.mark.parametrize("fields, status", cases({
    "connection": ([("connection", "close")], 200), "upper-case": ([("X-Upper", "1")], 200),
    "line-end": ([("x", "a\r\nset-cookie: b=c")], 200), "switching": ([], 101), "length": ([("content-length", "3x")], 200),
    "two-lengths": ([("content-length", "3"), ("content-length", "4")], 200), "status": ([(":status", "200")], 200),
    "many": ([("x", "y")] * 300, 200), "huge": ([(f"x-{n}", "y" * 1000) for n in range(150)], 200), "status-600": ([], 600),
}))
def test_a_malformed_answer_is_502(calls, app, fields, status):
    """RFC 9113 section 8.1.1; what is not passed on can be left out, too."""
    def handler(call):
        encoded = block([(":status", str(status))] + fields)
        call.connection.send_raw(FrameClient.head_of_block(call.stream, encoded))

    app.on("/malformed", handler)
    for client in (calls.http2(), calls.client()):
        with client:
            response = client.get("/malformed")
            passed = response.status == 200 and not {name for name, _ in fields} & {name for name, _ in response.headers}
            assert response.status == 502 or passed, response
            assert client.get("/next").status == 200


@pytest.mark.parametrize("length", [3, 7])
def test_an_answer_of_another_length_than_it_says_is_cut(calls, app, length):
    def handler(call):
        call.send_head([("content-length", str(length))])
        call.send(b"hello", end=True)

    app.on(f"/length-{length}", handler)
    with calls.http2() as client:
        assert client.outcome(client.open(path=f"/length-{length}")) in ("502", "RST INTERNAL_ERROR")
        assert client.get("/next").status == 200


def test_a_body_where_none_belongs_is_not_passed_on(calls, app):
    def handler(call):
        call.send_head()
        call.send(b"smuggled", end=True)

    app.on("/head-with-body", handler)
    with calls.client() as client:
        client.send(http1.request_bytes("HEAD", "/head-with-body"))
        try:
            assert client.read_response(to_head=True).status in (200, 502)
        except http1.Closed:
            return
        assert b"smuggled" not in client.reader.received


# ---- time -----------------------------------------------------------------------------------------------------------------

def test_an_app_that_is_late_is_504(new_site, new_app):
    app = new_app()
    app.on("/late", lambda call: call.await_reset())
    site = calls_site(new_site, app.address, response_timeout="300ms")
    with site.http2() as client:
        assert client.request("POST", "/late", {}, b"hello").status == 504
        assert app.calls("/late")[0].await_reset() == ErrorCodes.CANCEL
        assert client.get("/next").status == 200
    assert len(app.calls("/late")) == 1 and not app.calls("/late")[0].connection.closed


def test_a_connection_that_is_dead_is_given_up(new_site, new_app):
    """An app whose machine is gone says nothing: the first request is late, the next ones go elsewhere."""
    app = new_app()
    site = calls_site(new_site, app.address, response_timeout="300ms", connect_timeout="500ms")
    with site.http2() as client:
        assert client.get("/x").status == 200
        app.hold.clear()
        assert client.get("/x").status == 504
        poll(lambda: client.get("/x").status in (502, 504), "new connections are of no use, too")
        app.hold.set()
        poll(lambda: client.get("/x").status == 200, "it recovers")


def test_an_app_that_stops_in_the_middle_is_cut(new_site, new_app):
    app = new_app()

    def stops(call):
        call.send_head()
        call.send(b"some")
        call.await_reset()

    app.on("/stops", stops)
    site = calls_site(new_site, app.address, response_timeout="300ms")
    with site.http2() as client:
        stream = client.open(path="/stops")
        with pytest.raises(Reset):
            client.read_response(stream)


# ---- servers ----------------------------------------------------------------------------------------------------------------

def test_health_is_checked_over_http2(new_site, new_app):
    healthy = threading.Event()

    def health(call):
        call.send_head(status=200 if healthy.is_set() else 503, end=True)

    sick, well = new_app(), new_app()
    sick.on("/healthz", health)
    site = calls_site(new_site, sick.address, well.address,
                      health={"path": "/healthz", "interval": "100ms", "fall": 1, "rise": 1})
    with site.http2() as client:
        poll(lambda: len(sick.calls("/healthz")) >= 2, "it was checked")
        before = len(sick.calls("/x"))
        for _ in range(6):
            assert client.get("/x").status == 200
        assert len(sick.calls("/x")) == before
        assert f'server={sick.address} error="GET /healthz: status 503"' in site.gateway.stderr()
        healthy.set()
        poll(lambda: client.get("/x").status == 200 and len(sick.calls("/x")) > before, "it is up again")
    assert sick.calls("/healthz")[0].one(":authority") == sick.address


@pytest.mark.parametrize("balance", ["round_robin", "least_connections"])
def test_requests_are_balanced(new_site, new_app, balance):
    first, second = new_app(), new_app()
    go_on = threading.Event()

    def slow(call):
        assert go_on.wait(PATIENCE)
        answer_plainly(call)

    first.on("/slow", slow)
    second.on("/slow", slow)
    site = calls_site(new_site, first.address, second.address, balance=balance)
    with site.http2() as client:
        streams = [client.open(path="/slow") for _ in range(10)]
        poll(lambda: len(first.calls()) + len(second.calls()) == 10, "all have come")
        assert len(first.calls()) == len(second.calls()) == 5
        go_on.set()
        assert [client.read_response(stream).status for stream in streams] == [200] * 10


def test_sigterm_cuts_no_call(new_site, new_app):
    app = new_app(echo)
    site = calls_site(new_site, app.address)
    with site.http2() as client:
        stream = client.open("POST", "/echo", end=False)
        client.send_body(stream, b"one")
        client.read_head(stream)
        site.gateway.terminate()
        client.pump_until(lambda: client.goaway)
        client.send_body(stream, b"two", end=True)
        assert client.read_response(stream).body == b"onetwo"
    site.gateway.stop()


def test_a_stock_server_is_served(new_site, tmp_path):
    """nghttpd, nghttp2's own."""
    (tmp_path / "file").write_bytes(b"from a file" * 100_000)
    port = free_port()
    server = subprocess.Popen(["nghttpd", "--no-tls", "-d", tmp_path, "--address", "127.0.0.1", str(port)])
    try:
        poll(lambda: listens(port), "nghttpd listens")
        site = calls_site(new_site, f"127.0.0.1:{port}")
        with site.http2() as client:
            streams = [client.open(path="/file") for _ in range(5)]
            for stream in streams:
                assert client.read_response(stream).body == b"from a file" * 100_000
            assert client.get("/none").status == 404
    finally:
        server.kill()
        server.wait()


def listens(port: int) -> bool:
    try:
        connect(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False
