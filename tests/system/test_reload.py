"""SIGHUP: another configuration comes into force as a whole, or not at all, and nobody notices but by what it says."""

import datetime
import json
import os
import pathlib
import signal
import socket
import ssl
import threading

import pytest

from harness import http1
from harness.browser import app_saw
from harness.certificates import make_certificate
from harness.client import RawClient, connect
from harness.deadlines import PATIENCE, SCALE, poll
from harness.gateway import ROUTES, free_port, merged, rotagate, route
from harness.http2 import Http2Client
from harness.load import Load
from harness.upstream import HeldAnswer

OTHER = [route("/new/", "public"), *ROUTES]


def listed(address: str, site) -> dict:
    """A listener with the site's certificates."""
    return {"address": address, "tls": site.gateway.config["listen"][0]["tls"]}


class Clients:
    """`with clients:` calls work() again and again in some threads; nothing may go wrong."""

    def __init__(self, work, threads: int = 4):
        self.count, self._trouble = 0, []
        self._work, self._stop = work, threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def _run(self) -> None:
        while not self._stop.is_set() and len(self._trouble) < 5:
            try:
                self._work()
                self.count += 1
            except Exception as error:  # noqa: BLE001 - for the test to judge
                self._trouble.append(repr(error))

    def await_more(self, count: int = 20) -> None:
        wanted = self.count + count
        poll(lambda: self.count >= wanted or self._trouble, f"{count} more")
        assert not self._trouble, self._trouble

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        self.await_more()
        return self

    def __exit__(self, failure, *_) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE)
        if failure is None:
            assert not self._trouble, self._trouble


def asks_once(site) -> None:
    """Over a connection of its own."""
    with site.client() as client:
        assert client.get("/public/x").status == 200


def no_handshake_failed(site) -> None:
    """But that of the harness, which has looked whether the gateway listens."""
    assert site.gateway.metrics()["rotagate_tls_handshakes_failed_total"] == 1


# ---- what comes into force, and when ----------------------------------------------------------------------------------

def test_the_next_request_has_the_new_configuration(new_site):
    site = new_site()
    alice = site.browser("alice")
    with site.client() as client, site.http2() as http2:
        assert client.get("/new/x").status == http2.get("/new/x").status == 401
        said = site.gateway.reload(routes=OTHER)
        assert "reload.done number=1" in said and "routes=10" in said
        assert client.get("/new/x").status == http2.get("/new/x").status == 200
        assert alice.user() == "alice"
    with site.client() as client:
        assert client.get("/new/x").status == 200


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_a_request_under_way_ends_as_it_began(new_site, protocol):
    """Its route and its upstream are gone meanwhile."""
    marked = route("/public/", "public", headers={"response": {"set": {"X-Route": "old"}}})
    site = new_site(routes=[marked, *ROUTES[1:]])
    held = HeldAnswer(site.app, "/public/slow")
    other = new_site.app()
    with (site.client() if protocol == "http1" else site.http2()) as client:
        if protocol == "http1":
            client.send(http1.request_bytes("GET", "/public/slow"))
        else:
            stream = client.open("GET", "/public/slow")
        held.await_arrival()
        site.gateway.reload(upstreams={"app": {"servers": [other.address]}}, routes=ROUTES)
        held.release()
        response = client.read_response() if protocol == "http1" else client.read_response(stream)
        assert (response.status, response.body, response.one("X-Route")) == (200, b"late", "old")
        response = client.get("/public/next")
        assert (response.status, response.one("X-Route")) == (200, None)
        assert [request.path for request in other.requests()] == ["/public/next"]


def test_upstreams_that_do_not_change_keep_their_connections(new_site):
    site = new_site()
    with site.client() as client:
        first = app_saw(client.get("/public/x")).connection
        site.gateway.reload(routes=OTHER, limits={"header_bytes": "16KiB"})
        assert app_saw(client.get("/public/x")).connection == first
        site.gateway.reload(upstreams={"app": {"connect_timeout": "3s"}})
        assert app_saw(client.get("/public/x")).connection != first
        poll(lambda: site.app.open_connections() == 1, "the old pool is gone")


