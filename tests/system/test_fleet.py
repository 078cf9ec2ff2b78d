"""SPEC sections 2, 3 and 6 for a fleet: gateways that share a cookie key and a Redis behave as one."""

import contextlib
import json
import time

import pytest

from harness import http1
from harness.browser import app_saw, asked, deletes_cookie, is_refused_after_a_login, outlive, set_cookies
from harness.deadlines import PACE, PATIENCE, SCALE, milliseconds, poll, wait_for_protocol_time
from harness.fleet import Fleet
from harness.gateway import rotation
from harness.load import in_parallel
from harness.redis_server import session_prefix
from harness.upstream import HeldAnswer

GRACE = 0.5            # seconds, of the gateways that show what happens after it
LIFETIME = 1.5 * PACE  # seconds, of the sessions that are left to expire


@pytest.fixture
def of_its_own(new_redis, new_fleet):
    """Makes a fleet with a server of its own: its counts are nobody else's."""
    return lambda **changes: new_fleet(new_redis().url, **changes)


# ---- one session, several gateways -----------------------------------------------------------------------------------

def test_a_login_on_one_gateway_counts_on_the_other(fleet):
    alice = fleet.browser_at(fleet.a, "alice")
    assert [alice.at(gateway).user() for gateway in (fleet.b, fleet.a, fleet.b)] == ["alice"] * 3


def test_a_logout_on_one_gateway_counts_on_the_other(fleet):
    alice = fleet.browser_at(fleet.a, "lena")
    copy = alice.copy().at(fleet.b)
    assert copy.user() == "lena"
    assert deletes_cookie(alice.logout())
    assert copy.user() is None


def test_the_apps_data_is_the_same_everywhere(fleet):
    alice = fleet.browser_at(fleet.a, "dora", data='{"cart":[1]}')
    assert json.loads(app_saw(alice.at(fleet.b).get("/data/read")).one("X-Session-Data")) == {"cart": [1]}
    alice.get(asked("/control/write", {"X-Session-Data": '{"cart":[1,2]}'}))
    assert json.loads(app_saw(alice.at(fleet.a).get("/data/read")).one("X-Session-Data")) == {"cart": [1, 2]}


@pytest.mark.parametrize("strict", [False, True])
def test_parallel_requests_over_all_gateways_log_nobody_out(of_its_own, strict):
    """R1"""
    fleet = of_its_own(session=rotation(SCALE, rotation={"strict": strict}))
    alice = fleet.browser("alice")
    assert in_parallel(240, 6, lambda _: alice.user()) == ["alice"] * 240
    alice.close()


@pytest.mark.parametrize("on_replay, other_survives", [("end_session", True), ("end_user", False)])
def test_a_replay_on_the_other_gateway_is_seen(of_its_own, on_replay, other_survives):
    """R2, R3: superseded on one gateway, presented on another."""
    fleet = of_its_own(session=rotation(GRACE, on_replay=on_replay))
    laptop, phone = fleet.browser_at(fleet.a, "alice"), fleet.browser_at(fleet.a, "alice")
    elsewhere = fleet.browser_at(fleet.a, "alice", org="acme")
    thief = laptop.copy().at(fleet.b)
    outlive(laptop, GRACE)
    assert thief.user() is None
    assert fleet.b.await_security("replay", user="alice")["session"]
    assert laptop.user() is None, "on the gateway that did not see the replay"
    assert phone.user() == ("alice" if other_survives else None)
    assert elsewhere.user() == "alice"
    assert len(fleet.listed("alice")) == (1 if other_survives else 0)


def test_a_cookie_that_was_replaced_is_refused_without_a_deletion_everywhere(of_its_own):
    """R7: the old cookie's late request arrives at the other gateway."""
    grace = GRACE * PACE
    fleet = of_its_own(session=rotation(grace))
    alice = fleet.browser_at(fleet.a, "alice")
    is_refused_after_a_login(alice, alice.copy().at(fleet.b), grace)
    assert alice.at(fleet.b).user() == "alice"


def test_a_late_answer_of_the_old_session_does_not_bury_a_login_elsewhere(fleet):
    """R7: an answer that took longer than a second asks the store again."""
    held = HeldAnswer(fleet.app, "/slow-login")
    alice = fleet.browser_at(fleet.a, "alice")
    with fleet.b.client() as client:
        held.ask(client, alice.cookie_header)
        alice.login("alice")
        wait_for_protocol_time(1.1)
        held.release()
        late = client.read_response()
    assert late.status == 200 and set_cookies(late) == []
    assert alice.at(fleet.b).user() == "alice"


