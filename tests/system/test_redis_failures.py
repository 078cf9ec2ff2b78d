"""SPEC section 8: a Redis that fails, under the load of users who are signed in.

What cannot be known is 503, in time, with Retry-After; nobody is logged out, and no cookie is deleted or rotated for
it; and when Redis is well again, so is everybody. The Load sees to that (Load.honest, nobody_is_logged_out).
"""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import ResponseError

from harness.browser import asked, outlive, set_cookies
from harness.deadlines import PACE, SCALE, milliseconds, poll, wait_for_protocol_time
from harness.fleet import STORE_TIMEOUT, Fleet
from harness.gateway import free_port, rotation
from harness.load import MARGIN
from harness.lost_answers import LostAnswers
from harness.redis_server import session_prefix
from harness.relay import MovingAddress

DURABLE = {"appendonly": "yes", "appendfsync": "always"}
REPLAY_GRACE = 0.5     # seconds, where replays are looked at
RECOVERY = 3 * SCALE  # seconds at most, for what takes well under one


@contextlib.contextmanager
def trouble(fleet: Fleet, end):
    """A load, and in the block the trouble, which end() ends; then everybody is served again, and nobody is harmed."""
    with fleet.load() as load:
        yield load
        end()
        ended = time.monotonic()
        print(f"all served {load.await_service() - ended:.3f} s later")
        assert load.await_service() - ended < RECOVERY
    load.nobody_is_logged_out()


def refuses_logins(fleet: Fleet) -> None:
    refused = fleet.browser_at(fleet.a).get(asked("/login", {"X-Session-User": "somebody"}))
    assert refused.status == 503 and refused.one("Retry-After") and set_cookies(refused) == []


def refuses(fleet: Fleet) -> None:
    """What the rest of a gateway does meanwhile."""
    fleet.serves_the_public()
    refuses_logins(fleet)
    assert fleet.a.admin("GET", "/healthz").status == 200
    assert fleet.a.admin("GET", "/readyz").status == 503
    for method, target in (("GET", "/v1/users/count"), ("DELETE", "/v1/sessions?user=nobody")):
        answer = fleet.a.admin(method, target)
        assert answer.status == 503 and answer.one("Retry-After"), f"{method} {target}: {answer.status}"


# ---- the process -----------------------------------------------------------------------------------------------------

def test_a_paused_server(new_redis, new_fleet):
    server = new_redis()
    fleet = new_fleet(server.url)
    with trouble(fleet, server.resume) as load:
        server.pause()
        load.await_status(503)
        refuses(fleet)
        load.await_status(503, times=3)  # longer than the gateways wait before they try another connection


def test_a_server_that_is_gone_for_a_while(new_redis, new_fleet):
    """Its port refuses connections; what it had is on its disk."""
    server = new_redis(**DURABLE)
    fleet = new_fleet(server.url)
    bystander = fleet.browser("bystander", data='{"a":1}')
    revoked = fleet.browser("revoked")
    with trouble(fleet, server.start) as load:
        fleet.a.revoke("user=revoked")
        server.kill()
        load.await_status(503, times=2)
        fleet.serves_the_public()
    assert bystander.user() == "bystander" and revoked.user() is None
    assert fleet.counted() == 7
    for gateway in fleet.gateways:
        assert "redis." in gateway.stderr()


def test_a_server_that_restarts_time_and_again(new_redis, new_fleet):
    server = new_redis(**DURABLE)
    fleet = new_fleet(server.url)
    with trouble(fleet, lambda: None) as load:
        for end in (server.kill, server.stop, server.kill):
            end()
            server.start()
            load.await_service()


@pytest.mark.parametrize("how", ["restart_empty", "flushall"])
def test_what_redis_has_lost_is_gone(new_redis, new_fleet, how):
    """Then the sessions have ended, and everybody may sign in again."""
    server = new_redis(**DURABLE)
    fleet = new_fleet(server.url)
    browsers = fleet.signed_in(4)
    with fleet.load(browsers) as load:
        server.restart_empty() if how == "restart_empty" else server.redis.flushall()
        load.await_status(401)
    assert {answer.status for answer in load.answers() if answer.deletes} == {401}
    assert [browser.cookie for browser in browsers.values()] == [None] * 4
    assert fleet.counted() == 0 and server.keys("s:") == []
    for user, browser in browsers.items():
        browser.login(user)
    assert [browser.user() for browser in browsers.values()] == list(browsers)
    assert fleet.counted() == 4


