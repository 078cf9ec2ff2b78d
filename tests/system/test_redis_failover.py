"""SPEC section 8: Redis fails over, behind Sentinel and as a Cluster, under the load of users who are signed in, and of
others who come and go. What was acknowledged holds: no session is lost, no revoked one alive again."""

import time

import pytest

from harness.browser import asked, set_cookies
from harness.churn import Churn
from harness.deadlines import SCALE, poll
from harness.fleet import Fleet
from harness.load import Load, in_parallel
from harness.redis_cluster import key_slot
from harness.redis_server import RedisServer, session_prefix
from harness.websocket import POLICY, Client, WebSocketApp

RECOVERY = 3 * SCALE  # seconds after a promotion, at most; one is promised
SOON = 1 + 2 * SCALE  # seconds: the one that is promised, and what a busy machine takes
CONFIRMED = {"replicas": 1}


def was_served_again(load: Load, promoted: float) -> None:
    seconds = load.await_service() - promoted
    refused = [answer for answer in load.answers() if answer.status == 503]
    print(f"all served {seconds:.3f} s after the promotion; {len(refused)} of {len(load.answers())} requests were 503")
    assert seconds < RECOVERY


def takes_logins(fleet: Fleet) -> None:
    """Again, as soon as replicas confirm them."""
    for gateway in fleet.gateways:
        poll(lambda: fleet.browser_at(gateway).get(asked("/login", {"X-Session-User": "late"})).status == 200,
             f"a login\n{gateway.stderr()}")


def with_a_replica(new_redis, new_fleet) -> tuple[RedisServer, RedisServer, Fleet]:
    """A master, a replica that has to confirm, and gateways on them."""
    master, replica = new_redis(), new_redis()
    replica.follow(master)
    master.await_replicas(1)
    return master, replica, new_fleet(master.url, redis=CONFIRMED)


# ---- replicas that confirm -------------------------------------------------------------------------------------------

def test_a_login_that_no_replica_has_is_refused(new_redis, new_fleet):
    """session.redis.replicas: and what was refused is no session."""
    master, replica, fleet = with_a_replica(new_redis, new_fleet)
    alice = fleet.browser("alice")
    replica.pause()
    try:
        with fleet.load({"alice": alice}) as load:
            bob = fleet.browser_at(fleet.a)
            refused = bob.get(asked("/login", {"X-Session-User": "bob"}))
            assert refused.status == 503 and refused.one("Retry-After") and set_cookies(refused) == []
            assert "not confirmed" in fleet.a.await_security("store_unavailable")["detail"]
        load.nobody_notices()  # requests write nothing that has to be confirmed
        poll(lambda: "replicas=0" in fleet.a.stderr(), "a line that says so")
    finally:
        replica.resume()
    master.await_replicas(1)
    takes_logins(fleet)
    assert master.keys(session_prefix("bob")) == []


def test_logins_that_are_refused_at_once_soon_leave_no_session(new_redis, new_fleet):
    """They wait for the replica behind each other: none is forgotten, though its own time is over when it begins."""
    master, replica, fleet = with_a_replica(new_redis, new_fleet)
    alice = fleet.browser("alice")

    def refused(number: int) -> None:
        answer = fleet.browser_at(fleet.a).get(asked("/login", {"X-Session-User": f"user-{number}"}))
        assert answer.status == 503 and answer.one("Retry-After") and set_cookies(answer) == []

    replica.pause()
    try:
        in_parallel(12, 6, refused)
    finally:
        replica.resume()
    poll(lambda: fleet.first_count() == 1, "the end of the refused logins' sessions")
    master.await_replicas(1)
    takes_logins(fleet)  # in turn behind all that was to be confirmed
    assert fleet.a.revoke("user=late") == 2
    poll(lambda: master.keys("s:") == master.keys(session_prefix("alice")), "alice's session alone")
    assert fleet.first_count() == 1 and alice.user() == "alice"


