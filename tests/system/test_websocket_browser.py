"""WebSockets of a real browser, over HTTP/1.1 and, as browsers prefer where it is announced, over HTTP/2."""

import pytest

from harness import http1
from harness.browser import asked
from harness.chromium import chromium_at
from harness.deadlines import poll
from harness.gateway import ROUTES
from harness.websocket import GOING_AWAY, POLICY, echoing

PAGE = b"<!doctype html><meta charset=utf-8><title>page</title>"

# Opens a WebSocket, sends texts one by one, and tells what came, how it was closed, and when.
TALK = """
const [path, texts, done] = arguments;
const socket = new WebSocket("wss://" + location.host + path);
const came = [];
window.end = null;
socket.onopen = () => socket.send(texts[0]);
socket.onmessage = event => {
    came.push(event.data);
    if (came.length < texts.length) socket.send(texts[came.length]); else done(came);
};
socket.onerror = () => done("error");
socket.onclose = event => { window.end = [event.code, event.reason, event.wasClean]; };
window.socket = socket;
"""


@pytest.fixture(scope="module", params=[True, False], ids=["http2", "http1"])
def site(request, module_sites, certificates):
    listen = [{"address": "127.0.0.1:0", "http2": request.param, "tls": {"certificates": [certificates.example.listed()]}}]
    site = module_sites(listen=listen, routes=ROUTES)
    site.app.on("/public/page", lambda exchange: http1.response_bytes(200, {"Content-Type": "text/html"}, PAGE))
    echoing(site.app, "/ws")
    site.protocol = ("HTTP/2.0", 200) if request.param else ("HTTP/1.1", 101)
    return site


@pytest.fixture
def chromium(site, tmp_path):
    driver = chromium_at(site.gateway, tmp_path)
    driver.get(driver.origin + asked("/login", {"X-Session-User": "alice"}))
    driver.get(driver.origin + "/public/page")
    yield driver
    driver.quit()


def closed(driver):
    return poll(lambda: driver.execute_script("return window.end"), "the browser has seen the end")


def test_messages_come_back_and_a_revocation_ends_it(site, chromium):
    texts = ["hello", "ü€😀", "x" * 200_000]
    assert chromium.execute_async_script(TALK, "/ws", texts) == texts
    cookie = chromium.get_cookie("__Host-session")["value"]
    chromium.execute_script("return fetch('/account')")
    assert chromium.get_cookie("__Host-session")["value"] != cookie
    assert site.gateway.revoke("user=alice") == 1
    assert closed(chromium) == [POLICY, "the session has ended", True]
    line = poll(lambda: [line for line in site.gateway.access_log() if line["path"] == "/ws"], "its line")[-1]
    assert (line["protocol"], line["status"]) == site.protocol and line["user"] == "alice"


def test_a_page_closes_it_with_a_code_of_its_own(site, chromium):
    assert chromium.execute_async_script(TALK, "/ws", ["hello"]) == ["hello"]
    chromium.execute_script("window.socket.close(4000, 'enough')")
    assert closed(chromium) == [4000, "enough", True]


def test_the_page_of_another_site_gets_none(site, chromium):
    chromium.get("https://127.0.0.1:%d/public/page" % site.gateway.address[1])
    script = TALK.replace("location.host", repr(chromium.origin.removeprefix("https://")))
    assert chromium.execute_async_script(script, "/ws", ["hello"]) == "error"
    line = poll(lambda: [line for line in site.gateway.access_log() if line["status"] == 403], "its line")[-1]
    assert line["reason"] == "foreign_origin"


def test_the_gateways_end_is_told(site, chromium):
    assert chromium.execute_async_script(TALK, "/ws", ["hello"]) == ["hello"]
    site.gateway.terminate()
    assert closed(chromium) == [GOING_AWAY, "the server is going down", True]