# ---- who is a master -------------------------------------------------------------------------------------------------

def test_a_master_that_is_a_replica_for_a_while(new_redis, new_fleet):
    """READONLY: another server has its place, and gives it back."""
    server, other = new_redis(), new_redis()
    fleet = new_fleet(server.url)
    other.follow(server)

    with trouble(fleet, server.lead) as load:
        other.lead()
        server.follow(other)
        refuses_logins(fleet)
        poll(lambda: fleet.a.admin("GET", "/readyz").status == 503, "it is not ready: a PING would be answered")
        load.await_more(3)


def test_a_replica_of_nobody_is_still_a_replica(new_redis, new_fleet):
    """Its master does not answer, and it serves what it has."""
    server, other = new_redis(), new_redis()
    fleet = new_fleet(server.url)
    other.kill()
    with trouble(fleet, server.lead) as load:
        server.redis.replicaof("127.0.0.1", other.port)
        refuses_logins(fleet)
        load.await_more(3)


def test_what_a_replica_does_not_have_is_not_taken_for_ended(new_redis, new_fleet):
    """A server that becomes the replica of an empty one loses all: known when it is a master again, not before."""
    server, empty = new_redis(), new_redis()
    fleet = new_fleet(server.url)
    browsers = fleet.signed_in(4)
    with fleet.load(browsers) as load:
        server.follow(empty)
        assert server.keys("s:") == []
        load.await_status(503, times=2)
        assert not [answer for answer in load.answers() if answer.status == 401 or answer.deletes]
        server.lead()
        load.await_status(401)


def test_who_is_asked_first_is_asked_again(new_redis, new_fleet):
    """A replica that has lost its master says that a session is not there; only a master knows that."""
    server, replica = new_redis(), new_redis()
    replica.redis.replicaof("127.0.0.1", free_port())
    network = MovingAddress(("127.0.0.1", server.port))
    fleet = new_fleet("redis://%s:%d" % network.address, count=1)
    alice = fleet.browser("alice")

    def asked_replica() -> int:
        return replica.redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)

    for path in ("/account", "/data/write"):
        network.move(("127.0.0.1", replica.port))
        before, answers = asked_replica(), []
        visit = threading.Thread(target=lambda: answers.append(alice.get(path)))
        visit.start()
        poll(lambda: asked_replica() > before, "the replica is asked")
        network.move(("127.0.0.1", server.port))
        visit.join()
        assert answers[0].status in (200, 503) and alice.cookie, answers[0]
        poll(lambda: alice.get("/account").status == 200, "the recovery")
    network.close()


@pytest.mark.parametrize("back", [5, 60])
def test_a_clock_that_goes_back(new_redis, new_fleet, back):
    """Nobody's cookie is one of the past for it, however young a session is."""
    server = new_redis(**DURABLE)
    fleet = new_fleet(server.url, session=rotation(1))
    old = fleet.browser("alice")
    outlive(old, 1)
    young = fleet.browser("bob")
    server.stop()
    server.turn_clock(-back)
    server.start()
    for browser, user in ((old, "alice"), (young, "bob")):
        poll(lambda: browser.get("/account").status == 200, "the recovery")
        for _ in range(4):
            wait_for_protocol_time(0.6)
            assert browser.user() == user
    assert fleet.a.security_log("replay") == fleet.b.security_log("replay") == []
    assert fleet.first_count() == 2 and young.logout().status == 200
    assert fleet.a.revoke("user=alice") == 1 and fleet.first_count() == 0


# ---- the right to it -------------------------------------------------------------------------------------------------

