"""SPEC section 7: what is in Redis, as redis-cli shows it, and what Redis is asked for."""

from urllib.parse import quote

import pytest

from harness.browser import app_saw, session_cookie
from harness.deadlines import SCALE, wait_for_protocol_time
from harness.gateway import COOKIE
from harness.redis_monitor import RedisMonitor
from harness.redis_server import session_prefix


# ---- users that must not touch each other ----------------------------------------------------------------------------

IDS = ["bob", "bob.smith", "bob.", ".bob", "bob/", "/bob", "a/b", "a", "b", "{x}", "x", "}", "{", "{}", "*", "?",
       "[a-z]", "\\", "%", "%2F", "a%2Fb", "bob\u00e9", "bobe\u0301", "\u540d\u524d", "\U0001f600", "a b", "a:b", "'\"",
       "bob}.x", "s:{bob}.x",
       "b" * 256, "b" * 255, "\u00e9" * 128, "0", "-", "+", "@", "~", "bob@example.org"]
TRICKY = ["bob", "bob.smith", "{x}", "*", "a/b", "\u540d\u524d", "\u00e9" * 128]


def percent(text: str) -> str:
    """As the app sees it in X-User-Id."""
    return quote(text, safe="".join(chr(c) for c in range(0x20, 0x7F) if chr(c) != "%"))


@pytest.fixture(scope="module")
def crowd(module_fleet, module_redis):
    """Everybody of IDS is signed in, without an organization and in "a"."""
    server = module_redis()
    fleet = module_fleet(server.url)
    pairs = [(user, org) for user in IDS for org in (None, "a")]
    return server, fleet, {pair: fleet.browser(pair[0], org=pair[1]) for pair in pairs}


def test_everybody_is_oneself(crowd):
    _, fleet, browsers = crowd
    for (user, org), browser in browsers.items():
        seen = app_saw(browser.get("/account"))
        assert (seen.one("X-User-Id"), seen.one("X-User-Org")) == (percent(user), org)
    assert fleet.counted() == 2 * len(IDS) and fleet.counted("a") == len(IDS)


def test_everybody_is_listed_as_oneself(crowd):
    """With an organization, the pair; without one, that id in all of them."""
    _, fleet, _ = crowd
    for user in IDS:
        listed = fleet.listed(user, "a")
        assert [(one["user"], one["org"]) for one in listed] == [(user, "a")]
    for user in TRICKY:
        listed = fleet.a.sessions(user=quote(user, safe=""))
        assert sorted((one["user"], one["org"]) for one in listed) == [(user, ""), (user, "a")]


def test_everybody_has_a_key_of_ones_own(crowd):
    server, _, browsers = crowd
    keys = server.keys("s:")
    assert len(keys) == len(browsers)
    for user, org in browsers:
        own = [key for key in keys if key.startswith(session_prefix(user, org))]
        assert len(own) == 1 and server.redis.type(own[0]) == "hash", (user, org)
        assert "{" not in own[0][3:] and own[0].count("}") == 1


@pytest.mark.parametrize("user", TRICKY, ids=lambda user: ascii(user)[:20])
def test_who_is_ended_takes_nobody_along(crowd, user):
    """Ended in one organization, then everywhere; then as before."""
    _, fleet, browsers = crowd
    assert fleet.a.revoke(f"user={quote(user, safe='')}&org=a") == 1
    assert fleet.a.users() == len(browsers) - 1
    assert fleet.b.revoke(f"user={quote(user, safe='')}") == 1
    assert fleet.b.users() == len(browsers) - 2
    assert [browsers[user, org].user() for org in (None, "a")] == [None, None]
    others = [browser.user() for (other, _), browser in browsers.items() if other != user]
    assert None not in others
    for org in (None, "a"):
        browsers[user, org].login(user, org=org)


# ---- what redis-cli shows --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("user, org", [
    ("anna", None), ("anna", "acme"), ("a/b {x}*", "\u00fc & co"), ("\u540d\u524d", None)])
