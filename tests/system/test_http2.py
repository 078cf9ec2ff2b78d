"""HTTP/2 towards clients (RFC 9113): the choice, requests, answers, fields; SECURITY.md H5 to H7 and P1."""

import re
import ssl

import pytest
from h2.settings import SettingCodes
from hyperframe.frame import SettingsFrame

from harness import http1
from harness.browser import Http2Browser, app_saw, asked
from harness.cases import cases
from harness.client import connect
from harness.deadlines import SCALE
from harness.gateway import route
from harness.http1 import crlf
from harness.http2 import (DATA, END_HEADERS, END_STREAM, HEADERS, MALFORMED, PREFACE, SETTINGS, accepted, block, frame, refused,
                           request_fields)
from harness.upstream import HeldAnswer

SANITIZED = SCALE > 1
ALLOWANCE = 2**30 if SANITIZED else 16 * 2**20  # bytes of memory that a body of any size may take
PIECE = bytes(range(256)) * 1024
OPEN = [route("/", "public")]


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


def test_an_answer_that_never_has_a_body_has_no_length(site):
    """RFC 9110 section 8.6: neither 204 nor 1xx; clients take the stream for broken."""
    site.app.on("/public/no-content", lambda exchange: crlf("HTTP/1.1 204 No Content⏎Content-Length: 10⏎⏎"))
    site.app.on("/public/hint-of-a-length", lambda exchange: crlf(
        "HTTP/1.1 103 Early Hints⏎Content-Length: 5⏎Link: </a>⏎⏎HTTP/1.1 200 OK⏎Content-Length: 2⏎⏎"))
    with site.http2() as client:
        response = client.request("HEAD", "/public/no-content")
        assert response.status == 204 and response.all("content-length") == []
        response = client.request("HEAD", "/public/hint-of-a-length")
        assert [(one.status, one.headers) for one in response.interim] == [(103, [("link", "</a>")])]
        assert (response.status, response.one("content-length")) == (200, "2"), "the length of a GET is told"
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
    slow = HeldAnswer(site.app, "/slow")
    with site.http2() as client:
        first = client.open(path="/slow")
        others = {client.open(path=f"/{number}"): f"/{number}" for number in range(50)}
        for stream, path in others.items():
            assert app_saw(client.read_response(stream)).path == path
        assert not client.answer(first).over
        slow.release()
        assert client.read_response(first).body == b"late"


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


def test_an_answers_head_may_be_as_large_as_over_http1(site):
    """Larger than what is sent at once; and the connection goes on."""
    fields = [(f"x-field-{number}", f"{number % 10}" * 1000) for number in range(100)]
    site.app.on("/public/large-head", lambda exchange: http1.response_bytes(200, fields, b"hello"))
    for client in (site.client(), site.http2()):
        with client:
            response = client.get("/public/large-head")
            assert (response.status, response.body) == (200, b"hello")
            assert [pair for pair in response.headers if pair[0].startswith("x-field-")] == fields
            assert client.get("/public/next").status == 200


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


def test_a_path_parameter_does_not_choose_the_route(site):
    """P1"""
    refused(site, request_fields(path="/public;/x"), "400")
    assert accepted(site, request_fields(path="/public/x;y=1")).path == "/public/x;y=1"


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
    held = HeldAnswer(site.app, "/public/undue")
    before = len(site.requests())
    with site.frames() as client:
        stream = client.open(request_fields("POST", "/public/undue", headers={"content-length": "0"}), end=False)
        client.send(frame(DATA, stream, b"GET /public/smuggled HTTP/1.1\r\nHost: x\r\n\r\n", END_STREAM))
        assert client.outcome(stream) in MALFORMED
        held.release()
    site.canary()
    assert {(one.path, one.body) for one in site.requests()[before:]} <= {("/public/undue", b"")}


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
