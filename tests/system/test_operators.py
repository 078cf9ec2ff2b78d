"""SPEC sections 4 and 6: the commands, the admin address, the logs."""

import datetime
import json
import re
import socket
import stat
import subprocess

import pytest

from harness import http1
from harness.browser import app_saw, asked
from harness.check import GOOD, checked
from harness.client import RawClient
from harness.deadlines import PATIENCE, poll
from harness.gateway import ROOT, rotagate, route
from harness.http1 import crlf


# ---- rotagate version, keygen, check ----------------------------------------------------------------------------------

def test_version_tells_its_version():
    told = rotagate("version")
    assert told.returncode == 0 and re.search(r"\d+\.\d+\.\d+", told.stdout)


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["run"], ["check"], ["run", "--config"], ["sessions"],
                                       ["sessions", "list"],
                                       ["sessions", "revoke"], ["users"], ["version", "--nonsense"]], ids=" ".join)
def test_a_command_that_is_none_fails_and_says_so(arguments):
    told = rotagate(*arguments)
    assert told.returncode != 0 and told.stderr + told.stdout


@pytest.mark.parametrize("arguments, there_are", [
    (["chekc"], "run, check, keygen, sessions, users, version"), (["sessions", "lst"], "list, revoke"),
    (["users", "--nonsense"], "count")], ids=str)
def test_a_mistyped_command_is_told_what_there_is(arguments, there_are):
    told = rotagate(*arguments)
    assert told.returncode == 2 and f'"{arguments[-1]}"' in told.stderr and there_are in told.stderr


def test_help_names_every_command():
    told = rotagate("--help")
    assert told.returncode == 0
    for command in ("run", "check", "keygen", "sessions", "users", "version"):
        assert command in told.stdout


def test_keygen_writes_a_key_that_only_its_owner_reads(tmp_path):
    key = tmp_path / "cookie.key"
    assert rotagate("keygen", "--out", key).returncode == 0
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_text().strip()) == 43


def test_keygen_never_overwrites(tmp_path):
    key = tmp_path / "cookie.key"
    key.write_text("precious")
    told = rotagate("keygen", "--out", key)
    assert told.returncode != 0 and str(key) in told.stderr
    assert key.read_text() == "precious"


def test_keygen_without_a_file_prints_a_new_key_each_time():
    keys = {rotagate("keygen").stdout.strip() for _ in range(3)}
    assert len(keys) == 3 and {len(key) for key in keys} == {43}


def test_check_accepts_what_is_right(tmp_path):
    assert checked(tmp_path, GOOD).status == 0


@pytest.mark.parametrize("text, where, what", [
    pytest.param(GOOD + "nonsense: 1\n", "8:1:", "nonsense", id="unknown-key"),
    pytest.param(GOOD + "limits: { header_bytes: many }\n", "8:25:", "many", id="wrong-type"),
    pytest.param(GOOD + "session:\n  idle_timeout: soon\n", "9:17:", "soon", id="bad-duration"),
    pytest.param(GOOD + "session:\n  idle_timeout: -1s\n", "9:17:", "-1s", id="negative-duration"),
    pytest.param(GOOD + "threads: 1\nthreads: 2\n", "9:1:", "threads", id="duplicate-key"),
    pytest.param(GOOD.replace("upstream: app", "upstream: shop"), "7:15:", "shop", id="unknown-upstream"),
    pytest.param(GOOD + "session: { store: sqlite }\n", "8:19:", "sqlite", id="unknown-store"),
    pytest.param(GOOD + "session: { store: 'redis://127.0.0.1/0' }\n", "8:19:", "redis://127.0.0.1:6379", id="store-without-port"),
    pytest.param(GOOD + "session: { cookie: { name: __Host-x, domain: example.org } }\n", "8:", "domain",
                 id="host-prefix-with-domain"),
    pytest.param(GOOD + "session: { cookie: { same_site: maybe } }\n", "8:33:", "maybe", id="unknown-choice"),
    pytest.param(GOOD + "session: { cookie: { key_files: [none.key] } }\n", "8:", "none.key", id="missing-key"),
    pytest.param(GOOD.replace("path: /", "path: login"), "6:", "login", id="relative-path"),
    pytest.param(GOOD.replace("127.0.0.1:8080", "127.0.0.1:99999"), "2:14:", "99999", id="bad-port"),
    pytest.param(GOOD + "admin: { address: 0.0.0.0:9901 }\n", "8:", "token_file", id="admin-without-token"),
    pytest.param(GOOD.replace("routes:", "route:"), "5:1:", "route", id="misspelt-key"),
    pytest.param("listen: [\n", "", "", id="no-yaml"),
    pytest.param("", "", "", id="empty"),
])
def test_check_names_each_mistake_with_its_line(tmp_path, text, where, what):
    told = checked(tmp_path, text)
    assert told.complains(where, what), told.said


