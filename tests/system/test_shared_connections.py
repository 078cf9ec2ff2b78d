"""Connections to the app that serve one client after the other: nothing of one may reach the next."""

import socket

import pytest

from harness import http1
from harness.browser import app_saw
from harness.deadlines import PACE, PATIENCE, milliseconds, poll
from harness.full_send_buffers import FullSendBuffers
from harness.gateway import route
from harness.http1 import crlf
from harness.upstream import watched

FORGED = crlf("HTTP/1.1 200 OK⏎Content-Length: 6⏎⏎") + b"forged"
OPEN = [route("/", "public")]


def open_site(new_site, **changes):
    return new_site(**{"routes": OPEN} | changes)


def answer_of(size: int) -> bytes:
    """An answer of so many bytes, head included."""
    def head(length: int) -> bytes:
        return crlf(f"HTTP/1.1 200 OK⏎Content-Length: {length}⏎⏎")

    length = next(length for length in range(size - 60, size) if len(head(length)) + length == size)
    return head(length) + b"x" * length


# The gateway reads from apps 64 KiB at a time: a read that is filled to the last byte leaves open whether there is more.
@pytest.mark.parametrize("size", [65536, 2 * 65536, 65535, 65537, 30000])
def test_what_an_app_sends_unasked_answers_no_other_request(new_site, size):
    site = open_site(new_site)
    site.app.on("/big", lambda exchange: answer_of(size) + FORGED)
    for number in range(10):
        with site.client() as client:
            client.send(crlf(f"GET /big HTTP/1.1⏎Host: example.test⏎⏎GET /{number} HTTP/1.1⏎Host: example.test⏎⏎"))
            assert client.read_response().status == 200
            assert app_saw(client.read_response()).path == f"/{number}"
            site.canary_open()


def test_an_app_that_closes_without_a_word_costs_no_request(new_site):
    site = open_site(new_site)

    def answer_and_close(exchange):
        exchange.send(http1.response_bytes(200, body=b"bye"))
        exchange.close()

    site.app.on("/last", answer_and_close)
    with site.client() as client:
        for _ in range(20):
            assert client.get("/last").body == b"bye"
            poll(lambda: site.app.open_connections() == 0, "the app closes")
            assert app_saw(client.request("POST", "/next", body=b"x")).body == b"x"


def test_a_client_that_takes_nothing_is_cut_though_its_upload_went_on(new_site):
    """Reading the request and sending the answer each have a time limit of their own."""
    site = open_site(new_site, limits={"idle_timeout": milliseconds(PACE)})

    def answer_without_end(exchange):
        exchange.send(crlf("HTTP/1.1 200 OK⏎Content-Length: 1000000000⏎⏎"))
        try:
            while True:
                exchange.send(b"x" * 100000)
        except OSError:
            pass

    site.app.on("/endless", answer_without_end)
    with site.client() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(crlf("POST /endless HTTP/1.1⏎Host: example.test⏎Content-Length: 10⏎⏎") + b"first")
        poll(lambda: site.requests(), "the app is asked")
        client.send(b"other")
        poll(lambda: any(line["path"] == "/endless" for line in site.gateway.access_log()), "the client is cut")


def test_a_client_that_leaves_in_its_upload_is_no_failure_of_the_app(new_site):
    site = open_site(new_site)
    with site.client() as client:
        client.send(crlf("POST /upload HTTP/1.1⏎Host: example.test⏎Content-Length: 1000⏎⏎") + b"some")
        poll(lambda: site.requests(), "the app is asked")
    line = poll(lambda: next((line for line in site.gateway.access_log() if line["path"] == "/upload"), None), "a line")
    assert line["reason"] == "client_gone"
    assert "upstream.failed" not in site.gateway.stderr()


def test_a_client_that_leaves_before_the_answer_is_no_failure_of_the_app(new_site):
    site = open_site(new_site)
    left = watched(site.app, "/slow", b"")
    with site.client() as client:
        client.send(crlf("GET /slow HTTP/1.1⏎Host: example.test⏎⏎"))
        poll(lambda: site.requests(), "the app is asked")
    assert left.wait(PATIENCE)
    line = poll(lambda: next((line for line in site.gateway.access_log() if line["path"] == "/slow"), None), "a line")
    assert (line["status"], line["reason"]) == (400, "client_gone")
    assert "upstream.failed" not in site.gateway.stderr()


def test_a_refusal_that_waits_for_its_client_has_let_go_of_the_app(new_site, tmp_path):
    """The connection to the app is gone by then. When the session ends meanwhile, nothing may be done to it."""
    def endless(exchange):
        exchange.send(crlf("HTTP/1.1 200 OK⏎Content-Length: 1000⏎⏎begin"))
        exchange.gone()

    buffers = FullSendBuffers(tmp_path)
    site = new_site(environment=buffers.environment)
    site.app.on("/endless", endless)
    alice = site.browser("alice")
    with site.client() as beside, site.client() as client:
        beside.send(http1.request_bytes("GET", "/endless", {"Cookie": alice.cookie_header}))
        http1.read_response_head(beside.reader)
        asked = len(site.app.connections)
        buffers.fill(site.gateway.address)
        answered = site.gateway.metrics()['rotagate_requests_total{class="2xx"}'] + 1
        client.send(http1.request_bytes("GET", "/x", {"Cookie": alice.cookie_header}))
        poll(lambda: site.gateway.metrics()['rotagate_requests_total{class="2xx"}'] == answered,
             "an answer goes no further than the gateway; the refusal has to wait behind it")
        client.send(crlf("POST /x HTTP/1.1⏎Host: example.test⏎"
                         f"Cookie: {alice.cookie_header}⏎Transfer-Encoding: chunked⏎⏎no size⏎"))
        poll(lambda: len(site.app.connections) > asked and site.app.connections[-1].closed.is_set(),
             "the upload is refused, and the app's connection given up")
        site.gateway.revoke("user=alice")
        beside.read_until_close()  # so the gateway has looked at all its connections
        assert site.gateway.admin("GET", "/healthz").status == 200
        assert site.gateway.metrics()['rotagate_requests_total{class="4xx"}'] == 0, "the refusal waits still"
        buffers.clear()
        assert client.send(b"more").read_response().status == 200
        refusal = client.read_response()
        assert refusal.status == 400 and refusal.closes
