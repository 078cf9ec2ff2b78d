"""SPEC section 5: the ways to name a Redis, and what happens where the name or the credentials are wrong."""

import re

import pytest

from harness.browser import asked, set_cookies
from harness.check import GOOD, checked
from harness.deadlines import poll
from harness.fleet import shared_store
from harness.redis_server import session_prefix

EVERYTHING = "~* &* +@all"


def is_used(site) -> None:
    """The life of a session, over that store."""
    alice, phone = site.browser("alice"), site.browser("alice")
    assert [alice.user(), phone.user(), alice.user()] == ["alice"] * 3
    assert len(site.gateway.sessions(user="alice")) == 2 and site.gateway.users() == 1
    phone.logout()
    assert phone.user() is None and alice.user() == "alice"
    assert site.gateway.admin("GET", "/readyz").status == 200
    assert site.gateway.revoke("user=alice") == 1
    assert alice.user() is None


def is_refused(site, cookie: str | None = None) -> None:
    """Fails closed: 503 where a session is needed, and everything else goes on."""
    with site.client() as client:
        refusals = [client.get(asked("/login", {"X-Session-User": "alice"}))]
        if cookie:
            refusals += [client.get("/account", {"Cookie": f"__Host-session={cookie}"})]
        for refusal in refusals:
            assert refusal.status == 503 and int(refusal.one("Retry-After")) > 0, refusal
            assert set_cookies(refusal) == []
        assert client.get("/public/x").status == 200
    assert site.gateway.admin("GET", "/readyz").status == 503
    assert site.gateway.admin("GET", "/healthz").status == 200


# ---- the ways there --------------------------------------------------------------------------------------------------

def test_a_plain_server(new_redis, new_site):
    server = new_redis()
    is_used(new_site(session=shared_store(server.url)))


def test_a_database_by_number(new_redis, new_site):
    server = new_redis()
    site = new_site(session=shared_store(server.url_of(db=3)))
    alice = site.browser("alice")
    assert server.keys(session_prefix("alice"), db=3) and not server.keys()
    alice.logout()
    is_used(site)


@pytest.mark.parametrize("password", ["secret", "p@ss:w/o%rd #1?", "ключ"], ids=["plain", "reserved", "unicode"])
def test_a_password_of_the_default_user(new_redis, new_site, password):
    server = new_redis()
    server.redis.config_set("requirepass", password)
    site = new_site(session=shared_store(server.url_of(password=password)))
    is_used(site)
    assert password not in site.gateway.logged()


# As session/README.md tells operators.
ITS_RIGHTS = "~s:* ~x:* ~i:* ~d:* ~n:* &rotagate:* +@all -@dangerous +info +role +cluster|slots"


def test_an_acl_user_with_no_more_rights_than_needed(new_redis, new_site):
    server = new_redis(users={"gate@way": f"on >s3cret {ITS_RIGHTS}"})
    site = new_site(session=shared_store(server.url_of(user="gate@way", password="s3cret", db=1)))
    is_used(site)
    assert "s3cret" not in site.gateway.logged() and "NOPERM" not in site.gateway.logged()
    assert server.redis.acl_log() == []


def test_tls(new_redis, new_site, certificates):
    server = new_redis(certificate=certificates.example)
    is_used(new_site(session=shared_store(server.url, ca=str(certificates.example.cert))))


def test_tls_with_credentials_and_database(new_redis, new_site, certificates):
    server = new_redis(certificate=certificates.example, users={"gateway": f"on >secret {EVERYTHING}"})
    url = server.url_of(user="gateway", password="secret", db=2)
    is_used(new_site(session=shared_store(url, ca=str(certificates.bundle))))


def test_a_unix_socket(new_redis, new_site):
    server = new_redis(unix=True)
    is_used(new_site(session=shared_store(server.url)))


def test_a_unix_socket_with_credentials_and_database(new_redis, new_site):
    server = new_redis(unix=True, users={"gateway": f"on >secret {EVERYTHING}"})
    site = new_site(session=shared_store(server.url_of(user="gateway", password="secret", db=5)))
    site.browser("alice")
    assert server.keys(session_prefix("alice"), db=5)
    site.gateway.revoke("all=true")
    is_used(site)