def test_a_revocation_that_no_replica_has_is_not_acknowledged(new_redis, new_fleet):
    """But it is tried: better ended without a word than alive."""
    master, replica, fleet = with_a_replica(new_redis, new_fleet)
    alice, bob = fleet.browser("alice"), fleet.browser("bob")
    replica.pause()
    try:
        answer = fleet.a.admin("DELETE", "/v1/sessions?user=alice")
        assert answer.status == 503 and answer.one("Retry-After")
        told = fleet.a.await_security("store_unavailable", "alice")
        assert told["client"] == "admin" and "not confirmed" in told["detail"]
    finally:
        replica.resume()
    master.await_replicas(1)
    assert fleet.b.admin("DELETE", "/v1/sessions?all=true").status == 200
    assert alice.user() is None and bob.user() is None


def test_without_replicas_nobody_waits_for_any(new_redis, new_fleet):
    master, replica = new_redis(), new_redis()
    replica.follow(master)
    fleet = new_fleet(master.url)
    replica.pause()
    try:
        assert fleet.browser("alice").user() == "alice" and fleet.a.revoke("user=alice") == 1
    finally:
        replica.resume()


# ---- Sentinel --------------------------------------------------------------------------------------------------------

def test_a_master_is_killed(new_redis, new_fleet):
    """And the new master's clock is five seconds behind."""
    sentinels = new_redis.sentinels(clock_shift=-5)
    fleet = new_fleet(sentinels.url, redis=CONFIRMED)
    old = sentinels.master()
    with fleet.load() as load:
        with Churn(fleet) as churn:
            churn.await_more()
            old.kill()
            new, promoted = sentinels.await_promotion(old)
            was_served_again(load, promoted)
            sentinels.await_agreement(new, replicas=1)
            churn.await_more()
        load.await_service()
    load.nobody_is_logged_out()
    churn.nothing_is_undone()


def test_a_master_that_comes_back_is_none(new_redis, new_fleet):
    """Paused until another has its place, it wakes up and takes itself for the master, with what it knew then."""
    sentinels = new_redis.sentinels()
    fleet = new_fleet(sentinels.url, redis=CONFIRMED)
    old, revoked, late = sentinels.master(), fleet.browser("revoked"), None
    with fleet.load() as load:
        old.pause()
        new, promoted = sentinels.await_promotion(old)
        was_served_again(load, promoted)
        sentinels.await_agreement(new, replicas=1)
        takes_logins(fleet)
        late = fleet.browser("after-the-promotion")
        poll(lambda: fleet.a.admin("DELETE", "/v1/sessions?user=revoked").status == 200, "a revocation")
        old.resume()
        for _ in range(20):
            load.await_more()
            assert revoked.copy().user() is None and late.user() == "after-the-promotion"
        poll(lambda: not old.is_master, "the old master follows the new one", 6 * RECOVERY)
        load.await_service()
    load.nobody_is_logged_out()
    assert revoked.user() is None and late.user() == "after-the-promotion"


def test_an_operator_changes_the_master(new_redis, new_fleet):
    """For a while two servers are masters, and the sentinels name the old one: only where all replicas have to confirm,
    nothing is acknowledged that the new one does not have. And the new master's clock is five seconds ahead."""
    sentinels = new_redis.sentinels(password="secret", clock_shift=5, failover_timeout=15_000)
    fleet = new_fleet(sentinels.url, redis={"replicas": 2})
    old = sentinels.master()
    with fleet.load() as load, Churn(fleet) as churn:
        new, promoted = sentinels.fail_over(old)
        was_served_again(load, promoted)
        sentinels.await_agreement(new, replicas=2)
        churn.await_more()
    load.nobody_is_logged_out()
    churn.nothing_is_undone()


def test_sentinels_may_go_while_the_master_stays(new_redis, new_fleet):
    sentinels = new_redis.sentinels(replicas=0)
    fleet = new_fleet(sentinels.url)
    with fleet.load() as load:
        for sentinel in sentinels.sentinels:
            sentinel.kill()
        load.await_more(20)
    load.nobody_notices()


# ---- Cluster ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def cluster(module_redis):
    """Serves several tests: each leaves it well, with three masters and three replicas."""
    return module_redis.cluster()