def test_check_reports_all_mistakes_at_once(tmp_path):
    told = checked(tmp_path, GOOD + "limits:\n  header_bytes: x\n  idle_timeout: y\nlog:\n  level: z\n")
    assert told.status == 1
    assert {"9", "10", "12"} <= {line.split(":")[0] for line in told.lines}, told.said


def test_check_refuses_an_alias_bomb(tmp_path):
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(ord(name) + 1)}: &{chr(ord(name) + 1)} [" + ", ".join([f"*{name}"] * 9) + "]\n" for name in "abcdefgh")
    told = checked(tmp_path, bomb + GOOD)
    assert told.status == 1, told.said


@pytest.mark.parametrize("mode", [0o644, 0o604])
def test_check_refuses_a_key_that_others_may_read(tmp_path, mode):
    assert rotagate("keygen", "--out", tmp_path / "cookie.key").returncode == 0
    (tmp_path / "cookie.key").chmod(mode)
    text = GOOD + "session: { cookie: { key_files: [cookie.key] } }\n"
    told = checked(tmp_path, text)
    assert told.complains("8:", "cookie.key"), told.said
    (tmp_path / "cookie.key").chmod(0o600)
    assert checked(tmp_path, text).status == 0


TLS = "    tls: {{ certificates: [{{ cert: {cert}, key: {key} }}] }}\n"