def test_a_server_that_is_down_stays_so(new_site):
    dead = f"127.0.0.1:{free_port()}"
    site = new_site()
    site.gateway.reload(upstreams={"app": {"servers": [dead, site.app.address],
                                           "health": {"path": "/public/healthz", "interval": "100ms", "fall": 1}}})
    down = f'upstream.down upstream=app server={dead} error="cannot connect: Connection refused"'
    poll(lambda: down in site.gateway.stderr(), down)
    before = site.gateway.metrics()["rotagate_upstream_connect_failures_total"]
    site.gateway.reload(upstreams={"app": {"response_timeout": "30s"}})
    with site.client() as client:
        for _ in range(6):
            assert client.get("/public/x").status == 200
    assert site.gateway.metrics()["rotagate_upstream_connect_failures_total"] == before
    assert site.gateway.admin("GET", "/readyz").status == 200


def test_health_checks_follow_the_configuration(new_site):
    site = new_site()
    dead = f"127.0.0.1:{free_port()}"
    site.gateway.reload(upstreams={"app": {"servers": [dead]}})
    poll(lambda: site.gateway.admin("GET", "/readyz").status == 503, "the new upstream is checked")
    site.gateway.reload(upstreams={"app": {"servers": [site.app.address], "health": {"path": "/public/alive",
                                                                                  "interval": "100ms"}}})
    poll(lambda: site.gateway.admin("GET", "/readyz").status == 200, "and the next one")
    poll(lambda: site.app.requests("/public/alive"), "the app is asked")
    site.gateway.reload(upstreams={"app": {"health": {"path": "/public/other", "interval": "100ms"}}})
    poll(lambda: len(site.app.requests("/public/other")) > 2, "the app is asked otherwise")
    asked = len(site.app.requests("/public/alive"))
    poll(lambda: len(site.app.requests("/public/other")) > 6, "the app is asked otherwise")
    assert len(site.app.requests("/public/alive")) == asked, "both at a time"


def test_who_is_trusted_is_decided_for_each_request(new_site):
    site = new_site()
    told = {"X-Forwarded-For": "203.0.113.9"}
    with site.client() as client, site.http2() as http2:
        for trusted, seen in (([], "127.0.0.1"), (["127.0.0.0/8"], "203.0.113.9, 127.0.0.1"), ([], "127.0.0.1")):
            site.gateway.reload(trusted_proxies=trusted)
            for who in (client, http2):
                assert app_saw(who.get("/public/x", told)).one("X-Forwarded-For") == seen


def test_sessions_take_over_their_new_rules(new_site):
    site = new_site()
    alice = site.browser("alice")

    def lifetime() -> float:
        assert alice.user() == "alice"
        session, = site.gateway.sessions(user="alice")
        expires, seen = (datetime.datetime.fromisoformat(session[name].replace("Z", "+00:00"))
                         for name in ("expires", "last_seen"))
        return (expires - seen).total_seconds()

    assert abs(lifetime() - 3600) < 5
    site.gateway.reload(session={"idle_timeout": "30m", "max_sessions_per_user": 1})
    assert abs(lifetime() - 1800) < 5
    another = site.browser("alice")
    assert alice.user() is None and another.user() == "alice"


def test_limits_and_the_log_level_change(new_site):
    site = new_site()
    with site.client() as client:
        assert client.request("POST", "/public/x", body=b"x" * 2000).status == 200
        site.gateway.reload(limits={"body_bytes": 1000})
        assert client.request("POST", "/public/x", body=b"x" * 2000).status == 413
    site.gateway.config = merged(site.gateway.config, {"log": {"level": "error"}})
    site.gateway._write_config()
    site.gateway.process.send_signal(signal.SIGHUP)
    poll(lambda: site.gateway.metrics()['rotagate_config_reloads_total{result="done"}'] == 2, "a reload")
    assert site.gateway.stderr().count("reload.done") == 1, "of level info"