def test_sentinels_with_a_password_of_the_servers(new_redis, new_site):
    sentinels = new_redis.sentinels(replicas=1, password="secret")
    is_used(new_site(session=shared_store(sentinels.url, replicas=1)))


def test_sentinels_of_which_the_first_are_gone(new_redis, new_site):
    sentinels = new_redis.sentinels(replicas=0)
    for sentinel in sentinels.sentinels[:2]:
        sentinel.kill()
    is_used(new_site(session=shared_store(sentinels.url)))


def test_a_cluster(new_redis, new_site):
    cluster = new_redis.cluster()
    site = new_site(session=shared_store(cluster.url, replicas=1))
    users = [f"user-{number}" for number in range(12)]
    browsers = {user: site.browser(user) for user in users}
    assert len({cluster.node_of(session_prefix(user)) for user in users}) == 3
    assert [browser.user() for browser in browsers.values()] == users
    assert site.gateway.users() == 12
    assert site.gateway.revoke("all=true") == 12
    assert {browser.user() for browser in browsers.values()} == {None}
    is_used(site)


# ---- credentials and certificates that are wrong ---------------------------------------------------------------------

def a_cookie(new_site, server) -> str:
    return new_site(session=shared_store(server.url)).browser("alice").cookie


def test_a_wrong_password_is_503_until_it_is_right(new_redis, new_site):
    server = new_redis(users={"gateway": f"on >right {EVERYTHING}"})
    cookie = a_cookie(new_site, server)
    site = new_site(session=shared_store(server.url_of(user="gateway", password="wr0ng")))
    is_refused(site, cookie)
    told = poll(lambda: [line for line in site.gateway.logged().splitlines() if "WRONGPASS" in line],
                "a line that says so")
    assert any(re.search(r"redis\.\w+ .*password", line) for line in told), told
    assert server.address in told[0] and "wr0ng" not in site.gateway.logged()

    server.redis.execute_command("ACL SETUSER", "gateway", ">wr0ng")
    alice = site.browser()
    alice.cookie = cookie
    poll(lambda: alice.get("/account").status == 200, "the recovery")
    assert alice.user() == "alice"
    assert site.gateway.admin("GET", "/readyz").status == 200


def test_a_user_without_the_rights_is_503(new_redis, new_site):
    server = new_redis(users={"gateway": "on >secret ~other:* &* +@all"})
    cookie = a_cookie(new_site, server)
    site = new_site(session=shared_store(server.url_of(user="gateway", password="secret")))
    with site.client() as client:
        refused = client.get("/account", {"Cookie": f"__Host-session={cookie}"})
    assert refused.status == 503 and refused.one("Retry-After") and set_cookies(refused) == []
    poll(lambda: "NOPERM" in site.gateway.logged(), "a line that says so")
    server.redis.execute_command("ACL SETUSER", "gateway", "~*")
    alice = site.browser()
    alice.cookie = cookie
    poll(lambda: alice.get("/account").status == 200, "the recovery")


@pytest.mark.parametrize("trusted", ["another", "only-the-system", "another-name"])
def test_tls_that_cannot_be_verified_is_refused(new_redis, new_site, certificates, trusted):
    shown = certificates.api if trusted == "another-name" else certificates.example  # api: not for 127.0.0.1
    server = new_redis(certificate=shown)
    ca = {"another": certificates.app.cert, "only-the-system": None, "another-name": certificates.api.cert}[trusted]
    site = new_site(session=shared_store(server.url, **({"ca": str(ca)} if ca else {})))
    is_refused(site)
    poll(lambda: re.search(r"redis\.\w+ .*(certificate|verif)", site.gateway.logged()), "a line that says so")


def test_tls_to_a_server_without_tls_is_refused(new_redis, new_site, certificates):
    server = new_redis()
    site = new_site(session=shared_store(server.url.replace("redis:", "rediss:"), ca=str(certificates.example.cert)))
    is_refused(site)


def test_what_is_no_redis_is_503(new_site):
    site = new_site(session=shared_store(f"redis://{new_site.app().address}"))
    is_refused(site)


def test_a_gateway_starts_before_its_redis(new_redis, new_site):
    server = new_redis()
    server.kill()
    site = new_site(session=shared_store(server.url))
    is_refused(site)
    server.start()
    poll(lambda: site.gateway.admin("GET", "/readyz").status == 200, "the recovery")
    is_used(site)