@pytest.fixture
def unusable(tmp_path, certificates):
    """Files beside the configuration that are there and safe, but not what they should be."""
    for name, text in (("junk", "no PEM\n"), ("blank", " \n"), ("short.key", "AAAA\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    for name, made in (("example", certificates.example), ("api", certificates.api)):
        for file in (made.cert, made.key):
            (tmp_path / f"{name}{file.suffix}").write_bytes(file.read_bytes())
            (tmp_path / f"{name}{file.suffix}").chmod(0o600)
    subprocess.run(["openssl", "ec", "-in", tmp_path / "example.key", "-aes256", "-passout", "pass:secret", "-out",
                    tmp_path / "locked.key"], check=True, capture_output=True)
    (tmp_path / "locked.key").chmod(0o600)
    subprocess.run(["openssl", "genrsa", "-out", tmp_path / "rsa.key", "2048"], check=True, capture_output=True)
    (tmp_path / "rsa.key").chmod(0o600)


@pytest.mark.parametrize("text, where, what", [
    pytest.param(GOOD.replace("8080\n", "8080\n" + TLS.format(cert="junk", key="example.key")), "3:35:", "junk",
                 id="certificate"),
    pytest.param(GOOD.replace("8080\n", "8080\n" + TLS.format(cert="example.crt", key="junk")), "3:53:", "junk", id="key"),
    pytest.param(GOOD.replace("8080\n", "8080\n" + TLS.format(cert="example.crt", key="locked.key")), "3:53:", "passphrase",
                 id="key-with-passphrase"),
    pytest.param(GOOD.replace("8080\n", "8080\n" + TLS.format(cert="example.crt", key="api.key")), "3:53:", "is not the key",
                 id="another-certificates-key"),
    pytest.param(GOOD.replace("8080\n", "8080\n" + TLS.format(cert="example.crt", key="rsa.key")), "3:53:", "is not the key",
                 id="another-kind-of-key"),
    pytest.param(GOOD.replace("9000] }", "9000], tls: { ca: junk } }"), "4:48:", "junk", id="upstream-ca"),
    pytest.param(GOOD + "session: { cookie: { key_files: [short.key] } }\n", "8:34:", "keygen", id="cookie-key"),
    pytest.param(GOOD + "admin: { address: 127.0.0.1:0, token_file: blank }\n", "8:44:", "token", id="admin-token"),
])
def test_check_looks_into_the_files(tmp_path, unusable, text, where, what):
    told = checked(tmp_path, text)
    assert told.complains(where, what), told.said
    started = rotagate("run", "--config", tmp_path / "rotagate.yaml", stdin=subprocess.DEVNULL)
    assert started.returncode == 1 and f"rotagate.yaml:{where}" in started.stderr, started


def test_check_accepts_files_that_can_be_used(tmp_path, unusable):
    with_tls = GOOD.replace("8080\n", "8080\n" + TLS.format(cert="example.crt", key="example.key"))
    assert checked(tmp_path, with_tls.replace("9000] }", "9000], tls: { ca: api.crt } }")).status == 0


def test_check_of_a_file_that_is_not_there_says_so(tmp_path):
    told = rotagate("check", "--config", tmp_path / "none.yaml")
    assert told.returncode == 1 and "none.yaml" in told.stdout + told.stderr


def test_run_refuses_what_check_refuses(tmp_path):
    file = tmp_path / "rotagate.yaml"
    file.write_text(GOOD + "nonsense: 1\n")
    told = rotagate("run", "--config", file)
    assert told.returncode == 1 and f"{file}:8:1:" in told.stderr


def test_run_says_which_address_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        file = tmp_path / "rotagate.yaml"
        file.write_text(GOOD.replace("127.0.0.1:8080", address))
        told = rotagate("run", "--config", file)
    assert told.returncode != 0 and address in told.stderr


def test_the_example_configuration_is_shipped():
    assert (ROOT / "config" / "example.yaml").exists()


# ---- the admin address ------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def users(module_sites):
    """alice (twice), bob, alice and carol of acme, dave of globex."""
    site = module_sites()
    site.signed_in = [site.browser(*who[:1], org=who[1]) for who in (
        ("alice", None), ("alice", None), ("bob", None), ("alice", "acme"), ("carol", "acme"), ("dave", "globex"))]
    return site


def names(sessions: list[dict]) -> list[tuple]:
    return sorted((one["user"], one.get("org") or "") for one in sessions)


@pytest.mark.parametrize("selection, expected", [
    ({"user": "alice"}, [("alice", ""), ("alice", ""), ("alice", "acme")]), ({"user": "bob"}, [("bob", "")]),
    ({"user": "alice", "org": "acme"}, [("alice", "acme")]), ({"org": "acme"}, [("alice", "acme"), ("carol", "acme")]),
    ({"org": "globex"}, [("dave", "globex")]), ({"user": "nobody"}, []), ({"org": "nowhere"}, []),
    ({"user": "ali"}, []),
    ({"user": "bob", "org": "acme"}, []),
], ids=str)
def test_sessions_are_listed_by_user_and_organization(users, selection, expected):
    assert names(users.gateway.sessions(**selection)) == expected


def as_time(value) -> datetime.datetime:
    """Both usual forms: RFC 3339 text, or milliseconds since 1970."""
    if isinstance(value, (int, float)):
        return datetime.datetime.fromtimestamp(value / 1000, datetime.timezone.utc)
    return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))


