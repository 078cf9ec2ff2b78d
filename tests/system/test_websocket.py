"""WebSockets through the gateway (RFC 6455, RFC 8441; SECURITY.md W1 to W3): the handshake, the tunnel, its end."""

import contextlib
import resource
import threading
import time

import pytest
from h2.settings import SettingCodes

from harness import http1, websocket
from harness.browser import app_saw, asked, session_cookie, set_cookies
from harness.deadlines import PACE, PATIENCE, SCALE, milliseconds, poll, wait_for_protocol_time
from harness.gateway import ROUTES, route, rotation
from harness.http1 import crlf
from harness.upstream import HeldAnswer
from harness.websocket import BINARY, CLOSE, CONTINUATION, GOING_AWAY, KEY, PING, POLICY, PONG, TEXT, Client, End
from harness.websocket import Http2Client, WebSocketApp, closing, connect_fields, echoing, frame, offer

SANITIZED = SCALE > 1
SOON = 1 + 2 * SCALE  # seconds: the one that is promised, and what a busy machine takes
ORIGIN = "https://example.test"
LISTED = "https://app.example.org"


@pytest.fixture(scope="module")
def site(module_sites):
    return module_sites(routes=[
        route("/listed/", "public", websocket={"origins": [LISTED, "https://other.example:8443"]}),
        route("/any/", "public", websocket={"origins": ["*"]}),
        route("/old/", "public", rewrite={"strip_prefix": "/old"}),
        *[one for one in ROUTES if one["match"]["path"] != "/old/"]])


@pytest.fixture(scope="module")
def apps(site):
    """By path: has the site's app agree there."""
    return lambda path="/public/ws", **options: WebSocketApp(site.app, path, **options)


def over_http1(site, target="/public/ws", headers=None, browser=None):
    return Client(site.gateway, target, headers, browser)


def over_http2(site, target="/public/ws", headers=None, browser=None):
    return Http2Client(site.http2(), target, headers, browser)


BOTH = pytest.mark.parametrize("connect", [over_http1, over_http2], ids=["http1", "http2"])


def asks(site, target: str = "/public/ws", headers: dict | None = None, method: str = "GET", body: bytes = b""):
    """The answer to a handshake over HTTP/1.1."""
    with site.client() as client:
        return client.request(method, target, offer(headers), body)


# ---- the handshake ----------------------------------------------------------------------------------------------------

@BOTH
def test_bytes_flow_both_ways_once_both_have_agreed(site, apps, connect):
    app = apps()
    client = connect(site)
    app_end = app.end()
    client.echoes(app_end)
    for opcode, payload in ((BINARY, bytes(range(256))), (PING, b"?"), (PONG, b""), (TEXT, b"\xff\xfe not UTF-8")):
        client.send(opcode, payload)
        got = app_end.read()
        assert (got.opcode, got.payload, got.masked) == (opcode, payload, True)
        app_end.send(opcode, payload)
        got = client.read()
        assert (got.opcode, got.payload, got.masked) == (opcode, payload, False)
    client.close()


def test_the_client_gets_the_apps_agreement(site, apps):
    app = apps(headers={"X-App": "yes", "Sec-WebSocket-Protocol": "chat", "Server": "some", "Content-Length": "0"})
    with over_http1(site, headers={"Sec-WebSocket-Protocol": "chat, other"}) as client:
        response = client.response
        assert response.one("Sec-WebSocket-Accept") == websocket.accept_of(KEY)
        assert response.one("Upgrade").lower() == "websocket" and response.one("Connection").lower() == "upgrade"
        assert response.one("Sec-WebSocket-Protocol") == "chat" and response.one("X-App") == "yes"
        assert not response.all("Content-Length") and not response.all("Transfer-Encoding")
        assert app.end().request.one("Sec-WebSocket-Protocol") == "chat, other"


def test_over_http2_the_agreement_is_200_without_what_only_upgrades_have(site, apps):
    app = apps(headers={"X-App": "yes", "Sec-WebSocket-Protocol": "chat", "Content-Length": "0"})
    client = over_http2(site, headers={"sec-websocket-protocol": "chat"})
    names = {name for name, _ in client.response.headers}
    assert not names & {"upgrade", "connection", "sec-websocket-accept", "content-length", "transfer-encoding"}
    assert client.response.one("sec-websocket-protocol") == "chat" and client.response.one("x-app") == "yes"
    request = app.end().request
    assert request.method == "GET" and request.framing is None
    assert len(request.one("Sec-WebSocket-Key")) == 24 and request.one("Sec-WebSocket-Key") != KEY
    assert not [name for name, _ in request.headers if name.startswith(":")]