def test_the_random_key_is_kept(new_site):
    site = new_site(session={"cookie": {"key_files": []}})
    alice = site.browser("alice")
    site.gateway.reload(routes=OTHER)
    assert alice.user() == "alice"


def test_logs_go_to_new_files(new_site):
    """As logrotate wants it: move the file away, SIGHUP, and nothing more is written to the old one."""
    site = new_site()
    folder = site.gateway.folder
    with site.client() as client:
        old = client.get("/public/old").status
        poll(lambda: any(line["path"] == "/public/old" for line in site.gateway.access_log()), "a line")
        for name in ("access.log", "security.log"):
            if (folder / name).exists():
                (folder / name).rename(folder / f"{name}.1")
        site.gateway.reload()
        assert client.get("/public/new").status == old == 200
        poll(lambda: [line["path"] for line in site.gateway.access_log()] == ["/public/new"], "a line in the new file")
    site.browser("alice")
    assert site.gateway.security_log("login", "alice")
    assert "/public/new" not in (folder / "access.log.1").read_text()
    descriptors = [os.readlink(entry) for entry in pathlib.Path(f"/proc/{site.gateway.process.pid}/fd").iterdir()]
    assert not [name for name in descriptors if name.endswith(".log.1")], "the old files are closed"


def test_logs_that_are_not_moved_go_on(new_site):
    site = new_site(threads=2)
    with Clients(lambda: asks_once(site)):
        for _ in range(5):
            site.gateway.reload()
    lines = poll(lambda: site.gateway.access_log(), "lines")
    assert len(lines) > 20  # each of which is whole, or json would not read it


# ---- what cannot come into force --------------------------------------------------------------------------------------

def test_a_bad_configuration_changes_nothing(new_site):
    site = new_site()
    alice = site.browser("alice")
    before = site.gateway.metrics()
    mistakes = site.gateway.refuses_to_reload(routes=OTHER, limits={"header_timeout": "soon"}, nonsense=1)
    assert len(mistakes) == 2, mistakes
    assert all(line.partition(":")[0].isdigit() and line.split(":")[1].isdigit() for line in mistakes), mistakes
    assert "limits.header_timeout: 'soon' is not a duration" in mistakes[0]
    assert "nonsense: is not a known key" in mistakes[1]
    assert alice.user() == "alice" and alice.get("/new/x").status == 200
    with site.client() as client:
        assert client.get("/new/x").status == 401
    after = site.gateway.metrics()
    assert after['rotagate_config_reloads_total{result="failed"}'] == 1
    assert after['rotagate_config_reloads_total{result="done"}'] == 0
    loaded = "rotagate_config_loaded_timestamp_seconds"
    assert after[loaded] == before[loaded] > 1_700_000_000
    site.gateway.reload(routes=OTHER)
    assert site.gateway.metrics()[loaded] > before[loaded]
    assert site.gateway.metrics()['rotagate_config_reloads_total{result="done"}'] == 1


def test_a_file_that_is_no_yaml_or_gone_changes_nothing(new_site):
    site = new_site()
    file = site.gateway.folder / "rotagate.yaml"
    for spoil in (lambda: file.write_text("listen: [\n"), file.unlink):
        spoil()
        said = site.gateway.hang_up()
        assert "reload.failed" in said and f'reload.error message="{file}:' in said
    site.gateway.reload(routes=OTHER)


def test_what_a_restart_must_take_over_is_named(new_site, tmp_path):
    site = new_site()
    mistakes = site.gateway.refuses_to_reload(threads=2, session={"store": f"lmdb:{tmp_path}/sessions"}, routes=OTHER)
    assert len(mistakes) == 2, mistakes
    assert "threads: cannot change while the gateway runs; restart it" in mistakes[0]
    assert "session.store: cannot change while the gateway runs; restart it" in mistakes[1]
    with site.client() as client:
        assert client.get("/new/x").status == 401
    assert not (tmp_path / "sessions").exists()