def test_a_listed_session_tells_what_an_operator_needs(users):
    session = users.gateway.sessions(user="bob")[0]
    assert session.keys() >= {"id", "user", "org", "created", "expires", "permanent", "last_seen", "client"}
    assert session["user"] == "bob" and session["permanent"] is False and session["client"] == "127.0.0.1"
    created, seen, expires = (as_time(session[name]) for name in ("created", "last_seen", "expires"))
    now = datetime.datetime.now(datetime.timezone.utc)
    assert created <= seen <= now + datetime.timedelta(seconds=1) and now - created < datetime.timedelta(minutes=5)
    assert datetime.timedelta(minutes=55) < expires - now <= datetime.timedelta(minutes=61)


def test_the_operators_id_is_no_cookie(users):
    """SPEC section 6"""
    name = users.gateway.sessions(user="bob")[0]["id"]
    for value in (name, name.partition(".")[2], f"00000000.{name}"):
        with users.client() as client:
            assert client.get("/x", {"Cookie": f"__Host-session={value}"}).status == 401


def test_users_are_counted_once_each(users):
    assert users.gateway.users() == 5
    count = lambda org: users.gateway.admin("GET", f"/v1/users/count?org={org}").json()
    assert (count("acme"), count("globex"), count("nowhere")) == ({"users": 2}, {"users": 1}, {"users": 0})


def test_a_long_list_comes_in_pages(new_site):
    crowded = new_site()
    with crowded.client() as client:
        client.send(http1.request_bytes("GET", asked("/login", {"X-Session-User": "many"})) * 700)
        for _ in range(700):
            assert client.read_response().status == 200
    first = crowded.gateway.admin("GET", "/v1/sessions?user=many").json()
    assert first["cursor"] and len(first["sessions"]) < 700
    sessions = crowded.gateway.sessions(user="many")
    assert len(sessions) == 700 and len({one["id"] for one in sessions}) == 700
    assert crowded.gateway.users() == 1
    assert crowded.gateway.revoke("user=many") == 700
    assert crowded.gateway.sessions(user="many") == [] and crowded.gateway.users() == 0


def test_revoking_by_user_organization_id_and_all(new_site):
    site = new_site()
    alice, bob, at_acme, carol = (site.browser(user, org=org) for user, org in (
        ("alice", None), ("bob", None), ("alice", "acme"), ("carol", "acme")))
    assert site.gateway.revoke("user=alice&org=acme") == 1
    assert at_acme.user() is None and alice.user() == "alice"
    assert site.gateway.revoke("org=acme") == 1 and carol.user() is None
    name = site.gateway.sessions(user="bob")[0]["id"]
    assert site.gateway.admin("DELETE", f"/v1/sessions/{name}").json() == {"revoked": 1}
    assert site.gateway.admin("DELETE", f"/v1/sessions/{name}").json() == {"revoked": 0}
    assert bob.user() is None
    assert site.gateway.revoke("user=nobody") == 0
    again = site.browser("bob")
    assert site.gateway.revoke("all=true") == 2
    assert alice.user() is None and again.user() is None and site.gateway.users() == 0
    reasons = {line["reason"] for line in site.gateway.security_log()}
    assert {"revoked_user", "revoked_org", "revoked_session", "revoked_all"} <= reasons


@pytest.mark.parametrize("method, target, statuses", [
    ("DELETE", "/v1/sessions", (400,)), ("DELETE", "/v1/sessions?all=false", (400,)),
    ("DELETE", "/v1/sessions?user=", (400,)),
    ("GET", "/v1/sessions", (400,)), ("GET", "/v1/sessions?nonsense=1", (400,)),
    ("GET", "/v1/sessions?user=a&user=b", (400,)),
    ("DELETE", "/v1/sessions/nonsense", (200, 400, 404)), ("GET", "/v1/sessions?user=a&cursor=nonsense", (200, 400)),
    ("POST", "/v1/sessions?user=a", (405,)), ("PUT", "/healthz", (405,)), ("GET", "/nonsense", (404,)),
    ("GET", "/", (404,)),
    ("GET", "/v1/sessions?user=%zz", (400,)), ("DELETE", "/v1/sessions?user=a&all=true", (400,)),
])
def test_the_admin_address_refuses_what_it_does_not_understand(users, method, target, statuses):
    before = users.gateway.users()
    response = users.gateway.admin(method, target)
    assert response.status in statuses
    if response.status == 200:
        assert response.json() in ({"revoked": 0}, {"sessions": []}, {"sessions": [], "cursor": ""},
                                   {"sessions": [], "cursor": None})
    assert users.gateway.users() == before