def test_a_password_that_changes(new_redis, new_fleet):
    server = new_redis(password="first")
    fleet = new_fleet(server.url)

    def set_password(password: str) -> None:
        server.redis.config_set("requirepass", password)
        server.cut_connections()
        server.use_password(password)

    with trouble(fleet, lambda: set_password("first")) as load:
        set_password("second")
        load.await_status(503)
        refuses_logins(fleet)
    for gateway in fleet.gateways:
        poll(lambda: "WRONGPASS" in gateway.stderr() and "password" in gateway.stderr(), "a line that says so")
        assert "first" not in gateway.stderr() and "second" not in gateway.stderr()


def test_rights_that_are_taken_and_given_back(new_redis, new_fleet):
    """NOPERM on connections that go on."""
    server = new_redis(users={"gateway": "on >secret ~* &* +@all"})
    fleet = new_fleet(server.url_of(user="gateway", password="secret"))

    def change(rule: str) -> None:
        server.redis.execute_command("ACL SETUSER", "gateway", rule)

    with trouble(fleet, lambda: change("~*")) as load:
        change("resetkeys")
        load.await_status(503)
        refuses_logins(fleet)
        load.await_status(503)


# ---- a server that is busy, or full ----------------------------------------------------------------------------------

def test_a_script_that_does_not_end(new_redis, new_fleet):
    """BUSY, until an operator kills it."""
    server = new_redis(busy_reply_threshold=50)
    fleet = new_fleet(server.url)

    def run_for_ever():
        with server.client() as client, contextlib.suppress(ResponseError):
            client.eval("while true do end", 0)

    def kill():
        server.redis.script_kill()
        busy.join()

    busy = threading.Thread(target=run_for_ever)
    with trouble(fleet, kill) as load:
        busy.start()
        load.await_status(503)
        fleet.serves_the_public()
        load.await_status(503)


def test_scripts_that_are_killed(new_redis, new_fleet):
    """Whoever kills scripts kills those of the gateways too, if any runs that has written nothing yet."""
    server = new_redis(busy_reply_threshold=1)
    fleet = new_fleet(server.url)
    with trouble(fleet, lambda: None) as load:
        ends = time.monotonic() + 0.5
        while time.monotonic() < ends:
            with contextlib.suppress(ResponseError):  # NOTBUSY
                server.redis.script_kill()
        load.await_more()


def test_no_memory_left(new_redis, new_fleet):
    """OOM for whatever takes more: logins. Sessions that are there go on, and rotate."""
    server = new_redis(maxmemory_policy="noeviction")
    fleet = new_fleet(server.url, session=rotation(0.5 * PACE))  # requests write often
    with fleet.load() as load:
        server.redis.config_set("maxmemory", "1mb")
        refuses_logins(fleet)
        ends = time.monotonic() + 3  # an expiry is renewed in steps of 2 s
        while time.monotonic() < ends:
            load.await_more()
        fleet.serves_the_public()
        assert fleet.a.revoke("user=nobody") == 0
        server.redis.config_set("maxmemory", "0")
    load.nobody_notices()


def test_who_is_signed_in_may_leave_when_memory_is_full(new_redis, new_fleet):
    """What frees memory must not wait for memory: logouts and revocations."""
    server = new_redis(maxmemory_policy="noeviction")
    fleet = new_fleet(server.url)
    alice, bob = fleet.browser("alice"), fleet.browser("bob")
    server.redis.config_set("maxmemory", "1mb")
    wait_for_protocol_time(2.1)  # then the logout renews the expiry
    assert fleet.a.admin("DELETE", "/v1/sessions?user=bob").status == 200
    assert alice.logout().status == 200
    server.redis.config_set("maxmemory", "0")
    assert bob.user() is None and server.keys(session_prefix("alice")) == []


def test_operators_count_list_and_revoke_when_memory_is_full(new_redis, new_fleet):
    """Also where sessions have outlived the time that the index has for them: each call meets such ones."""
    server = new_redis(maxmemory_policy="noeviction")
    lifetime = 2 * PACE
    fleet = new_fleet(server.url, session={"idle_timeout": milliseconds(lifetime)})
    alice, *others = (fleet.browser(user, org="acme") for user in ("alice", "bob", "carol", "dave"))
    with fleet.load(dict(zip(("bob", "carol", "dave"), others))) as load:
        with fleet.load({"alice": alice}) as hers:
            server.redis.config_set("maxmemory", "1mb")
            wait_for_protocol_time(lifetime)
        assert fleet.a.revoke("user=alice&org=acme") == 1
        assert len(fleet.b.sessions(user="bob", org="acme")) == 1
        assert fleet.first_count() == 3 and len(fleet.a.sessions(user="carol")) == 1
        server.redis.config_set("maxmemory", "0")
    hers.nobody_notices()
    load.nobody_notices()
    assert alice.user() is None