def test_redis_keeps_the_rules_that_its_scripts_have(new_fleet, new_redis):
    fleet = new_fleet(new_redis().url)
    alice = fleet.browser("alice")
    mistakes = fleet.a.refuses_to_reload(session={"idle_timeout": "20m", "rotation": {"grace": "3s"}})
    assert ["session.idle_timeout" in line or "session.rotation.grace" in line for line in mistakes] == [True, True]
    fleet.a.reload(routes=OTHER, session={"cookie": {"same_site": "strict"}})
    assert alice.at(fleet.a).user() == "alice"


def test_an_address_that_is_taken_changes_nothing(new_site):
    site = new_site()
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = "127.0.0.1:%d" % other.getsockname()[1]
        first = site.gateway.config["listen"][0]
        mistakes = site.gateway.refuses_to_reload(listen=[first, {"address": address}], routes=OTHER)
        assert len(mistakes) == 1 and f"cannot listen on {address}" in mistakes[0], mistakes
        mistakes = site.gateway.refuses_to_reload(admin={"address": address}, routes=OTHER)
        assert len(mistakes) == 1 and "admin.address: cannot listen on" in mistakes[0], mistakes
    with site.client() as client:
        assert client.get("/new/x").status == 401


def test_a_second_gateway_does_not_share_the_addresses_of_the_first(new_site):
    """The system would give it every other connection, and with sessions in memory log users out."""
    site = new_site()
    alice = site.browser("alice")
    folder = site.gateway.folder
    address = "%s:%d" % site.gateway.address
    second = rotagate("run", "--config", folder / "rotagate.yaml", cwd=folder)
    assert second.returncode == 1 and f"cannot listen on {address}: " in second.stderr, second.stderr
    assert "stop what listens there" in second.stderr.splitlines()[-1]
    assert [alice.user() for _ in range(8)] == ["alice"] * 8


def test_an_admin_address_that_is_taken_ends_the_start_with_a_cure(new_site, tmp_path):
    site = new_site()
    config = site.gateway.config | {"listen": [{"address": f"127.0.0.1:{free_port()}"}]}
    (site.gateway.folder / "second.yaml").write_text(json.dumps(config))
    second = rotagate("run", "--config", site.gateway.folder / "second.yaml", cwd=site.gateway.folder)
    last = second.stderr.splitlines()[-1]
    assert second.returncode == 1 and "listening address" not in second.stderr
    assert last.startswith(f"rotagate: admin: cannot listen on {config['admin']['address']}: "), last


def test_many_signals_at_once_end_well(new_site):
    site = new_site(threads=2)
    for number in range(50):
        site.gateway.config = merged(site.gateway.config, {"routes": [route(f"/number-{number}/", "public"), *ROUTES]})
        site.gateway._write_config()
        site.gateway.process.send_signal(signal.SIGHUP)
    with site.client() as client:
        poll(lambda: client.get("/number-49/").status == 200, "the last one")


# ---- listeners --------------------------------------------------------------------------------------------------------

def test_addresses_come_and_go(new_site):
    site = new_site(threads=2)
    first = site.gateway.config["listen"][0]
    held = HeldAnswer(site.app, "/public/slow")
    kept = site.client()
    assert kept.get("/public/x").status == 200
    site.gateway.reload(listen=[first, listed("127.0.0.1:0", site)])
    second = site.gateway.endpoint(1)
    idle, working, over_http2 = (RawClient(second, trust=site.gateway.trust), RawClient(second, trust=site.gateway.trust),
                                 Http2Client(second, trust=site.gateway.trust))
    assert idle.get("/public/x").status == over_http2.get("/public/x").status == 200
    working.send(http1.request_bytes("GET", "/public/slow"))
    stream = over_http2.open("GET", "/public/slow")
    held.await_arrival()
    held.await_arrival()
    said = site.gateway.reload(listen=[first])
    assert "listening.ended address=127.0.0.1:%d" % second[1] in said
    with pytest.raises(ConnectionRefusedError):
        connect(second)
    assert idle.read_until_close() == b"", "it had no request"
    held.release()
    response = working.read_response()
    assert response.status == 200 and response.closes
    assert over_http2.read_response(stream).status == 200
    over_http2.pump_until(lambda: over_http2.wire.ended)
    assert kept.get("/public/x").status == 200
    for client in (idle, working, over_http2, kept):
        client.close()