@pytest.mark.parametrize("host, allowed", [
    ("{host}:{port}", True), ("localhost:{port}", True), ("evil.example:{port}", False), ("evil.example", False),
    ("{host}:{port}.evil.example", False), ("", False),
])
def test_the_admin_address_is_not_reached_by_dns_rebinding(users, host, allowed):
    """C11"""
    address = users.gateway.config["admin"]["address"].split(":")
    named = host.format(host=address[0], port=address[1])
    with RawClient((address[0], int(address[1]))) as client:
        status = client.request("GET", "/v1/users/count", host=named).status
    assert (status == 200) == allowed, status


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"},
                                     {"Origin": "https://evil.example", "Content-Type": "text/plain"},
                                     {"Sec-Fetch-Site": "cross-site"}],
                         ids=str)
def test_the_admin_address_is_not_for_browsers(users, headers):
    """C11"""
    for method, target in (("GET", "/v1/users/count"), ("DELETE", "/v1/sessions?all=true"),
                           ("POST", "/v1/sessions?all=true")):
        assert users.gateway.admin(method, target, headers).status in (400, 403, 405), (method, target)
    assert users.gateway.users() == 5


def test_the_admin_address_knows_no_sessions_of_the_gateways_clients(users):
    with users.client() as client:
        for target in ("/v1/users/count", "/metrics", "/healthz", "/readyz"):
            assert client.get(target).status == 401


def test_the_token_is_required_where_one_is_configured(new_site, tmp_path):
    token = tmp_path / "admin.token"
    token.write_text("of-the-operator-0123456789abcdef\n")
    token.chmod(0o600)
    guarded = new_site(admin={"token_file": str(token)})
    admin = guarded.gateway.admin
    assert admin("GET", "/v1/users/count").status == 401
    for wrong in ("Bearer wrong", "Bearer ", "Bearer of-the-operator-0123456789abcde",
                  "Basic of-the-operator-0123456789abcdef",
                  "of-the-operator-0123456789abcdef"):
        assert admin("GET", "/v1/users/count", {"Authorization": wrong}).status in (401, 403), wrong
    address = guarded.gateway.config["admin"]["address"].split(":")
    with RawClient((address[0], int(address[1]))) as client:
        by_name = client.request("GET", "/v1/users/count", {"Authorization": "Bearer of-the-operator-0123456789abcdef"},
                                 host="gateway.internal:9901")
        assert by_name.status == 200
        assert client.request("GET", "/v1/users/count", host="gateway.internal:9901").status == 401
    assert admin("GET", "/v1/users/count",
                 {"Authorization": "Bearer of-the-operator-0123456789abcdef"}).json() == {"users": 0}
    assert "of-the-operator" not in guarded.gateway.logged()


def test_the_admin_address_can_be_a_unix_socket(new_site, tmp_path):
    path = tmp_path / "admin.sock"
    site = new_site(admin={"address": f"unix:{path}"})
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0, "others may talk to it"
    site.browser("alice")
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(str(path))
    sock.sendall(http1.request_bytes("GET", "/v1/users/count", host="localhost"))
    assert http1.read_response(http1.Reader(sock)).json() == {"users": 1}
    sock.close()
    told = rotagate("users", "count", "--config", site.gateway.folder / "rotagate.yaml")
    assert told.returncode == 0 and "1" in told.stdout


# ---- the commands that speak to it ---------------------------------------------------------------------------------------

def command(site, *arguments) -> str:
    told = rotagate(*arguments, "--config", site.gateway.folder / "rotagate.yaml")
    assert told.returncode == 0, told
    return told.stdout