@pytest.fixture
def fleet(cluster, new_fleet) -> Fleet:
    fleet = new_fleet(cluster.url, redis=CONFIRMED)
    yield fleet
    fleet.a.admin("DELETE", "/v1/sessions?all=true")


def users_of(cluster, node, count: int) -> list[str]:
    """Users whose sessions are on that node."""
    found, number = [], 0
    while len(found) < count:
        user, number = f"user-{number}", number + 1
        if cluster.node_of(session_prefix(user)) is node:
            found.append(user)
    return found


def test_an_operator_gives_a_replica_its_masters_place(cluster, fleet):
    replica = cluster.replica_of(cluster.node_of(session_prefix("user-0")))
    with fleet.load() as load, Churn(fleet) as churn:
        cluster.fail_over(replica)
        churn.await_more()
        load.await_service()
    load.nobody_is_logged_out()
    churn.nothing_is_undone()
    print(f"{sum(answer.status == 503 for answer in load.answers())} of {len(load.answers())} requests were 503")


def test_a_slot_moves_there_and_back(cluster, fleet):
    """MOVED, ASK, TRYAGAIN: in the middle of it, some of a user's sessions are here, and some there."""
    slot, home = key_slot(session_prefix("user-0").encode()), cluster.node_of(session_prefix("user-0"))
    phones = [fleet.browser("user-0") for _ in range(3)]
    browsers = {f"user-{number}": fleet.browser(f"user-{number}") for number in range(4)}
    came, went = [], []

    def between() -> None:
        load.await_more(2)
        assert [phone.user() for phone in phones] == ["user-0"] * 3
        visitor = fleet.browser_at(fleet.b)
        answer = visitor.get(asked("/login", {"X-Session-User": "user-0"}))
        assert answer.status in (200, 503), answer  # 503: come again when the slot is in one place
        if answer.status == 200:
            came.append(visitor)
        if came and came[0].copy().logout().status == 200:
            went.append(came.pop(0))

    with fleet.load(browsers) as load:
        away = next(node for node in cluster.masters() if node is not home)
        cluster.migrate_slot(slot, away, between)
        assert cluster.node_of(session_prefix("user-0")) is away
        cluster.migrate_slot(slot, home, load.await_more)
        load.await_service()
    load.nobody_is_logged_out()
    print(f"{len(came) + len(went)} came meanwhile, {len(went)} went")
    assert [visitor.user() for visitor in came] == ["user-0"] * len(came)
    assert [visitor.user() for visitor in went] == [None] * len(went)


def test_a_server_of_a_cluster_is_none_by_itself(cluster, new_site):
    """`redis://` of one of its nodes: the log says what is wrong, once for each request and not as often as it could."""
    site = new_site(session={"store": f"redis://127.0.0.1:{cluster.masters()[0].port}"})
    answers = [site.browser().get(asked("/login", {"X-Session-User": f"user-{number}"})) for number in range(12)]
    assert {answer.status for answer in answers} >= {503}
    refusals = [line for line in site.gateway.stderr().splitlines() if "redis.refused" in line and "MOVED" in line]
    assert 1 <= len(refusals) <= 40
    for master in cluster.masters():
        master.redis.flushall()


def test_the_only_session_of_a_slot_ends_while_the_slot_moves(cluster, fleet):
    """Its index goes with it, and may not be asked for behind that."""
    prefix = session_prefix("lonely")
    slot, home = key_slot(prefix.encode()), cluster.node_of(prefix)
    away = next(node for node in cluster.masters() if node is not home)
    lonely, answers = fleet.browser("lonely"), []

    def between() -> None:
        if not answers:
            answers.append(lonely.logout().status)

    cluster.migrate_slot(slot, away, between)
    assert answers == [200] and fleet.first_count() == 0
    assert [len(gateway.security_log("logout", user="lonely")) for gateway in fleet.gateways] in ([0, 1], [1, 0])
    assert home.keys() == away.keys() == []