def test_an_address_that_stays_refuses_nobody(new_site):
    site = new_site(threads=2)
    first = site.gateway.config["listen"][0]
    with Clients(lambda: asks_once(site)) as clients:
        for number in range(8):
            site.gateway.reload(listen=[first, listed("127.0.0.1:0", site)] if number % 2 == 0 else [first])
            clients.await_more(10)
    no_handshake_failed(site)


def test_a_listener_changes_what_it_does(new_site):
    site = new_site()
    address = site.gateway.config["listen"][0]["address"]
    with site.client() as tls:
        assert tls.get("/public/x").status == 200
        site.gateway.reload(listen=[{"address": address, "redirect_to_https": True}])
        with site.client(trust=None) as plain:
            assert plain.get("/public/x").status == 308
            assert tls.get("/public/x").status == 308, "it is the listener's rule now"
            site.gateway.reload(listen=[{"address": address}])
            assert plain.get("/public/x").status == tls.get("/public/x").status == 200


def test_the_admin_address_moves_and_its_token_changes(new_site, tmp_path):
    site = new_site()
    token = tmp_path / "token"
    token.write_text("first\n")
    token.chmod(0o600)
    old = site.gateway.admin_endpoint()
    site.gateway.reload(admin={"address": "127.0.0.1:0", "token_file": str(token)})
    with pytest.raises(ConnectionRefusedError):
        connect(old)

    def status(value: str) -> int:
        return site.gateway.admin("GET", "/v1/users/count", {"Authorization": f"Bearer {value}"}).status

    assert (status("first"), status("second")) == (200, 401)
    token.write_text("second\n")
    site.gateway.reload()
    assert (status("first"), status("second")) == (401, 200)
    token.write_text("\n")
    assert any("admin.token_file" in line for line in site.gateway.refuses_to_reload())
    assert status("second") == 200


# ---- certificates and keys under load (SECURITY.md T4) ------------------------------------------------------------------

@pytest.fixture
def swapped(tmp_path):
    """A certificate's files, and two others to put there; a bundle of both."""
    class Swapped:
        def __init__(self):
            self.made = [make_certificate(tmp_path, f"cert-{n}", ["DNS:example.test"]) for n in (0, 1)]
            self.cert, self.key, self.bundle = tmp_path / "site.crt", tmp_path / "site.key", tmp_path / "bundle.crt"
            self.bundle.write_bytes(b"".join(made.cert.read_bytes() for made in self.made))
            self.put(0)

        def put(self, number: int) -> None:
            self.cert.write_bytes(self.made[number].cert.read_bytes())
            self.key.write_bytes(self.made[number].key.read_bytes())
            self.key.chmod(0o600)

    return Swapped()


def common_name(sock: ssl.SSLSocket) -> str:
    return dict(pair for names in sock.getpeercert()["subject"] for pair in names)["commonName"]