def test_sessions_list_shows_a_users_sessions(users):
    told = command(users, "sessions", "list", "--user", "alice")
    for session in users.gateway.sessions(user="alice"):
        assert session["id"] in told
    assert "bob" not in told
    assert "dave" in command(users, "sessions", "list", "--org", "globex")


def test_sessions_revoke_ends_them(new_site):
    site = new_site()
    alice, bob, carol, dave = (site.browser(user, org=org) for user, org in (
        ("alice", None), ("bob", None), ("carol", "acme"), ("dave", None)))
    assert "1" in command(site, "sessions", "revoke", "--user", "alice") and alice.user() is None
    assert "1" in command(site, "sessions", "revoke", "--org", "acme") and carol.user() is None
    assert "1" in command(site, "sessions", "revoke", "--id",
                          site.gateway.sessions(user="bob")[0]["id"]) and bob.user() is None
    assert "1" in command(site, "sessions", "revoke", "--all") and dave.user() is None


def test_users_count_counts(users):
    assert "5" in command(users, "users", "count")
    assert "2" in command(users, "users", "count", "--org", "acme")


def test_the_commands_fail_where_no_gateway_answers(users, tmp_path):
    config = json.loads((users.gateway.folder / "rotagate.yaml").read_text())
    config["admin"] = {"address": f"unix:{tmp_path}/none.sock"}
    file = tmp_path / "rotagate.yaml"
    file.write_text(json.dumps(config))
    told = rotagate("users", "count", "--config", file)
    assert told.returncode != 0 and told.stderr


# ---- healthz, readyz, metrics -----------------------------------------------------------------------------------------------

def test_a_running_gateway_is_healthy_and_ready(users):
    assert users.gateway.admin("GET", "/healthz").status == 200
    assert users.gateway.admin("GET", "/readyz").status == 200


@pytest.mark.parametrize("answer, why", [
    ("HTTP/1.1 500 Out of order⏎⏎", "GET /public/alive: status 500"), ("", "GET /public/alive: End of file"),
    ("HTTP/1.1 103 Early Hints⏎⏎HTTP/1.1 404 None⏎⏎", "GET /public/alive: status 404"),
    ("220 mail.example.test⏎⏎", "GET /public/alive: what it answers is no HTTP/1.1"),
    (None, "GET /public/alive: Connection timed out")], ids=["status", "nothing", "hints", "mail", "hangs"])
def test_the_log_tells_why_a_server_is_down(new_site, answer, why):
    site = new_site(upstreams={"app": {"connect_timeout": "200ms" if answer is None else "10s",
                                       "response_timeout": "60s",
                                       "health": {"path": "/public/alive", "interval": "100ms", "fall": 1}}})

    def alive(exchange):
        if answer is None:
            exchange.gone()
        else:
            exchange.send(crlf(answer))
            exchange.close()

    site.app.on("/public/alive", alive)
    down = f'upstream.down upstream=app server={site.app.address} error="{why}"'
    poll(lambda: down in site.gateway.stderr(), down)


def test_a_health_check_may_be_answered_in_steps(new_site):
    site = new_site(upstreams={"app": {"health": {"path": "/public/alive", "interval": "100ms", "fall": 1}}})
    site.app.on("/public/alive", lambda exchange: crlf("HTTP/1.1 103 Early Hints⏎⏎HTTP/1.1 204 Well⏎⏎"))
    poll(lambda: len(site.app.requests("/public/alive")) > 2, "it is asked")
    assert "upstream.down" not in site.gateway.stderr()