def test_answers_that_are_late(new_redis, new_fleet):
    """The server works on nothing for two seconds, then on everything: what comes late is nobody else's answer."""
    server = new_redis()
    fleet = new_fleet(server.url)
    with trouble(fleet, lambda: None) as load:
        server.redis.client_pause(int(4000 * STORE_TIMEOUT), all=True)
        load.await_status(503, times=2)
        fleet.serves_the_public()
        load.await_service()


def test_a_server_that_is_slow_but_in_time(new_redis, new_fleet):
    server = new_redis()
    fleet = new_fleet(server.url)
    with fleet.load() as load:
        for _ in range(4):
            server.redis.client_pause(int(300 * STORE_TIMEOUT), all=True)
            load.await_more(2)
    load.nobody_notices()


def test_no_more_connections(new_redis, new_fleet):
    """maxclients: those that are open go on, new ones are refused."""
    server = new_redis()
    fleet = new_fleet(server.url)
    with trouble(fleet, lambda: server.redis.config_set("maxclients", 1000)) as load:
        server.redis.config_set("maxclients", 1)
        load.await_more(3)
        server.cut_connections()
        load.await_status(503)
        fleet.serves_the_public()


# ---- what a request may wait for -------------------------------------------------------------------------------------

def test_a_refusal_comes_within_the_stores_timeout(new_redis, new_fleet):
    """Each kind of request that asks the store, on a server that does not answer."""
    server = new_redis()
    fleet = new_fleet(server.url)
    browsers = {target: fleet.browser_at(fleet.a, "alice", data='{"a":1}') for target in (
        "/account", "/data/read", "/control/x", asked("/control/logout", {"X-Session-End": "session"}),
        asked("/control/logout", {"X-Session-End": "user"}), asked("/data/write", {"X-Session-Data": '{"a":2}'}),
        asked("/login", {"X-Session-User": "bob"}))}
    stranger = asked("/login", {"X-Session-User": "carol"})
    browsers[stranger] = fleet.browser_at(fleet.a)
    cookies = {target: browser.cookie for target, browser in browsers.items()}

    def ask(target: str) -> tuple:
        began = time.monotonic()
        return browsers[target].get(target), time.monotonic() - began

    server.pause()
    try:
        with ThreadPoolExecutor() as pool:
            answers = dict(zip(browsers, pool.map(ask, browsers)))
    finally:
        server.resume()
    for target, (refused, took) in answers.items():
        assert refused.status == 503 and refused.one("Retry-After"), f"{target}: {refused}"
        assert browsers[target].cookie == cookies[target] and set_cookies(refused) == []
        assert took <= STORE_TIMEOUT + MARGIN, f"{target} took {took:.3f} s"


@pytest.fixture
def lossy(new_redis, new_fleet):
    """A fleet whose first gateway's answers from Redis can be lost, and what loses them."""
    server = new_redis()
    network = LostAnswers(("127.0.0.1", server.port))
    yield lambda **settings: new_fleet("redis://%s:%d" % network.address, **settings), network
    network.close()


@pytest.mark.parametrize("on_replay, other_survives", [("end_session", True), ("end_user", False)])
def test_a_replay_whose_verdict_is_lost_is_one(lossy, on_replay, other_survives):
    """The session is gone when the call comes again: it is to be known who ended it."""
    fleet_of, network = lossy
    fleet = fleet_of(count=1, session=rotation(REPLAY_GRACE, on_replay=on_replay))
    laptop, phone = fleet.browser_at(fleet.a, "alice"), fleet.browser_at(fleet.a, "alice")
    thief = laptop.copy()
    outlive(laptop, REPLAY_GRACE)
    network.lose_the_answer_to("s:{alice}.")
    assert thief.get("/account").status == 401
    assert network.lost.is_set()
    assert fleet.a.await_security("replay", user="alice")["event"] == "session_ended"
    assert phone.user() == ("alice" if other_survives else None)