@pytest.mark.parametrize("whose", ["user=user-0&org=acme", "user=user-0", "org=acme", "all=true"])
def test_a_revocation_while_a_slot_moves_is_whole_or_refused(cluster, fleet, whose):
    """The index has moved, and the sessions have not: who has it now must not take those for ended."""
    prefix = session_prefix("user-0", "acme")
    slot, home = key_slot(prefix.encode()), cluster.node_of(prefix)
    away = next(node for node in cluster.masters() if node is not home)
    phones = [fleet.browser("user-0", org="acme") for _ in range(3)]
    answers = []

    def kept() -> int:  # the gateways remember for a while what they have ended: Redis knows
        return len(home.keys(prefix) + away.keys(prefix))

    def between() -> None:
        to_come = home.ask("GETKEYSINSLOT", slot, 10)
        if len(to_come) == len(home.keys(prefix)) == len(phones) and not answers:
            answers.append((fleet.a.admin("DELETE", f"/v1/sessions?{whose}").status, kept()))

    cluster.migrate_slot(slot, away, between, last="s:")
    (status, left), = answers
    assert status == 503 or (status == 200 and left == 0), f"answered {status} with {left} sessions left"
    assert len(fleet.listed("user-0", "acme")) == kept()
    poll(lambda: fleet.b.admin("DELETE", f"/v1/sessions?{whose}").status == 200, "a revocation")
    assert kept() == 0 and fleet.listed("user-0", "acme") == [] and fleet.first_count("acme") == 0
    assert [phone.user() for phone in phones] == [None] * 3


def test_a_master_of_a_cluster_is_killed(cluster, fleet):
    """Who is on the other nodes does not notice."""
    victim = cluster.node_of(session_prefix("user-0"))
    replica, others = cluster.replica_of(victim), [node for node in cluster.masters() if node is not victim]
    on_it = {user: fleet.browser(user) for user in users_of(cluster, victim, 4)}
    elsewhere = {user: fleet.browser(user) for node in others for user in users_of(cluster, node, 2)}
    with fleet.load(on_it) as hit, fleet.load(elsewhere) as spared, Churn(fleet) as churn:
        churn.await_more()
        victim.kill()
        was_served_again(hit, cluster.await_promotion(replica))
        cluster.await_agreement()
        victim.start()
        replica.await_replicas(1)
        churn.await_more()
        hit.await_service()
    hit.nobody_is_logged_out()
    spared.nobody_notices()
    churn.nothing_is_undone()
    assert fleet.counted() >= len(on_it) + len(elsewhere)


def listeners(server: RedisServer) -> int:
    """How many gateways hear there of sessions that end."""
    return len(server.redis.client_list(_type="pubsub"))


def test_a_node_that_is_taken_out_of_the_cluster_is_left(new_redis, new_fleet):
    """Though its process goes on running: for requests, and for word of sessions that end elsewhere."""
    cluster = new_redis.cluster(replicas=0)
    fleet = new_fleet(cluster.url)
    app = WebSocketApp(fleet.app, "/ws")
    gone, *stay = cluster.nodes
    poll(lambda: [node.cut_connections("pubsub") for node in stay] and listeners(gone) == 2, "both listen there")
    on_it = {user: fleet.browser(user) for user in users_of(cluster, gone, 4)}
    cluster.remove(gone, heir=stay[0])
    removed = time.monotonic()
    for user, browser in on_it.items():
        for gateway in fleet.gateways:
            poll(lambda: browser.at(gateway).get("/account").status == 200, f"{user} is served\n{gateway.stderr()}")
    served = time.monotonic()
    print(f"all served {served - removed:.3f} s after the removal")
    assert served - removed < RECOVERY
    poll(lambda: listeners(gone) == 0 and sum(map(listeners, stay)) == 2, "both gateways listen elsewhere")
    print(f"both listened elsewhere {time.monotonic() - removed:.3f} s after the removal")
    for here, there in (fleet.gateways, reversed(fleet.gateways)):
        alice = fleet.browser_at(here, "alice")
        client = Client(there, "/ws", browser=alice)
        client.echoes(app.end())
        assert alice.logout().status == 200
        ended = time.monotonic()
        assert client.read_close().code == POLICY
        assert time.monotonic() - ended < SOON