def test_a_session_is_a_hash_that_lives_as_long_as_the_cookie(fleet, server, user, org):
    """SPEC section 7, S1, S3"""
    browser = fleet.browser(user, org=org)
    response = browser.get("/account")
    keys = server.keys(session_prefix(user, org))
    assert len(keys) == 1 and server.redis.type(keys[0]) == "hash"
    age = int(session_cookie(response).attributes["max-age"])
    assert abs(server.redis.pttl(keys[0]) / 1000 - age) <= 2 + SCALE - 1
    browser.logout()
    assert server.keys(session_prefix(user, org)) == [] and not server.redis.exists(keys[0])


@pytest.mark.parametrize("permanent, lifetime", [(False, 4), (True, 60)])
def test_the_keys_life_follows_the_cookies(new_redis, new_fleet, permanent, lifetime):
    """S3, S11"""
    server = new_redis()
    fleet = new_fleet(server.url, session={"idle_timeout": "4s", "permanent_timeout": "1m"})
    alice = fleet.browser("alice", permanent=permanent)
    key, = server.keys(session_prefix("alice"))
    for _ in range(8):
        age = int(session_cookie(alice.get("/account")).attributes["max-age"])
        left = server.redis.pttl(key) / 1000
        assert lifetime - 3 <= age <= lifetime + 1 and abs(left - age) <= 2, (left, age)
        wait_for_protocol_time(0.15)


def test_a_key_that_an_operator_deletes_is_a_session_that_has_ended(fleet, server):
    """S7, with nothing but redis-cli."""
    alice = fleet.browser("alice-of-the-cli")
    server.redis.delete(*server.keys(session_prefix("alice-of-the-cli")))
    assert alice.user() is None
    assert fleet.listed("alice-of-the-cli") == []


def test_visitors_without_a_session_leave_nothing_in_the_store(new_redis, new_fleet):
    """S14, R4: neither strangers nor forgers are worth a word to the store."""
    server = new_redis()
    fleet = new_fleet(server.url)
    alice = fleet.browser("alice")
    forged = alice.cookie[:-4] + ("AAAA" if not alice.cookie.endswith("AAAA") else "BBBB")
    before, calls = server.keys(), [gateway.store_calls() for gateway in fleet.gateways]
    with RedisMonitor(server) as monitor:
        for gateway in fleet.gateways:
            with gateway.client() as client:
                for target in ("/account", "/optional/x", "/public/x", "/login", "/page/x", "/control/x"):
                    for cookie in (None, forged, "00000000.junk", "{alice}.x", alice.cookie.partition(".")[0] + "."):
                        client.get(target, {"Cookie": f"{COOKIE}={cookie}"} if cookie else None)
                client.get("/public/x", {"Cookie": f"{COOKIE}={alice.cookie}"})
        assert monitor.commands("{alice}") == [] and monitor.commands("s:") == []
        assert alice.user() == "alice" and monitor.commands("s:{alice}."), "the monitor hears of a real one"
    assert server.keys() == before
    assert sum(gateway.store_calls() for gateway in fleet.gateways) == sum(calls) + 1


def test_nothing_scans_the_key_space(new_redis, new_fleet):
    server = new_redis()
    fleet = new_fleet(server.url, session={"max_sessions_per_user": 3})
    server.redis.config_resetstat()
    for number in range(8):
        fleet.browser(f"user-{number % 2}", org="acme" if number % 3 else None).user()
    fleet.counted()
    fleet.counted("acme")
    fleet.listed("user-0")
    fleet.a.sessions(org="acme")
    fleet.a.revoke("user=user-0")
    fleet.b.revoke("all=true")
    used = set(server.redis.info("commandstats"))
    assert not used & {f"cmdstat_{name}" for name in ("scan", "keys", "hscan", "zscan", "sscan", "flushdb", "flushall")}
    assert not [key for key in server.keys() if key.startswith("s:")]


def test_a_request_is_one_call_of_a_script(new_redis, new_fleet):
    server = new_redis()
    fleet = new_fleet(server.url)
    alice = fleet.browser("alice")
    with RedisMonitor(server) as monitor:
        for _ in range(20):
            assert alice.user() == "alice"
        asked_for = [line for line in monitor.commands("{alice}") if line.upper().startswith(("EVAL", "FCALL"))]
        assert len(asked_for) == 20