def test_metrics_count_requests_sessions_and_refusals(new_site):
    site = new_site()
    metrics = site.gateway.metrics()
    assert metrics['rotagate_requests_total{class="2xx"}'] == 0
    alice = site.browser("alice")
    alice.user()
    alice.logout()
    with site.client() as client:
        client.get("/x")
        client.get("/x", {"Cookie": "__Host-session=00000000.junk"})
    metrics = site.gateway.metrics()
    assert metrics['rotagate_requests_total{class="2xx"}'] == 3
    assert metrics['rotagate_requests_total{class="4xx"}'] == 2
    by_reason = {re.search(r'reason="(\w+)"', name)[1]: value for name,
                 value in metrics.items() if "reason=" in name and value}
    assert by_reason["login"] == by_reason["logout"] == 1
    assert by_reason.get("forged", 0) + by_reason.get("malformed", 0) == 1
    assert site.gateway.store_calls() == 2
    assert [name for name in metrics if re.match(r"rotagate_request\w*_bucket", name)]
    assert [name for name in metrics if re.match(r"rotagate_store\w*_bucket", name)]


def test_metrics_are_prometheus_text(users):
    response = users.gateway.admin("GET", "/metrics")
    assert response.one("Content-Type").startswith("text/plain")
    for line in response.body.decode().splitlines():
        assert re.match(r"# (HELP|TYPE) \w+ .+|[a-z_]+(\{[^}]*\})? [-+0-9.eInfNa]+$", line), line


# ---- the access log -----------------------------------------------------------------------------------------------------------

def test_each_request_is_one_line_of_the_access_log(users):
    alice = users.browser("erin")
    response = alice.fetch("POST", "/a/./b?secret=1", body=b"hello")
    seen = app_saw(response)
    line = users.gateway.access_line(seen.one("X-Request-Id"))
    expected = {"client": "127.0.0.1", "method": "POST", "host": "example.test", "path": "/a/b", "protocol": "HTTP/1.1",
                "status": 200,
                "user": "erin", "upstream": "app", "server": users.app.address, "bytes_in": 5,
                "bytes_out": len(response.body)}
    assert {name: line.get(name) for name in expected} == expected
    assert line["duration_ms"] > 0 and len(line["session"]) == 8
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", line["time"])
    assert "secret" not in json.dumps(line)
    lines = [one for one in users.gateway.access_log() if one["request_id"] == line["request_id"]]
    assert len(lines) == 1
    users.gateway.revoke("user=erin")


def test_what_the_gateway_answers_itself_is_logged_with_its_reason(users):
    answered = {}
    for data, status in ((http1.request_bytes("GET", "/x"), 401), (crlf("GET /x HTTP/1.1⏎Host: a⏎Host: b⏎⏎"), 400),
                         (b"nonsense\r\n\r\n", 400), (http1.request_bytes("GET", "/public/%00"), 400),
                         (http1.request_bytes("TRACE", "/public/x"), 405)):
        with users.client() as client:
            response = client.send(data).read_response()
        assert response.status == status, data
        answered[response.json()["request_id"]] = status
    for request_id, status in answered.items():
        line = users.gateway.access_line(request_id)
        assert line["status"] == status and line["reason"] and "upstream" not in line, line


def test_control_characters_cannot_forge_a_line(users):
    with users.client() as client:
        client.get(asked("/login", {"X-Session-User": 'mallory","user":"admin'}), {"User-Agent": '"\t\x80'})
    users.gateway.await_security("login", user='mallory","user":"admin')
    users.gateway.revoke("user=" + "mallory%22%2C%22user%22%3A%22admin")


def test_logs_go_to_standard_output_by_default(new_site):
    site = new_site(log={"access": "stdout", "security": "stdout"})
    site.browser("alice")
    site.stop()
    lines = [json.loads(line) for line in (site.gateway.folder / "stdout").read_text().splitlines()]
    assert [line for line in lines if line.get("reason") == "login"] and [line for line in lines if line.get("status") == 200]


def test_logs_can_be_off(new_site):
    site = new_site(log={"access": "off", "security": "off"})
    site.browser("alice")
    site.stop()
    assert (site.gateway.folder / "stdout").read_text() == ""


def test_a_random_key_for_want_of_a_file_is_warned_of(new_site):
    site = new_site(session={"cookie": {"key_files": []}})
    assert site.browser("alice").user() == "alice"
    assert "key_files" in site.gateway.stderr()