@pytest.mark.parametrize("on_replay, other_survives", [("end_session", True), ("end_user", False)])
def test_a_replay_whose_verdict_is_late_is_one(new_redis, new_fleet, on_replay, other_survives):
    server = new_redis()
    fleet = new_fleet(server.url, session=rotation(REPLAY_GRACE, on_replay=on_replay))
    laptop, phone = fleet.browser_at(fleet.a, "alice"), fleet.browser_at(fleet.a, "alice")
    thief = laptop.copy()
    outlive(laptop, REPLAY_GRACE)
    server.pause()
    try:
        assert thief.get("/account").status == 503
    finally:
        server.resume()
    assert poll(lambda: (answer := laptop.get("/account")).status != 503 and answer, "the recovery").status == 401
    poll(lambda: len(fleet.a.security_log("replay", user="alice")) == (1 if other_survives else 2), "each end")
    poll(lambda: fleet.first_count() == int(other_survives), "the index knows, too")
    assert phone.user() == ("alice" if other_survives else None)


def test_a_replay_whose_verdict_never_came_is_told_to_whoever_finds_it(new_redis, new_fleet):
    """The server wakes up when the connection is long given up, and carries out what it was asked for."""
    server = new_redis()
    fleet = new_fleet(server.url, session=rotation(REPLAY_GRACE))
    laptop = fleet.browser_at(fleet.a, "alice")
    thief = laptop.copy()
    outlive(laptop, REPLAY_GRACE)
    server.pause()
    try:
        assert thief.get("/account").status == 503
        poll(lambda: "has not answered for twice" in fleet.a.stderr(), "that the connection is given up")
    finally:
        server.resume()
    assert poll(lambda: (answer := laptop.at(fleet.b).get("/account")).status != 503 and answer,
                "the recovery").status == 401
    poll(lambda: len(fleet.b.security_log("replay", user="alice")) == 1, "the end")
    assert laptop.at(fleet.a).get("/account").status == 401
    poll(lambda: fleet.first_count() == 0, "the index knows, too")
    assert fleet.a.security_log("replay", user="alice") == [], "it is told once"


@pytest.mark.parametrize("ending", ["session", "user"])
def test_a_revocation_whose_answer_is_lost_tells_what_it_ended(lossy, ending):
    fleet_of, network = lossy
    fleet = fleet_of(count=1)
    browsers = [fleet.browser_at(fleet.a, "alice") for _ in range(3)]
    names = [one["id"] for one in fleet.a.sessions(user="alice")]
    if ending == "session":
        network.lose_the_answer_to("{alice}.")
        answer = fleet.a.admin("DELETE", f"/v1/sessions/{names[0]}")
    else:
        network.lose_the_answer_to("[{alice}.", after=1)  # what is there is read before it is ended
        answer = fleet.a.admin("DELETE", "/v1/sessions?user=alice")
    assert network.lost.is_set() and answer.status == 200, answer
    expected = 1 if ending == "session" else 3
    assert answer.json()["revoked"] == expected
    assert sum(browser.user() is None for browser in browsers) == expected
    assert len(fleet.a.security_log(f"revoked_{ending}", user="alice")) == expected


def test_what_was_refused_may_have_happened_but_harms_nobody(new_redis, new_fleet):
    """A server that wakes up does all that it was asked for, though nobody waits any more: no login of those is one."""
    server = new_redis()
    fleet = new_fleet(server.url)
    alice = fleet.browser("alice")
    server.pause()
    try:
        assert fleet.browser_at(fleet.a).get(asked("/login", {"X-Session-User": "bob"})).status == 503
        assert alice.get("/account").status == 503
    finally:
        server.resume()
    poll(lambda: alice.get("/account").status == 200, "the recovery")
    assert fleet.a.sessions(user="alice") and alice.user() == "alice"
    assert len(fleet.a.sessions(user="bob")) <= 1  # nobody has its cookie
