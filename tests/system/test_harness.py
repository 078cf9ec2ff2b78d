"""The harness itself: what the other files trust must hold without a gateway."""

import pytest

from harness import http1
from harness.browser import SetCookie, asked
from harness.client import RawClient
from harness.deadlines import poll
from harness.upstream import RecordingUpstream


@pytest.fixture
def app(certificates, request):
    app = RecordingUpstream(**getattr(request, "param", {}))
    yield app
    app.close()


def client_of(app: RecordingUpstream, **options) -> RawClient:
    host, port = app.address.split(":")
    return RawClient((host, int(port)), **options)


def test_the_echo_tells_what_came_and_answers_as_asked(app):
    with client_of(app) as client:
        target = asked("/x", {"X-Session-User": "alice", "Set-Cookie": "a=b; Path=/"}, status=202)
        response = client.request("POST", target, {"X-Y": "z"}, b"hello")
    assert response.status == 202
    assert response.one("X-Session-User") == "alice"
    assert response.one("Set-Cookie") == "a=b; Path=/"
    seen = response.json()
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", target, "hello")
    assert ["X-Y", "z"] in seen["headers"]


def test_one_connection_carries_many_requests_in_order(app):
    with client_of(app) as client:
        client.send(b"".join(http1.request_bytes("GET", f"/{number}") for number in range(100)))
        assert [client.read_response().json()["target"] for _ in range(100)] == [f"/{n}" for n in range(100)]
    assert {request.connection for request in app.requests()} == {1}


def test_head_and_chunks_are_understood(app):
    with client_of(app) as client:
        assert client.request("HEAD", "/x").body == b""
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert client.read_response().json()["body"] == "abcde"


def test_an_app_over_tls_is_reached(certificates):
    app = RecordingUpstream(certificate=certificates.app)
    with client_of(app, trust=certificates.bundle, server_name="app.internal") as client:
        assert client.get("/").status == 200
    app.close()


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n",
], ids=["bare-lf", "space-before-colon", "fold", "framed-twice", "signed-length", "nul", "absolute", "extension",
        "trailer"])
def test_the_app_is_strict(app, data):
    with client_of(app) as client:
        client.send(data)
        client.read_until_close()
    assert poll(lambda: app.violations, "a violation")


def test_a_request_that_is_cut_stays_incomplete(app):
    with client_of(app) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        poll(app.requests, "the head")
    poll(lambda: app.open_connections() == 0, "the end")
    assert not app.requests()[0].complete and not app.violations


def test_set_cookie_is_read():
    cookie = SetCookie.parse("__Host-session=k.v; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert cookie.deletes and cookie.value == "k.v" and cookie.attributes["samesite"] == "Lax"
    assert "secure" in cookie.attributes
