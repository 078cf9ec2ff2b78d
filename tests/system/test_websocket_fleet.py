"""WebSockets and server-sent events over gateways that share a Redis: they end with their session, wherever that ends."""

import time

import pytest

from harness.deadlines import SCALE, wait_for_protocol_time
from harness.gateway import rotation
from harness.redis_server import session_prefix
from harness.websocket import POLICY, TEXT, Client, Http2Client, WebSocketApp

SOON = 1 + 2 * SCALE  # seconds: the one that is promised, and what a busy machine takes


@pytest.fixture(scope="module")
def app(fleet):
    return WebSocketApp(fleet.app, "/ws")


def over_http1(gateway, browser):
    return Client(gateway, "/ws", browser=browser)


def over_http2(gateway, browser):
    return Http2Client(gateway.http2(), "/ws", browser=browser)


def on_both(fleet, app, browser):
    """WebSockets of one browser, of both protocols on both gateways, with the app's ends."""
    opened = []
    for gateway in fleet.gateways:
        for connect in (over_http1, over_http2):
            client = connect(gateway, browser)
            opened.append((client, app.end()))
            client.echoes(opened[-1][1])
    return opened


def all_end(opened, since: float) -> None:
    for client, _ in opened:
        assert client.read_close().code == POLICY and client.ended()
    took = time.monotonic() - since
    print(f"all had ended after {took:.3f} s")
    assert took < SOON
    for _, end in opened:
        assert end.read_close().code == POLICY


ENDINGS = {
    "revoked-on-a": lambda fleet, browser: fleet.a.revoke("user=wanda"),
    "revoked-on-b": lambda fleet, browser: fleet.b.revoke("user=wanda"),
    "logout": lambda fleet, browser: browser.at(fleet.a).logout(),
    "logout-user": lambda fleet, browser: browser.at(fleet.b).logout("user"),
    "login": lambda fleet, browser: browser.at(fleet.b).login("mallory"),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_they_end_on_every_gateway_within_a_second(fleet, app, how):
    wanda, bystander = fleet.browser_at(fleet.a, "wanda"), fleet.browser_at(fleet.b, "bystander")
    theirs = over_http1(fleet.a, bystander)
    their_end = app.end()
    opened = on_both(fleet, app, wanda)
    ENDINGS[how](fleet, wanda)
    all_end(opened, time.monotonic())
    theirs.echoes(their_end)
    theirs.close()
    fleet.a.revoke("all=true")


def test_they_end_when_the_session_expires(new_redis, new_fleet):
    fleet = new_fleet(new_redis().url, session={"idle_timeout": "2s"} | rotation(0.1))
    app = WebSocketApp(fleet.app, "/ws")
    alice = fleet.browser_at(fleet.a, "alice")
    began = time.monotonic()
    opened = on_both(fleet, app, alice)
    last = time.monotonic()
    all_end(opened, last + 2)
    assert time.monotonic() - began > 1.5


def test_messages_on_one_gateway_keep_those_on_the_other_open(new_redis, new_fleet):
    redis = new_redis()
    fleet = new_fleet(redis.url, session={"idle_timeout": "2s"} | rotation(0.1))
    app = WebSocketApp(fleet.app, "/ws")
    alice = fleet.browser_at(fleet.a, "alice")
    busy = over_http1(fleet.a, alice)
    busy_end = app.end()
    idle = over_http1(fleet.b, alice)
    idle_end = app.end()
    began = time.monotonic()
    while time.monotonic() - began < 5:
        busy.send(TEXT, b"x")
        assert busy_end.read().payload == b"x"
        wait_for_protocol_time(0.1)  # a user who types
    idle.echoes(idle_end)
    keys = redis.keys(session_prefix("alice"))
    assert len(keys) == 1 and redis.redis.pttl(keys[0]) > 1000
    assert alice.at(fleet.b).user() == "alice"
    fleet.a.revoke("all=true")
    all_end([(busy, busy_end), (idle, idle_end)], time.monotonic())


def test_they_end_even_if_nobody_says_so(fleet, app, server):
    """Word of an end may be lost: the gateways look again."""
    alice = fleet.browser_at(fleet.a, "alice")
    opened = on_both(fleet, app, alice)
    server.redis.delete(*server.keys(session_prefix("alice")))
    all_end(opened, time.monotonic() + 10)


def test_they_outlive_a_redis_that_is_away_for_a_while(new_redis, new_fleet):
    redis = new_redis()
    fleet = new_fleet(redis.url)
    app = WebSocketApp(fleet.app, "/ws")
    alice = fleet.browser_at(fleet.a, "alice")
    client = over_http1(fleet.a, alice)
    end = app.end()
    redis.cut_connections("normal")
    redis.cut_connections("pubsub")
    client.echoes(end)
    assert alice.user() == "alice"
    client.echoes(end)
    client.close()