# ---- rotagate check --------------------------------------------------------------------------------------------------

def with_url(url: str) -> str:
    return GOOD + f'session:\n  store: "{url}"\n'


@pytest.mark.parametrize("url", [
    "redis://127.0.0.1:6379", "redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/15", "redis://redis.internal:6379",
    "redis://:secret@127.0.0.1:6379/2", "redis://user:se%40cret@127.0.0.1:6379", "redis://[::1]:6379/1",
    "rediss://redis.internal:6380/1", "redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock?db=3",
    "redis+unix://user:secret@/run/redis.sock", "redis+sentinel://h1:26379/mymaster",
    "redis+sentinel://:secret@h1:26379,h2:26379,h3:26379/mymaster/1", "rediss+sentinel://h1:26379/mymaster",
    "redis+cluster://h1:6379", "redis+cluster://user:secret@h1:6379,h2:6379", "rediss+cluster://h1:6379,h2:6379"])
def test_check_accepts_every_way(tmp_path, url):
    told = checked(tmp_path, with_url(url))
    assert told.status == 0, told.said


@pytest.mark.parametrize("url", [
    "redis:", "redis://", "redis:///0", "redis://127.0.0.1:0", "redis://127.0.0.1:99999", "redis://127.0.0.1:six",
    "redis://127.0.0.1:6379/x", "redis://127.0.0.1:6379/-1", "redis://127.0.0.1:6379/1/2", "redis://h1:6379,h2:6379",
    "redis://user@127.0.0.1:6379", "redis://u:%zz@127.0.0.1:6379", "redis://u:%4@127.0.0.1:6379",
    "redis+unix://", "redis+unix://run/redis.sock", "redis+unix:///run/redis.sock?db=x",
    "redis+unix:///run/redis.sock?nonsense=1", "redis+sentinel://h1:26379", "redis+sentinel://h1:26379/",
    "redis+sentinel:///mymaster", "redis+sentinel://h1/mymaster", "redis+sentinel://h1:26379/mymaster/x",
    "redis+cluster://", "redis+cluster://h1:6379/1", "redis+cluster://h1:6379,,h2:6379", "redis+cluster://h1:6379,",
    "redis+nonsense://h1:6379", "rediss+unix:///run/redis.sock", "REDIS", "http://127.0.0.1:6379"])
def test_check_names_the_place_of_a_bad_url(tmp_path, url):
    told = checked(tmp_path, with_url(url))
    assert told.complains("9:10: ", "session.store"), told.said


@pytest.mark.parametrize("url", ["redis://:t0psecret@127.0.0.1:six", "redis://me:t0psecret@127.0.0.1:6379/x",
                                 "redis+sentinel://me:t0psecret@h1:26379", "redis://:t0p/secret@h:1:2",
                                 "redis//:t0psecret@h:1", "reddis://:t0psecret@h:1"])
def test_check_tells_no_password(tmp_path, url):
    told = checked(tmp_path, with_url(url))
    assert told.complains("9:10: "), told.said
    assert "t0p" not in told.said


@pytest.mark.parametrize("text, where, what", [
    ("redis: { replicas: -1 }", "10:22:", "-1"), ("redis: { replicas: many }", "10:22:", "many"),
    ("redis: { replicas: 1.5 }", "10:22:", "1.5"), ("redis: { nonsense: 1 }", "10:12:", "nonsense"),
    ("redis: { ca: none.crt }", "10:16:", "none.crt"), ("redis: 1", "10:10:", "redis"),
    ("redis: { replicas: 1, replicas: 2 }", "10:25:", "replicas"), ("redis: { ca: junk.crt }", "10:16:", "junk.crt")])
def test_check_names_the_place_of_a_bad_setting(tmp_path, text, where, what):
    (tmp_path / "junk.crt").write_text("this is no certificate\n")
    told = checked(tmp_path, with_url("rediss://127.0.0.1:6379") + f"  {text}\n")
    assert told.complains(where, what), told.said


def test_check_refuses_settings_of_redis_without_redis(tmp_path):
    told = checked(tmp_path, with_url("memory") + "  redis: { replicas: 1 }\n")
    assert told.complains("10:", "redis"), told.said