@BOTH
def test_the_agreement_may_have_a_large_head(site, apps, connect):
    app = apps(headers={f"X-Field-{number}": "y" * 1000 for number in range(80)})
    client = connect(site)
    assert sum(name.lower().startswith("x-field-") and value == "y" * 1000 for name, value in client.response.headers) == 80
    client.echoes(app.end())
    client.close()


@BOTH
def test_the_app_gets_an_upgrade_and_who_the_user_is(site, apps, connect):
    app = apps("/ws")
    alice = site.browser("alice")
    client = connect(site, "/ws?room=1", {"X-User-Id": "admin", "Cookie": f"a=b; {alice.cookie_header}",
                                          "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"})
    request = app.end().request
    assert (request.method, request.target) == ("GET", "/ws?room=1")
    assert request.one("Connection").lower() == "upgrade" and request.one("Upgrade") == "websocket"
    assert request.one("Sec-WebSocket-Version") == "13"
    assert request.one("Sec-WebSocket-Extensions") == "permessage-deflate; client_max_window_bits"
    assert request.one("X-User-Id") == "alice" and request.one("Cookie") == "a=b"
    assert request.framing is None and request.one("X-Forwarded-Proto") == "https"
    client.close()


@BOTH
def test_the_agreement_carries_the_next_cookie(site, apps, connect):
    """C7"""
    app = apps("/ws")
    alice = site.browser("alice")
    before = alice.cookie
    client = connect(site, "/ws", browser=alice)
    app.end()
    cookie = session_cookie(client.response)
    assert cookie.value != before and {"secure", "httponly"} <= cookie.attributes.keys()
    assert alice.user() == "alice"
    assert "no-store" in client.response.one("Cache-Control") or "private" in client.response.one("Cache-Control")
    client.close()


@BOTH
def test_public_routes_carry_no_cookie(site, apps, connect):
    apps()
    client = connect(site, browser=site.browser("alice"))
    assert set_cookies(client.response) == []
    client.close()


def test_without_a_session_there_is_no_handshake(site):
    before = len(site.requests())
    response = asks(site, "/ws")
    assert response.status == 401 and response.json()["error"] == "unauthenticated"
    with site.http2() as client:
        assert client.read_response(client.open_fields(connect_fields("/ws"), end=False)).status == 401
    with site.client() as client:
        assert client.get("/page/x", offer({"Accept": "text/html", "Sec-Fetch-Mode": "websocket"})).status == 401
    assert len(site.requests()) == before


@BOTH
def test_what_comes_ahead_of_the_agreement_and_along_with_it_is_not_lost(site, connect):
    """RFC 6455 has the client wait; whoever does not is not lost either."""
    app = WebSocketApp(site.app, "/public/early", first=frame(TEXT, b"first"))
    if connect is over_http1:
        with site.client() as raw:
            raw.send(http1.request_bytes("GET", "/public/early", offer()) + frame(TEXT, b"early", masked=True))
            assert raw.reader and http1.read_response_head(raw.reader).status == 101
            assert End(raw.send, raw.reader, True).read().payload == b"first"
            assert app.end().read().payload == b"early"
        return
    with site.http2() as connection:
        stream = connection.open_fields(connect_fields("/public/early"), end=False)
        connection.send_body(stream, frame(TEXT, b"early", masked=True))
        assert connection.read_head(stream).status == 200
        assert app.end().read().payload == b"early"
        answer = connection.answer(stream)
        connection.pump_until(lambda: len(answer.response.body) >= 7)
        assert answer.response.body == frame(TEXT, b"first")


def test_the_path_that_the_app_gets_is_the_routes(site):
    app = WebSocketApp(site.app, "/ws")
    with over_http1(site, "/old/ws"):
        assert app.end().request.path == "/ws"


# ---- W1: what is no handshake -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("headers, status", [
    ({"Sec-WebSocket-Version": None}, 426), ({"Sec-WebSocket-Version": "8"}, 426),
    ({"Sec-WebSocket-Version": "13, 8"}, 426), ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": "x"}, 400),
    ({"Sec-WebSocket-Key": KEY[:-1]}, 400), ({"Sec-WebSocket-Key": "A" * 24}, 400)])
def test_a_handshake_that_is_none_is_refused(site, headers, status):
    before = len(site.requests())
    with site.client() as client:
        response = client.get("/public/ws", offer(headers))
        assert response.status == status
        if status == 426:
            assert response.one("Sec-WebSocket-Version") == "13"
            assert response.one("Upgrade") == "websocket" and response.one("Connection").lower() == "upgrade"
        assert client.get("/public/next").status == 200, "the connection goes on as HTTP"
    assert [request.path for request in site.requests()[before:]] == ["/public/next"]
    site.canary()


