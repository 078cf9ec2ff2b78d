"""Sessions on disk: what a restart and a crash keep, and what they must not bring back."""

import pytest

from harness.browser import Browser, app_saw, asked
from harness.deadlines import poll, wait_for_protocol_time
from harness.full_disk import FullDisk
from harness.gateway import rotagate

CRASH_WINDOW = 0.1  # seconds: logins that a crash may lose


@pytest.fixture
def store(tmp_path):
    return tmp_path / "sessions"


@pytest.fixture
def site(new_site, store):
    return new_site(session={"store": f"lmdb:{store}"})


def back(site, browser: Browser):
    """The answer to the same browser at the gateway that runs now."""
    browser = Browser(site.gateway, browser.host, browser.cookie)
    return browser.get("/x")


def test_a_restart_keeps_everybody_signed_in(site):
    alice, bob = site.browser("alice", org="acme"), site.browser("bob")
    stale = alice.copy()
    alice.get("/x")
    before = site.gateway.sessions(user="alice")
    site.restart()
    assert site.gateway.sessions(user="alice") == before
    assert app_saw(back(site, alice)).one("X-User-Org") == "acme"
    assert app_saw(back(site, bob)).one("X-User-Id") == "bob"
    assert back(site, stale).status == 200, "within the grace an earlier cookie counts"
    site.canary()


def test_a_relative_folder_is_beside_the_configuration(new_site):
    site = new_site(session={"store": "lmdb:state/sessions"})
    site.browser("alice")
    assert (site.gateway.folder / "state" / "sessions" / "data.mdb").exists()


def test_a_crash_keeps_who_signed_in_more_than_a_moment_before(site):
    alice = site.browser("alice")
    wait_for_protocol_time(2 * CRASH_WINDOW)
    site.restart(crash=True)
    assert app_saw(back(site, alice)).one("X-User-Id") == "alice"


@pytest.mark.parametrize("end", ["logout", "revoke user", "revoke all"])
def test_a_crash_brings_nobody_back(site, end):
    alice, bob = site.browser("alice"), site.browser("bob")
    wait_for_protocol_time(2 * CRASH_WINDOW)
    earlier = alice.copy()
    if end == "logout":
        alice.logout()
    else:
        site.gateway.revoke("user=alice" if end == "revoke user" else "all=true")
    site.restart(crash=True)
    assert back(site, earlier).status == 401
    assert back(site, bob).status == (401 if end == "revoke all" else 200)


def test_crash_after_crash_with_logins_and_logouts_in_between(site):
    there, gone = [], []
    for round in range(5):
        there += [site.browser(f"user{round}-{i}") for i in range(4)]
        wait_for_protocol_time(2 * CRASH_WINDOW)
        for browser in (there.pop(), there.pop()):
            gone.append(browser.copy())
            browser.logout()
        site.restart(crash=True)
        there, gone = ([Browser(site.gateway, one.host, one.cookie) for one in browsers] for browsers in (there, gone))
        assert [one.get("/x").status for one in there] == [200] * len(there)
        assert [one.copy().get("/x").status for one in gone] == [401] * len(gone)


def test_a_second_gateway_is_refused(site):
    told = rotagate("run", "--config", site.gateway.folder / "rotagate.yaml")
    assert told.returncode == 1
    assert f"another gateway uses it (process {site.gateway.process.pid})" in told.stderr


def test_a_folder_that_cannot_be_is_told(site, store):
    text = (site.gateway.folder / "rotagate.yaml").read_text()
    broken = site.gateway.folder / "broken.yaml"
    broken.write_text(text.replace(str(store), "/dev/null/sessions"))
    told = rotagate("run", "--config", broken)
    assert told.returncode == 1 and "the folder cannot be created" in told.stderr, told.stderr


def test_a_full_disk_fails_closed_and_recovers(new_site, store, tmp_path):
    disk = FullDisk(tmp_path)
    site = new_site(environment=disk.environment, session={"store": f"lmdb:{store}"})
    alice = site.browser("alice")
    assert site.gateway.admin("GET", "/readyz").status == 200
    disk.fill()
    poll(lambda: _login_status(site) == 503, "a login is refused")
    ready = site.gateway.admin("GET", "/readyz")
    assert ready.status == 503 and "store" in ready.body.decode()
    assert "lmdb.write_failed" in site.gateway.stderr()
    assert "No space left on device" in site.gateway.stderr()
    assert alice.get("/x").status == 200
    disk.clear()
    poll(lambda: site.gateway.admin("GET", "/readyz").status == 200, "the store recovers")
    bob = site.browser("bob")
    site.restart()
    assert back(site, alice).status == 200
    assert back(site, bob).status == 200


def _login_status(site) -> int:
    return site.browser().get(asked("/login", {"X-Session-User": "carol"})).status