def test_t4_certificates_change_under_load(new_site, swapped):
    site = new_site(threads=2, listen=[{"address": "127.0.0.1:0", "tls": {
        "certificates": [{"cert": str(swapped.cert), "key": str(swapped.key)}]}}])
    seen = set()

    def shake_hands() -> None:
        with site.client(trust=swapped.bundle) as client:
            seen.add(common_name(client.sock))
            assert client.get("/public/x").status == 200

    with site.client(trust=swapped.bundle) as kept, Clients(shake_hands) as clients:
        assert common_name(kept.sock) == "cert-0" and kept.get("/public/x").status == 200
        for number in (1, 0, 1, 0, 1):
            swapped.put(number)
            site.gateway.reload()
            seen.clear()
            clients.await_more()
            assert f"cert-{number}" in seen
            assert kept.get("/public/x").status == 200, "a connection keeps what it agreed on"
        swapped.cert.write_text("no certificate\n")
        mistakes = site.gateway.refuses_to_reload()
        assert any("listen[0].tls.certificates[0].cert" in line for line in mistakes), mistakes
        swapped.cert.write_bytes(swapped.made[0].cert.read_bytes())
        assert any("key" in line for line in site.gateway.refuses_to_reload()), "of another certificate"
        seen.clear()
        clients.await_more()
        assert seen == {"cert-1"}
    no_handshake_failed(site)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls1.2", "tls1.3"])
def test_sessions_of_tls_are_resumed_after_a_reload(new_site, version):
    site = new_site(threads=2)
    context = ssl.create_default_context(cafile=str(site.gateway.trust))
    context.minimum_version = context.maximum_version = version

    def session_of(known: ssl.SSLSession | None) -> tuple[ssl.SSLSession, bool]:
        with context.wrap_socket(connect(site.gateway.address), server_hostname="example.test", session=known) as sock:
            sock.sendall(http1.request_bytes("GET", "/public/x"))
            assert http1.read_response(http1.Reader(sock)).status == 200
            return sock.session, sock.session_reused

    session, _ = session_of(None)
    site.gateway.reload(routes=OTHER)
    assert session_of(session)[1], "the ticket is good for nothing"


def test_keys_of_the_cookie_change_under_load(new_site, tmp_path):
    keys = [str(tmp_path / f"{number}.key") for number in range(5)]
    for key in keys:
        assert rotagate("keygen", "--out", key).returncode == 0
    site = new_site(threads=2, session={"cookie": {"key_files": keys[:1]}})
    users = {f"user-{number}": site.browser(f"user-{number}") for number in range(6)}
    load = Load(users)
    with load:
        ids = {browser.cookie.partition(".")[0] for browser in users.values()}
        assert len(ids) == 1
        for number in range(1, 5):
            site.gateway.reload(session={"cookie": {"key_files": [keys[number], keys[number - 1]]}})
            load.await_more(3)
            now = {browser.cookie.partition(".")[0] for browser in users.values()}
            assert len(now) == 1 and not now & ids, "sealed by the new key"
            ids |= now
    load.nobody_is_logged_out()
    load.nobody_notices()
    site.gateway.reload(session={"cookie": {"key_files": [keys[0]]}})
    assert next(iter(users.values())).copy().get("/account").status == 401, "a key that is gone opens nothing"


# ---- memory -------------------------------------------------------------------------------------------------------------

def test_a_hundred_reloads_under_load_leave_nothing_behind(new_site):
    site = new_site(threads=2)
    load = Load({f"user-{number}": site.browser(f"user-{number}") for number in range(4)})
    descriptors = pathlib.Path(f"/proc/{site.gateway.process.pid}/fd")
    first = site.gateway.config["listen"][0]

    def reloads(count: int) -> None:
        for number in range(count):
            changes = {"upstreams": {"app": {"connect_timeout": f"{2000 + number}ms"}}} if number % 3 == 0 else {}
            site.gateway.reload(routes=OTHER if number % 2 else ROUTES,
                                listen=[first, listed("127.0.0.1:0", site)] if number % 4 == 1 else [first], **changes)

    with load:
        reloads(20)
        before = len(list(descriptors.iterdir()))
        with site.gateway.flat_memory(2**30 if SCALE > 1 else 6 * 2**20):  # a sanitizer keeps what was freed
            reloads(100)
            load.await_more()
        poll(lambda: len(list(descriptors.iterdir())) <= before + 4, "no descriptors are left")
    load.nobody_notices()