def test_over_http2_the_version_counts_too(site):
    with site.http2() as client:
        for headers in ({"sec-websocket-version": None}, {"sec-websocket-version": "8"}):
            response = client.read_response(client.open_fields(connect_fields(headers=headers), end=False))
            assert response.status == 400 and response.one("sec-websocket-version") == "13"


OTHER_OFFERS = {
    "other-protocol": ("GET", {"Upgrade": "foo"}, b""),
    "other-version": ("GET", {"Upgrade": "websocket/13"}, b""),
    "not-in-connection": ("GET", {"Connection": "keep-alive"}, b""),
    "no-upgrade": ("GET", {"Upgrade": None}, b""),
    "h2c": ("GET", {"Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}, b""),
    "post": ("POST", {}, b""),
    "post-with-body": ("POST", {}, b"hello"),
    "get-with-body": ("GET", {}, b"hello"),
    "misspelt": ("GET", {"Upgrade": None, "Up_grade": "websocket"}, b""),
}


@pytest.mark.parametrize("method, headers, body", OTHER_OFFERS.values(), ids=OTHER_OFFERS)
def test_other_upgrades_are_requests_like_any_other(site, method, headers, body):
    response = asks(site, "/public/x", headers, method, body)
    assert response.status == 200
    seen = app_saw(response)
    assert (seen.method, seen.body) == (method, body)
    assert not seen.all("Upgrade") and not seen.all("Connection") and not seen.all("HTTP2-Settings")
    site.canary()


def test_http_1_0_has_no_upgrade(site):
    lines = "".join(f"{name}: {value}⏎" for name, value in offer().items())
    seen = site.accepted(crlf(f"GET /public/x HTTP/1.0⏎Host: example.test⏎{lines}⏎"))
    assert not seen.all("Upgrade") and not seen.all("Connection")


SMUGGLED = http1.request_bytes("GET", "/admin", {"X-User-Id": "admin"})


@pytest.mark.parametrize("status", [200, 204, 302, 400, 403, 426, 500, 503])
def test_an_app_that_does_not_agree_leaves_everything_http(site, status):
    """The classic: the one in the middle takes the upgrade for done, and what follows for frames."""
    site.app.on("/public/no", lambda exchange: http1.response_bytes(
        status, {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": websocket.accept_of(KEY)},
        b"" if status == 204 else b"no"))
    before = len(site.requests())
    with site.client() as client:
        client.send(http1.request_bytes("GET", "/public/no", offer()) + SMUGGLED)
        first = client.read_response()
        assert first.status == status and not first.all("Upgrade")
        assert client.read_response().status == 401, "the second is a request, and nobody's"
        assert client.get("/public/next").status == 200
    assert [request.path for request in site.requests()[before:]] == ["/public/no", "/public/next"]
    site.canary()


AGREEMENTS = {
    "no-accept": {"Sec-WebSocket-Accept": None},
    "other-accept": {"Sec-WebSocket-Accept": websocket.accept_of("AAAAAAAAAAAAAAAAAAAAAA==")},
    "accept-in-lower-case": {"Sec-WebSocket-Accept": websocket.accept_of(KEY).lower()},
    "no-upgrade": {"Upgrade": None}, "other-upgrade": {"Upgrade": "h2c"}, "no-connection": {"Connection": None},
    "two-upgrades": {"Upgrade": "websocket, h2c"}, "length": {"Content-Length": "5"},
    "chunks": {"Transfer-Encoding": "chunked"},
}


@pytest.mark.parametrize("headers", AGREEMENTS.values(), ids=AGREEMENTS)
def test_a_101_that_does_not_match_is_502(site, headers):
    site.app.on("/public/odd", lambda exchange: websocket.agreement(KEY, headers))
    before = len(site.requests())
    with site.client() as client:
        client.send(http1.request_bytes("GET", "/public/odd", offer()) + SMUGGLED)
        assert client.read_response().status == 502
        assert client.read_response().status == 401, "what follows is HTTP"
    assert [request.path for request in site.requests()[before:]] == ["/public/odd"]
    site.canary()


@pytest.mark.parametrize("end", ["session", "user"])
def test_a_101_that_ends_its_session_is_502(site, end):
    """What the tunnel would belong to is gone: nobody could be signed out of it."""
    site.app.on("/control/bye", lambda exchange: websocket.agreement(KEY, {"X-Session-End": end}))
    alice = site.browser("alice")
    with site.client() as client:
        answer = client.request("GET", "/control/bye", offer() | {"Cookie": alice.cookie_header})
    assert answer.status == 502 and answer.json()["error"] == "invalid_session_command"
    assert alice.user() is None


def test_a_101_that_nobody_asked_for_is_502(site):
    site.app.on("/public/odd", lambda exchange: websocket.agreement(KEY))
    with site.client() as client:
        assert client.get("/public/odd").status == 502
        assert client.request("POST", "/public/odd", offer(), b"x").status == 502
    site.canary()


@pytest.mark.parametrize("status, expected", [(200, 502), (204, 502), (302, 302), (401, 401), (403, 403), (500, 500)])
def test_over_http2_no_other_answer_looks_like_an_agreement(site, status, expected):
    """RFC 8441 section 5: any 2xx would open the tunnel."""
    site.app.on("/public/no", lambda exchange: http1.response_bytes(status, {}, b"" if status == 204 else b"no"))
    with site.http2() as client:
        stream = client.open_fields(connect_fields("/public/no"), end=False)
        client.send_body(stream, frame(TEXT, SMUGGLED, masked=True))
        assert client.read_head(stream).status == expected
        assert client.get("/public/next").status == 200
    site.canary()


def test_over_http2_it_is_announced(site):
    with site.http2() as client:
        assert client.get("/public/x").status == 200
        assert client.h2.remote_settings.enable_connect_protocol == 1


@pytest.mark.parametrize("protocol, outcomes", [("connect-udp", {"501"}), ("h2c", {"501"}), ("", {"405", "400", "RST PROTOCOL_ERROR"}),
                                                (None, {"405", "400", "RST PROTOCOL_ERROR"})])
def test_other_protocols_are_refused(site, protocol, outcomes):
    before = len(site.requests())
    with site.frames() as client:
        fields = connect_fields(protocol=protocol)
        assert client.outcome(client.open(fields, end=False)) in outcomes
        assert client.outcome(client.open(connect_fields()[:1] + connect_fields()[3:4])) in {"405", "RST PROTOCOL_ERROR"}
        assert client.outcome(client.open()) == "200"
    assert len(site.requests()) == before + 1


@pytest.mark.parametrize("extra", [{"content-length": "5"}, {}], ids=["length", "ended"])
def test_a_connect_that_is_no_tunnel_is_refused(site, extra):
    with site.frames() as client:
        fields = connect_fields(headers=extra)
        assert client.outcome(client.open(fields, end=not extra)) in {"400", "RST PROTOCOL_ERROR"}
    site.canary()


# ---- W2: other sites' pages -------------------------------------------------------------------------------------------

@BOTH
@pytest.mark.parametrize("path, origin", [
    ("/public/ws", None), ("/public/ws", ORIGIN), ("/public/ws", "HTTPS://Example.test:443"), ("/listed/ws", LISTED),
    ("/listed/ws", "https://other.example:8443"), ("/listed/ws", ORIGIN), ("/any/ws", "https://anybody.example"),
    ("/any/ws", "null")])
def test_own_and_listed_pages_may(site, connect, path, origin):
    WebSocketApp(site.app, path)
    connect(site, path, {"Origin": origin} if origin else {}).close()


@pytest.mark.parametrize("path, origin", [
    ("/ws", "https://evil.example"), ("/ws", "http://example.test"), ("/ws", "https://example.test:8443"), ("/ws", "null"),
    ("/ws", "https://example.test.evil.example"), ("/ws", "https://evilexample.test"), ("/ws", LISTED), ("/ws", ""),
    ("/listed/ws", "https://other.example"), ("/listed/ws", "https://app.example.org.evil.example"),
    ("/listed/ws", f"{LISTED}, https://evil.example"), ("/public/ws", "https://evil.example")])
def test_other_pages_may_not(site, path, origin):
    before = len(site.requests())
    alice = site.browser("alice")
    response = asks(site, path, {"Origin": origin, "Cookie": alice.cookie_header})
    assert response.status == 403 and response.json()["error"] == "foreign_origin"
    fields = connect_fields(path, {"origin": origin, "cookie": alice.cookie_header})
    with site.frames() as client:
        assert client.outcome(client.open(fields, end=False)) in {"403"} | ({"RST PROTOCOL_ERROR"} if not origin else set())
    assert len(site.requests()) == before
    assert alice.user() == "alice", "her session is none the worse"


def test_a_second_origin_does_not_help(site):
    with site.client() as client:
        headers = [*offer({"Origin": ORIGIN}).items(), ("Origin", "https://evil.example")]
        assert client.get("/public/ws", headers).status == 403


# ---- the tunnel -------------------------------------------------------------------------------------------------------

def test_a_tunnels_connection_is_nobody_elses_before_or_after(site, apps):
    app = apps()
    with over_http1(site) as client:
        end = app.end()
        client.echoes(end)
        number = end.request.connection
        site.canary()
        client.send(CLOSE, closing(1000))
        assert end.read().code == 1000
        end.send(CLOSE, closing(1000))
        end.close()
        assert client.read().code == 1000 and client.ended()
    site.canary()
    used = [request.path for request in site.app.requests() if request.connection == number]
    assert used[-1] == "/public/ws", f"the connection of a tunnel served {used}"
    assert site.app.connections[number - 1].closed.is_set()


@BOTH
def test_a_frame_of_any_size_flows_with_memory_for_none(site, apps, connect):
    """W3: frames of a gigabyte, of which nothing is kept."""
    size = 2**25 if SANITIZED else 2**27
    app = apps()
    client = connect(site)
    end = app.end()
    piece = bytes(2**18)
    with site.gateway.flat_memory(2**30 if SANITIZED else 16 * 2**20):
        head = frame(BINARY, b"", final=True)[:1] + b"\x7f" + size.to_bytes(8, "big")
        threading.Thread(target=lambda: [end.send_bytes(part) for part in [head] + [piece] * (size // len(piece))],
                         daemon=True).start()
        assert client.reader.exactly(10) == head
        left = size
        while left:
            left -= len(client.reader.exactly(min(left, len(piece))))
        client.send(TEXT, b"thanks")
        assert end.read().payload == b"thanks"
    client.close()


@BOTH
def test_who_does_not_read_stops_who_sends(site, apps, connect):
    app = apps()
    client = connect(site)
    end = app.end()
    end.exchange.connection.sock.settimeout(0.5 * PACE)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 2**28:
            end.send_bytes(frame(BINARY, bytes(65535)))
            sent += 65535
    assert sent < 2**26
    client.close()
    end.close()


def test_an_app_that_does_not_read_stops_the_client(site, apps):
    app = apps()
    with Client(site.gateway, patience=0.5 * PACE) as client:
        end = app.end()
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 2**28:
                client.raw.sock.sendall(frame(BINARY, bytes(65535), masked=True))
                sent += 65535
        assert sent < 2**26
        end.close()


def test_over_http2_an_app_that_does_not_read_gives_no_credit(site, apps):
    app = apps()
    connection = site.http2()
    client = Http2Client(connection)
    end = app.end()
    with pytest.raises(TimeoutError) as stopped:
        connection.send_body(client.stream, bytes(2**26), patience=0.5 * PACE)
    assert stopped.value.args[0] < 2**25
    assert connection.get("/public/meanwhile").status == 200
    end.close()
    connection.close()


@BOTH
def test_the_clients_end_is_the_apps(site, apps, connect):
    app = apps()
    client = connect(site)
    end = app.end()
    client.close()
    assert end.ended()
    poll(lambda: site.gateway.metrics()["rotagate_tunnels_open"] == 0, "no tunnel is open")


@BOTH
def test_the_apps_end_is_the_clients(site, apps, connect):
    app = apps()
    client = connect(site)
    end = app.end()
    end.send(TEXT, b"last")
    end.close()
    assert client.read().payload == b"last"
    assert client.ended()


def test_a_half_close_leaves_the_other_way_open(new_site):
    site = new_site(listen=[{"address": "127.0.0.1:0"}], routes=[route("/", "public")])
    app = WebSocketApp(site.app, "/ws")
    with Client(site.gateway, "/ws", trust=None) as client:
        end = app.end()
        client.send(TEXT, b"last")
        client.raw.finish_sending()
        assert end.read().payload == b"last" and end.ended()
        end.send(TEXT, b"still here")
        end.close()
        assert client.read().payload == b"still here" and client.ended()


@BOTH
def test_a_flood_of_pings_keeps_its_memory_to_itself(site, connect):
    echoing(site.app, "/public/echo")
    client = connect(site, "/public/echo")
    with site.gateway.flat_memory(2**30 if SANITIZED else 16 * 2**20):
        for _ in range(50):
            client.send_bytes(frame(PING, b"x" * 100, masked=True) * 200)
            for _ in range(200):
                assert client.read().opcode == PONG
    client.close()


def test_an_app_over_tls(new_site, certificates):
    tls = {"ca": str(certificates.app.cert), "server_name": "app.internal"}
    site = new_site(new_site.app(certificate=certificates.app), upstreams={"app": {"tls": tls}})
    ws = WebSocketApp(site.app, "/public/ws")
    for connect in (over_http1, over_http2):
        client = connect(site)
        end = ws.end()
        client.echoes(end)
        wait_for_protocol_time(1.5)  # both sides have given their buffers back by now
        client.echoes(end)
        client.close()


@BOTH
def test_it_is_one_line_of_the_access_log(site, apps, connect):
    app = apps("/ws")
    alice = site.browser("alice")
    before = len([line for line in site.gateway.access_log() if line["path"] == "/ws"])
    client = connect(site, "/ws?secret=1", browser=alice)
    end = app.end()
    assert site.gateway.metrics()["rotagate_tunnels_open"] >= 1
    client.echoes(end)
    wait_for_protocol_time(0.2)
    client.send(CLOSE, closing(1000))
    end.read()
    end.send(CLOSE, closing(1000))
    end.close()
    client.read_close()
    client.close()
    lines = poll(lambda: [line for line in site.gateway.access_log() if line["path"] == "/ws"][before:], "its line")
    assert len(lines) == 1
    line = lines[0]
    http2 = connect is over_http2
    assert (line["method"], line["status"], line["protocol"]) == (
        "GET", 200 if http2 else 101, "HTTP/2.0" if http2 else "HTTP/1.1")
    assert line["user"] == "alice" and line["session"] and line["upstream"] == "app" and "reason" not in line
    assert line["server"] == site.app.address and line["request_id"] == end.request.one("X-Request-Id")
    assert (line["bytes_in"], line["bytes_out"]) == (6 + 5 + 6 + 2, 2 + 5 + 2 + 2) and line["duration_ms"] >= 200


# ---- W3: its end ------------------------------------------------------------------------------------------------------

def is_closed(client, end, code: int, within: float = SOON) -> None:
    """The gateway says goodbye to both sides, in time."""
    began = time.monotonic()
    assert client.read_close().code == code
    assert client.ended()
    assert time.monotonic() - began < within
    assert end.read_close().code == code
    assert end.ended()


ENDINGS = {
    "logout": lambda site, browser: browser.logout(),
    "logout-user": lambda site, browser: browser.logout("user"),
    "login": lambda site, browser: browser.login("mallory"),
    "revoked-user": lambda site, browser: site.gateway.revoke("user=wanda"),
    "revoked-session": lambda site, browser: [site.gateway.admin("DELETE", f"/v1/sessions/{one['id']}")
                                              for one in site.gateway.sessions(user="wanda")],
}


@BOTH
@pytest.mark.parametrize("how", ENDINGS)
def test_it_ends_with_its_session(site, apps, connect, how):
    app = apps("/ws")
    wanda, other = site.browser("wanda"), site.browser("bystander")
    client, theirs = connect(site, "/ws", browser=wanda), connect(site, "/ws", browser=other)
    ends = [app.end(), app.end()]
    hers = next(end for end in ends if end.request.one("X-User-Id") == "wanda")
    ends.remove(hers)
    client.echoes(hers)
    ENDINGS[how](site, wanda.copy())
    is_closed(client, hers, POLICY)
    theirs.echoes(ends[0])
    theirs.close()
    reasons = poll(lambda: [line["reason"] for line in site.gateway.access_log()
                            if line["path"] == "/ws" and line.get("user") == "wanda" and "reason" in line], "its line")
    assert reasons[-1] == "session_ended"


@BOTH
def test_a_replay_ends_it_too(new_site, connect):
    grace = 0.3 * PACE
    site = new_site(session=rotation(grace))
    app = WebSocketApp(site.app, "/ws")
    alice = site.browser("alice")
    thief = alice.copy()
    client = connect(site, "/ws", browser=alice)
    end = app.end()
    wait_for_protocol_time(1.3 * grace)
    assert alice.user() == alice.user() == "alice"
    wait_for_protocol_time(2.2 * grace)
    assert thief.user() is None
    is_closed(client, end, POLICY)


@BOTH
@pytest.mark.parametrize("timeout", ["idle_timeout", "absolute_timeout"])
def test_it_ends_when_its_session_expires(new_site, connect, timeout):
    site = new_site(session={timeout: "2s"} | rotation(0.1))
    app = WebSocketApp(site.app, "/ws")
    alice = site.browser("alice")
    began = time.monotonic()
    client = connect(site, "/ws", browser=alice)
    end = app.end()
    client.send(PING, b"", )
    assert end.read().opcode == PING
    assert client.read_close().code == POLICY and client.ended()
    assert 1.5 < time.monotonic() - began < 2 + SOON
    assert end.read_close().code == POLICY


@pytest.mark.parametrize("path, opcode, lives", [("/ws", TEXT, True), ("/ws", BINARY, True), ("/ws", PONG, False),
                                                 ("/polling/ws", TEXT, False)])
def test_messages_of_the_client_keep_its_session_alive(new_site, path, opcode, lives):
    """But not pongs, which a browser sends by itself, nor what the app sends, nor where the route says otherwise."""
    site = new_site(session={"idle_timeout": "2s"} | rotation(0.1))
    app = WebSocketApp(site.app, path)
    alice = site.browser("alice")
    with over_http1(site, path, browser=alice) as client:
        end = app.end()
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            if not lives:
                stack.enter_context(pytest.raises((http1.Closed, AssertionError)))
            while time.monotonic() - began < 4.5:
                client.send(opcode, b"x")
                assert end.read().opcode == opcode
                end.send(TEXT, b"y")
                assert client.read().opcode == TEXT
                wait_for_protocol_time(0.2)
        if lives:
            assert alice.user() == "alice", "so it is in the store"


@BOTH
def test_in_the_middle_of_a_frame_the_goodbye_waits_for_its_end(site, apps, connect):
    app = apps("/ws")
    alice = site.browser("alice")
    client = connect(site, "/ws", browser=alice)
    end = app.end()
    whole = frame(TEXT, b"x" * 1000)
    end.send_bytes(whole[:500])
    assert client.reader.exactly(500) == whole[:500]
    alice.copy().logout()
    wait_for_protocol_time(0.1)
    end.send_bytes(whole[500:] + frame(TEXT, b"not wanted any more"))
    began = time.monotonic()
    rest = client.reader.exactly(len(whole) - 500)
    assert rest == whole[500:]
    assert client.read_close().code == POLICY
    assert time.monotonic() - began < SOON
    assert client.ended()


@BOTH
def test_a_frame_without_end_does_not_hold_up_the_end(site, apps, connect):
    app = apps("/ws")
    alice = site.browser("alice")
    client = connect(site, "/ws", browser=alice)
    end = app.end()
    end.send_bytes(frame(TEXT, b"x" * 1000)[:500])
    client.reader.exactly(500)
    alice.copy().logout()
    began = time.monotonic()
    with pytest.raises(http1.Closed):
        client.reader.exactly(1)
    assert time.monotonic() - began < SOON
    assert end.read_close().code == POLICY


def test_between_the_fragments_of_a_message_the_goodbye_may_come(site, apps):
    app = apps("/ws")
    alice = site.browser("alice")
    with over_http1(site, "/ws", browser=alice) as client:
        end = app.end()
        end.send(TEXT, b"begin", final=False)
        assert client.read().payload == b"begin"
        alice.copy().logout()
        is_closed(client, end, POLICY)


def test_after_the_apps_own_close_there_is_no_second(site, apps):
    app = apps("/ws")
    alice = site.browser("alice")
    with over_http1(site, "/ws", browser=alice) as client:
        end = app.end()
        end.send(CLOSE, closing(4000, "mine"))
        assert client.read().code == 4000
        alice.copy().logout()
        assert client.ended()


def is_over(site, path: str):
    """Whether the one WebSocket of that path has come to its end: what is logged then."""
    return [line for line in site.gateway.access_log() if line["path"] == path]


def reads_nothing_over_http1(site, path, browser):
    return Client(site.gateway, path, browser=browser, receive_buffer=4096).raw


def reads_nothing_over_http2(site, path, browser):
    """Its windows are wide: what it does not read waits in the connection, as a reset would."""
    raw = site.http2(settings={SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1}, receive_buffer=4096)
    raw.credit(0, 2**30)
    Http2Client(raw, path, browser=browser)
    return raw


@pytest.mark.parametrize("connect", [reads_nothing_over_http1, reads_nothing_over_http2], ids=["http1", "http2"])
def test_a_client_that_takes_nothing_does_not_hold_up_the_end(site, apps, connect):
    path = f"/held/{connect.__name__}"
    app = apps(path)
    alice = site.browser("alice")
    raw = connect(site, path, alice)
    end = app.end()
    end.exchange.connection.sock.settimeout(0.5 * PACE)
    with pytest.raises(TimeoutError):
        while True:
            end.send_bytes(frame(BINARY, bytes(65535)))
    alice.copy().logout()
    poll(lambda: is_over(site, path), "the tunnel's end", SOON)
    end.close()
    raw.close()


def test_over_http2_the_apps_last_words_wait_for_a_slow_client(site, apps):
    """A second is the limit for the gateway's own goodbye only."""
    path = "/public/last-words"
    app = apps(path)
    raw = site.http2(settings={SettingCodes.INITIAL_WINDOW_SIZE: 1000}, crediting=False)
    client = Http2Client(raw, path)
    end = app.end()
    end.send(BINARY, bytes(32_000))
    end.send(CLOSE, closing(1000, "bye"))
    end.close()
    poll(lambda: is_over(site, path), "the tunnel's end")
    wait_for_protocol_time(1.5)
    raw.credit(client.stream, 100_000)
    assert client.read().payload == bytes(32_000)
    assert client.read().code == 1000 and client.ended()
    raw.close()


@BOTH
def test_a_drain_says_goodbye_at_once(new_site, connect):
    site = new_site()
    app = WebSocketApp(site.app, "/ws")
    alice = site.browser("alice")
    client = connect(site, "/ws", browser=alice)
    end = app.end()
    began = time.monotonic()
    site.gateway.terminate()
    is_closed(client, end, GOING_AWAY)
    alice.close()
    client.raw.close() if connect is over_http1 else client.connection.close()
    site.gateway.process.wait(PATIENCE)
    assert time.monotonic() - began < 2 + SOON
    lines = [line for line in site.gateway.access_log() if line["path"] == "/ws"]
    assert [line["reason"] for line in lines] == ["draining"]


def test_a_drain_is_not_held_up_by_who_does_not_answer(new_site):
    """Neither by a client that keeps the connection, nor by an app that is in the middle of a frame."""
    site = new_site(routes=[route("/", "public")])
    app = WebSocketApp(site.app, "/ws")
    with Client(site.gateway, "/ws") as quiet, Client(site.gateway, "/ws") as amid:
        ends = [app.end(), app.end()]
        ends[1].send_bytes(frame(TEXT, b"x" * 1000)[:500])
        began = time.monotonic()
        site.gateway.terminate()
        site.gateway.process.wait(PATIENCE)
        assert time.monotonic() - began < 3 + SOON
        assert quiet.read_close().code == GOING_AWAY
        assert amid


def test_a_handshake_during_a_drain_ends_as_it_begins(new_site):
    site = new_site(routes=[route("/", "public")])
    slow = HeldAnswer(site.app, "/slow", end=lambda body: websocket.agreement(KEY))
    with site.client() as client:
        client.send(http1.request_bytes("GET", "/slow", offer()))
        slow.await_arrival()
        site.gateway.terminate()
        wait_for_protocol_time(0.2)
        slow.release()
        assert http1.read_response_head(client.reader).status == 101
        assert End(client.send, client.reader, True).read_close().code == GOING_AWAY
        assert client.is_closed()


@BOTH
def test_one_on_which_nothing_passes_ends(new_site, connect):
    site = new_site(routes=[route("/", "public", websocket={"idle_timeout": milliseconds(PACE)})])
    app = WebSocketApp(site.app, "/ws")
    client = connect(site, "/ws")
    end = app.end()
    began = time.monotonic()
    while time.monotonic() - began < 2.5 * PACE:
        client.send(PING) if int((time.monotonic() - began) * 10) % 2 else end.send(PING)
        wait_for_protocol_time(0.4 * PACE)
    began = time.monotonic()
    assert client.read_close().code == GOING_AWAY and client.ended()
    assert time.monotonic() - began < PACE + SOON
    assert [line["reason"] for line in poll(site.gateway.access_log, "a line")] == ["idle"]


def test_other_limits_are_not_for_tunnels(new_site):
    """Neither the time that a client's connection may be idle, nor the size of a body, nor the time of an answer."""
    site = new_site(limits={"idle_timeout": "500ms", "body_bytes": "1KiB"}, routes=[route("/", "public")],
                    upstreams={"app": {"response_timeout": "500ms"}})
    app = WebSocketApp(site.app, "/ws")
    for connect in (over_http1, over_http2):
        client = connect(site, "/ws")
        end = app.end()
        client.echoes(end, b"x" * 4096)
        wait_for_protocol_time(1.7)
        client.echoes(end, b"x" * 4096)
        client.close()


def test_idle_ones_are_cheap(new_site):
    count = 200 if SANITIZED else 2000
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    site = new_site(limits={"connections": 5000})
    app = WebSocketApp(site.app, "/ws")
    alice = site.browser("alice")
    cookie = {"Cookie": alice.cookie_header}
    with contextlib.ExitStack() as stack:
        open_ = lambda: stack.enter_context(Client(site.gateway, "/ws", cookie))
        first = [(open_(), app.end()) for _ in range(20)]
        for client, end in first:
            client.echoes(end, b"x" * 10_000)
        before = site.gateway._memory("VmRSS")
        tunnels = [(open_(), app.end()) for _ in range(count)]
        for client, end in tunnels:
            client.echoes(end, b"x" * 10_000)
        wait_for_protocol_time(1.5)
        each = (site.gateway._memory("VmRSS") - before) / count
        print(f"{each / 1024:.1f} KiB each")
        assert SANITIZED or each < 40 * 1024
        tunnels[count // 2][0].echoes(tunnels[count // 2][1])
        for _, end in first + tunnels:
            end.over.set()
        for client, _ in first + tunnels:
            client.raw.close()