@pytest.mark.parametrize("limit", [1, 2])
def test_the_limit_of_sessions_counts_those_on_all_gateways(of_its_own, limit):
    fleet = of_its_own(session={"max_sessions_per_user": limit})
    browsers = [fleet.browser_at(fleet.gateways[turn % 2], "alice") for turn in range(limit + 1)]
    elsewhere = fleet.browser_at(fleet.b, "alice", org="acme")
    for gateway in fleet.gateways:
        assert [browser.at(gateway).copy().user() for browser in browsers] == [None] + ["alice"] * limit
    assert len(fleet.listed("alice")) == limit
    assert elsewhere.user() == "alice"
    newest = fleet.browser_at(fleet.a, "alice")
    assert browsers[1].at(fleet.b).user() is None and newest.at(fleet.b).user() == "alice"


# ---- ending sessions -------------------------------------------------------------------------------------------------

def revoke_by_id(fleet: Fleet, user: str) -> int:
    names = [one["id"] for one in fleet.listed(user, org=f"of-{user}")]
    return sum(fleet.a.admin("DELETE", f"/v1/sessions/{name}").json()["revoked"] for name in names)


# Each ends all sessions of a user, who has an organization of its own, through the first gateway.
ENDINGS = {
    "session": revoke_by_id,
    "user": lambda fleet, user: fleet.a.revoke(f"user={user}"),
    "user-of-org": lambda fleet, user: fleet.a.revoke(f"user={user}&org=of-{user}"),
    "org": lambda fleet, user: fleet.a.revoke(f"org=of-{user}"),
    "all": lambda fleet, user: fleet.a.revoke("all=true"),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_a_revocation_is_over_everywhere_before_the_call_returns(of_its_own, how):
    """R6"""
    fleet = of_its_own()
    for _ in range(3):
        laptop, phone = (fleet.browser_at(fleet.b, "olga", org="of-olga") for _ in range(2))
        other = fleet.browser_at(fleet.b, "other", org="of-other")
        assert laptop.user() == phone.user() == "olga"  # their connections to the other gateway are open
        revoked = ENDINGS[how](fleet, "olga")
        refused = laptop.get("/account")
        assert refused.status == 401 and deletes_cookie(refused)
        assert phone.user() is None
        assert other.user() == (None if how == "all" else "other")
        assert revoked == (3 if how == "all" else 2)
        other.logout()


def test_ending_the_user_ends_her_sessions_on_all_gateways(fleet):
    laptop, phone = fleet.browser_at(fleet.a, "nina"), fleet.browser_at(fleet.b, "nina")
    at_acme, other = fleet.browser_at(fleet.b, "nina", org="acme"), fleet.browser_at(fleet.b, "nina2")
    laptop.logout("user")
    assert phone.user() is None
    assert at_acme.user() == "nina" and other.user() == "nina2"
    fleet.a.revoke("org=acme")


class Stream:
    """An answer of the second gateway without end, on which something comes all the time."""

    def __init__(self, fleet: Fleet, browser):
        self.client, self.ended = fleet.b.client(), None
        self.client.send(http1.request_bytes("GET", "/stream", {"Cookie": browser.cookie_header}))
        head = http1.read_response_head(self.client.reader)
        assert head.status == 200
        browser.receive(head)
        self.client.sock.settimeout(0.001)

    def is_cut(self) -> bool:
        """Reads all that has come."""
        try:
            while not self.ended:
                if self.client.reader.some() == b"":
                    self.ended = time.monotonic()
                    self.client.close()
        except TimeoutError:
            pass
        return self.ended is not None


def cut_after(streams: list[Stream], since: list[float], within: float) -> list[float]:
    """Seconds until each was cut."""
    poll(lambda: all([stream.is_cut() for stream in streams]), "the end of the streams", within)
    return [stream.ended - begin for stream, begin in zip(streams, since)]


def drip(exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    try:
        while not exchange.connection.closed.wait(0.02):
            exchange.send(b"data: hello\n\n")
    except OSError:
        exchange.close()


@pytest.fixture
def stream(fleet):
    """Opens streams, and closes them after the test."""
    fleet.app.on("/stream", drip)
    with contextlib.ExitStack() as stack:
        def opened(browser) -> Stream:
            stream = Stream(fleet, browser)
            stack.callback(stream.client.close)
            return stream

        yield opened


CUT_WITHIN = 1 + 2 * SCALE  # seconds: one as promised, and what a busy machine takes


def test_an_open_answer_is_cut_when_its_session_ends_on_another_gateway(fleet, stream):
    """R6: by an operator, by its user, by another login; and nobody else's."""
    times = {}
    endings = {how: end for how, end in ENDINGS.items() if how != "all"}
    endings |= {"logout": lambda _, user: browsers[user].logout(), "login": lambda _, user: browsers[user].login(user)}
    browsers = {user: fleet.browser_at(fleet.a, user, org=f"of-{user}") for user in [*endings, "bystander"]}
    streams = {user: stream(browser) for user, browser in browsers.items()}
    assert not any(one.is_cut() for one in streams.values())
    for how, end in endings.items():
        end(fleet, how)
        times[how] = time.monotonic()
    cut = dict(zip(times, cut_after([streams[how] for how in times], list(times.values()), PATIENCE)))
    print("cut after", {how: round(seconds, 3) for how, seconds in cut.items()})
    assert max(cut.values()) <= CUT_WITHIN, cut
    assert not streams["bystander"].is_cut()
    fleet.a.revoke("all=true")
    cut_after([streams["bystander"]], [time.monotonic()], CUT_WITHIN)


def test_an_open_answer_is_cut_after_the_gateways_listen_again(fleet, server, stream):
    hers = stream(fleet.browser_at(fleet.a, "alice"))
    listening = {one["id"] for one in server.redis.client_list(_type="pubsub")}
    assert len(listening) == 2
    server.cut_connections("pubsub")
    poll(lambda: len({one["id"] for one in server.redis.client_list(_type="pubsub")} - listening) == 2,
         "both gateways listen again")
    fleet.a.revoke("user=alice")
    cut_after([hers], [time.monotonic()], CUT_WITHIN)


def test_an_open_answer_is_cut_even_if_nobody_says_so(fleet, server, stream):
    """A message may be lost: the gateways look again, at least every ten seconds. Nobody hears of this end at all."""
    hers, his = (stream(fleet.browser_at(fleet.a, user)) for user in ("alice", "bob"))
    server.redis.delete(*server.keys(session_prefix("alice")))
    print("cut after", cut_after([hers], [time.monotonic()], 10 + 2 * SCALE))
    assert not his.is_cut()
    fleet.a.revoke("user=bob")
    cut_after([his], [time.monotonic()], CUT_WITHIN)


# ---- listing and counting --------------------------------------------------------------------------------------------

def test_listings_and_counts_are_exact_on_all_gateways(of_its_own):
    fleet = of_its_own()
    expected, browsers = {}, []
    for number in range(24):
        user, org = f"user-{number % 7}", ("acme", "globex", None)[number % 3]
        browsers.append(fleet.browser(user, org=org))
        expected[user, org] = expected.get((user, org), 0) + 1
    assert fleet.counted() == len(expected)
    for org in ("acme", "globex"):
        assert fleet.counted(org) == len([pair for pair in expected if pair[1] == org])
        assert len(fleet.a.sessions(org=org)) == len(fleet.b.sessions(org=org)) == 8
    for (user, org), sessions in expected.items():
        assert org is None or len(fleet.listed(user, org)) == sessions
    assert len(fleet.listed("user-2")) == expected["user-2", None]
    for browser in browsers[:12]:
        browser.logout()
    assert fleet.counted() == len({(f"user-{n % 7}", n % 3) for n in range(12, 24)})
    assert fleet.a.revoke("org=acme") == 4 and fleet.counted("acme") == 0
    assert fleet.b.revoke("all=true") == 8 and fleet.counted() == 0


def test_a_listing_tells_of_what_happens_on_other_gateways(fleet):
    alice = fleet.browser_at(fleet.a, "tess", org="acme")
    before = fleet.listed("tess", "acme")[0]
    poll(lambda: alice.at(fleet.b).user() and fleet.listed("tess", "acme")[0]["last_seen"] > before["last_seen"],
         "a later last_seen")
    listed = fleet.listed("tess", "acme")
    assert len(listed) == 1 and {**listed[0], "last_seen": 0, "expires": 0} == {**before, "last_seen": 0, "expires": 0}
    assert listed[0]["client"] == "127.0.0.1" and listed[0]["permanent"] is False
    fleet.a.revoke("org=acme")


def test_long_listings_come_page_by_page(of_its_own):
    fleet = of_its_own()
    browsers = [fleet.browser("alice") for _ in range(250)]
    assert len({one["id"] for one in fleet.listed("alice")}) == 250
    assert fleet.a.revoke("user=alice") == 250 and fleet.counted() == 0
    for browser in browsers:
        browser.close()


def test_a_cursor_of_another_listing_is_refused(of_its_own):
    """What it stands behind is not among what is asked for."""
    fleet = of_its_own()
    for org in ("aaa", "acme", "bbb"):
        fleet.browser("alice", org=org)
        fleet.browser("bob", org=org)
    cursor = fleet.a.admin("GET", "/v1/sessions?org=aaa&limit=1").json()["cursor"]
    assert cursor and fleet.a.admin("GET", f"/v1/sessions?org=aaa&cursor={cursor}").status == 200
    for others in ("org=acme", "user=carol", "user=alice&org=acme", "user=alice&org=bbb"):
        assert fleet.a.admin("GET", f"/v1/sessions?{others}&cursor={cursor}").status == 400
    fleet.a.revoke("all=true")


def test_what_has_expired_is_neither_listed_nor_counted(of_its_own):
    fleet = of_its_own(session={"idle_timeout": milliseconds(LIFETIME), "permanent_timeout": "1m"})
    for user in ("alice", "bob"):
        fleet.browser(user, org="acme")
    stays = fleet.browser("stays", permanent=True)
    with fleet.load(fleet.signed_in(1, "active")) as active:
        assert fleet.counted() == 4
        wait_for_protocol_time(LIFETIME)
        assert fleet.counted("acme") == 0 and fleet.counted() == 2
        assert fleet.listed("alice", "acme") == []
        assert len(fleet.listed("active-0")) == len(fleet.listed("stays")) == 1
        assert fleet.b.revoke("org=acme") == 0
        active.await_service()
    active.nobody_notices()
    assert fleet.a.revoke("all=true") == 2
    assert stays.user() is None


def test_the_count_is_exact_however_many_sessions_of_a_user_have_expired(of_its_own):
    """By the first call: more of them than Redis takes out of the index in one go."""
    fleet = of_its_own(session={"idle_timeout": milliseconds(LIFETIME), "permanent_timeout": "1m"})
    stays = fleet.browser("stays", org="acme", permanent=True)
    with fleet.a.client() as client:
        client.send(250 * http1.request_bytes("GET", asked("/login", {"X-Session-User": "a", "X-Session-Org": "acme"})))
        assert [client.read_response().status for _ in range(250)] == 250 * [200]
    wait_for_protocol_time(LIFETIME)
    assert fleet.first_count() == 1
    assert fleet.first_count("acme") == 1 and fleet.listed("a", "acme") == []
    assert stays.user() == "stays"


# ---- what a fleet does not notice ------------------------------------------------------------------------------------

def test_a_flush_of_the_scripts_is_not_noticed(new_redis, new_fleet):
    server = new_redis()
    fleet = new_fleet(server.url)
    with fleet.load() as load:
        for number in range(10):
            server.redis.script_flush()
            assert fleet.browser(f"new-{number}").user() == f"new-{number}"
            load.await_more(2)
        server.redis.script_flush()
        assert fleet.counted() == 16
        server.redis.script_flush()
        assert fleet.b.revoke("user=new-0") == 1
        load.await_more()
    load.nobody_notices()


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
def test_cut_connections_are_not_noticed(new_redis, new_fleet, kind):
    """An idle timeout of the server, a firewall: requests are repeated over a new connection, within the deadline."""
    server = new_redis()
    fleet = new_fleet(server.url)
    with fleet.load() as load:
        for _ in range(5):
            server.cut_connections(kind)
            load.await_more(3)
    load.nobody_notices()


def test_a_slow_store_delays_and_harms_nobody(new_redis, new_fleet):
    server = new_redis()
    fleet = new_fleet(server.url)
    with fleet.load() as load:
        for _ in range(5):
            server.redis.client_pause(100, all=True)
            load.await_more(2)
    load.nobody_notices()
