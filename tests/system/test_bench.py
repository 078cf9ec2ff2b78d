"""rotagate-bench against real gateways and the demo app: what it reports has to be what happened."""

import json
import pathlib
import re
import subprocess
import threading

import pytest

from harness import http1
from harness.deadlines import PATIENCE, SCALE
from harness.gateway import BUILD, free_port, route
from harness.held_up import HeldUpNetwork
from harness.http2_app import Http2App, answer_plainly
from harness.program import AppProgram

BENCH = BUILD / "rotagate-bench"
ROUTES = [route("/login", "optional", sessions="control"), route("/logout", "optional", sessions="control"),
          route("/account", sessions="control", session_data=True, on_unauthenticated={"redirect": "/login?next={uri}"}),
          route("/status", "public"), route("/")]
GRACE = 0.5 if SCALE == 1 else 1.0  # seconds; half of it is left to a slow machine
MINUTES = 12 * PATIENCE  # for a whole run


def milliseconds(seconds: float) -> str:
    return f"{int(seconds * 1000)}ms"


def rotation(grace: float = GRACE, **session) -> dict:
    return {"session": {"rotation": {"grace": milliseconds(grace)}} | session}


def demo_app(folder: pathlib.Path) -> AppProgram:
    return AppProgram(BUILD / "rotagate-demo-app", "--listen", "127.0.0.1:{port}", folder=folder)


@pytest.fixture
def app(tmp_path):
    """For one site, which closes it."""
    return demo_app(tmp_path)


@pytest.fixture(scope="module")
def site(module_sites, tmp_path_factory):
    return module_sites(demo_app(tmp_path_factory.mktemp("app")), routes=ROUTES)


def url(gateway, path: str = "") -> str:
    return "https://%s:%d" % gateway.address + path


def command(what: str, gateway, *options, path: str = "", threads: int = 2) -> list:
    return [BENCH, what, "--target", url(gateway, path), "--ca", gateway.trust, "--login", "/login",
            "--threads", str(threads), *map(str, options)]


class Ran:
    """One run to its end: exit code, output, figures."""

    def __init__(self, arguments: list, folder: pathlib.Path):
        self.file = folder / "figures.json"
        done = subprocess.run([*arguments, "--json", self.file], capture_output=True, text=True, timeout=MINUTES)
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def figures(self) -> dict:
        assert self.file.exists(), f"exit code {self.status}\n{self.out}\n{self.err}"
        return json.loads(self.file.read_text())

    def failures(self) -> dict:
        return {kind: count for kind, count in self.figures["failed"].items() if count}


def steps(figures: dict) -> dict[str, int]:
    return {step["name"]: step["answered"] for step in figures["steps"]}


# ---- load -----------------------------------------------------------------------------------------------------------


def test_a_closed_loop_keeps_every_session_through_its_rotation(site, tmp_path):
    before = site.gateway.store_calls()
    ran = Ran(command("load", site.gateway, "--connections", 4, "--users", 8, "--duration", "1s", "--warm-up", "0",
                      "--pid", site.gateway.process.pid, path="/bytes?n=100"), tmp_path)
    assert ran.status == 0 and not ran.failures(), ran.out + ran.err
    figures = ran.figures
    assert "8 of 8 users signed in" in ran.err
    assert list(steps(figures)) == ["GET /bytes?n=100"] and figures["answered"] > 8
    assert figures["latency"]["count"] == figures["answered"]
    assert 0 < figures["latency"]["p50_us"] <= figures["latency"]["p99.99_us"] <= figures["latency"]["max_us"]
    assert figures["processes"][0]["name"] == "rotagate" and figures["processes"][0]["cpu_us_per_request"] > 0
    assert sum(second["answered"] for second in figures["timeline"]) <= figures["answered"]
    assert site.gateway.store_calls() - before >= figures["answered"], "a session cookie with every request"
    assert not site.gateway.security_log("replay")


def test_a_process_that_ends_under_the_load_has_no_figure(new_site, tmp_path):
    app = new_site.app()
    with subprocess.Popen(["sleep", "1000"]) as process:
        def end(exchange):
            process.kill()
            process.wait()
            return http1.response_bytes(200)

        app.on("/", end)
        page = tmp_path / "report.html"
        try:
            ran = Ran([BENCH, "load", "--target", f"http://{app.address}", "--connections", "1", "--duration", "100ms",
                       "--warm-up", "0", "--pid", str(process.pid), "--report", page], tmp_path)
        finally:
            process.kill()
    assert ran.status == 0 and f"CPU of sleep ({process.pid}): ended" in ran.out, ran.out + ran.err
    assert ran.figures["processes"] == [{"pid": process.pid, "name": "sleep", "ended": True}]
    assert "<td>ended</td>" in page.read_text()


SCENARIO = """
login: { path: /login, form: "user={user}" }
logout: { path: /logout, weight: 10 }
requests:
  - { path: /account, weight: 30 }
  - { path: "/chunked?n=3000&chunk=100&again={number}", weight: 30, name: chunks }
  - { path: /count, body: 100KiB, weight: 20 }
  - { path: "/status?code=503", weight: 10, needs_session: false, name: broken }
"""


def test_an_open_loop_plays_a_scenario_and_draws_a_report(site, tmp_path):
    scenario, page = tmp_path / "mix.yaml", tmp_path / "report.html"
    scenario.write_text(SCENARIO)
    arguments = [BENCH, "load", "--target", url(site.gateway), "--ca", site.gateway.trust, "--scenario", scenario,
                 "--users", "20", "--rate", "100", "--arrivals", "poisson", "--duration", "2s", "--warm-up", "1s",
                 "--report", page]
    ran = Ran(arguments, tmp_path)
    assert ran.status == 0, ran.err
    figures = ran.figures
    answered = steps(figures)
    assert set(answered) == {"GET /account", "chunks", "POST /count", "broken", "login", "logout"}
    assert ran.failures() == {"status_5xx": answered["broken"]}
    assert answered["login"] >= answered["logout"] - 2 > 0, "who logs out comes back"
    assert [round(second["at"], 6) for second in figures["timeline"]] == [0, 1, 2]
    assert len(re.findall(r"^ .* failed \d+", ran.err, re.M)) == 3, "a line a second"
    html = page.read_text()
    assert html.count("<svg") == 4 and "chunks" in html
    assert not re.search(r"(src|href)=|url\(|<script", html), "it needs no other file"


def test_connections_are_new_where_they_shall_not_be_kept(site, tmp_path):
    def accepted() -> float:
        return site.gateway.metrics()["rotagate_connections_accepted_total"]

    before = accepted()
    ran = Ran(command("load", site.gateway, "--connections", 2, "--duration", "300ms", "--warm-up", "0",
                      "--no-keep-alive", path="/bytes"), tmp_path)
    assert ran.status == 0 and not ran.failures(), ran.out + ran.err
    assert accepted() - before >= ran.figures["answered"]


def load_of(app, tmp_path, request: str, *options) -> Ran:
    scenario = tmp_path / "one.yaml"
    scenario.write_text(f"requests: [{request}]")
    return Ran([BENCH, "load", "--target", f"http://{app.address}", "--scenario", scenario, "--warm-up", "0", *options],
               tmp_path)


def test_an_answer_is_read_while_the_request_is_sent(site, new_site, tmp_path):
    """One side's buffers are full until the other reads."""
    ran = load_of(site.app, tmp_path, "{ path: /echo, body: 16MiB }", "--connections", "1", "--duration", "300ms")
    assert ran.status == 0 and not ran.failures(), ran.out + ran.err
    app, is_over = new_site.app(), threading.Event()

    def refuse(exchange):
        exchange.send(http1.response_bytes(413, {"Connection": "close"}, b"too much"))
        assert is_over.wait(PATIENCE)

    app.on("/upload", refuse)
    ran = load_of(app, tmp_path, "{ path: /upload, body: 16MiB }", "--rate", "10", "--users", "5", "--duration", "500ms")
    is_over.set()
    assert ran.status == 0 and ran.failures() == {"status_4xx": ran.figures["answered"]}, ran.out + ran.err


@pytest.mark.parametrize("method, length", [("POST", "0"), ("PUT", "0"), ("PATCH", "0"), ("GET", None), ("DELETE", None)])
def test_a_request_without_a_body_says_so_where_there_might_be_one(new_site, tmp_path, method, length):
    """RFC 9110 section 8.6."""
    app = new_site.app()
    ran = load_of(app, tmp_path, f"{{ path: /none, method: {method} }}", "--rate", "20", "--duration", "100ms")
    assert ran.status == 0 and not ran.failures(), ran.out + ran.err
    assert {request.one("Content-Length") for request in app.requests("/none")} == {length}


HAPROXY = """
defaults
  mode http
  timeout connect 10s
  timeout client 10s
  timeout server 10s
frontend all
  bind "127.0.0.1:$PORT" ssl crt {certificate} alpn h2
  default_backend gateway
backend gateway
  server gateway 127.0.0.1:{gateway} ssl verify none
"""


@pytest.fixture
def over_http2(site, certificates, tmp_path):
    """The address of the site where HTTP/2 is spoken."""
    both = tmp_path / "both.pem"
    both.write_bytes(certificates.example.cert.read_bytes() + certificates.example.key.read_bytes())
    config = tmp_path / "haproxy.cfg"
    config.write_text(HAPROXY.format(certificate=both, gateway=site.gateway.address[1]))
    proxy = AppProgram("env", "PORT={port}", "haproxy", "-db", "-q", "-f", config, folder=tmp_path)
    yield f"https://{proxy.address}"
    proxy.close()


def test_http2_carries_bodies_both_ways_and_keeps_every_session(site, over_http2, tmp_path):
    scenario = tmp_path / "mix.yaml"
    scenario.write_text(SCENARIO)
    ran = Ran([BENCH, "load", "--target", over_http2, "--ca", site.gateway.trust, "--http2", "--scenario", scenario,
               "--connections", "4", "--duration", "1s", "--warm-up", "0"], tmp_path)
    assert ran.status == 0, ran.err
    answered = steps(ran.figures)
    assert ran.failures() == {"status_5xx": answered["broken"]}
    assert answered["POST /count"] > 0 and answered["chunks"] > 0 and answered["logout"] > 0


@pytest.fixture
def http2_app():
    app = Http2App()
    yield app
    app.close()


def test_http2_asks_again_what_a_goodbye_leaves_out(http2_app, tmp_path):
    """RFC 9113 section 6.8: streams above the last one that GOAWAY names were not acted on."""
    def handle(call):
        if call.connection is http2_app.connections[0]:
            return call.connection.send_goaway(call.stream - 1)
        answer_plainly(call)

    http2_app.handler = handle
    ran = Ran([BENCH, "load", "--target", f"http://{http2_app.address}", "--http2", "--connections", "1", "--duration",
               "300ms", "--warm-up", "0"], tmp_path)
    assert ran.status == 0 and not ran.failures(), ran.out + ran.err
    assert len(http2_app.connections) == 2


def test_http2_has_the_others_go_on_behind_a_goodbye(http2_app, tmp_path):
    """What is asked for meanwhile goes over another connection."""
    def log_in(call):
        call.read_all()
        call.send_head([("set-cookie", "s=1")], end=True)

    last = {}  # by connection, of the streams that it still answers
    followed = threading.Event()

    def part(call):
        call.read_all()
        if call.connection is not http2_app.connections[0]:
            followed.set()
        with call.connection.changed:  # all that came together has begun
            begun = max(call.connection.calls)
            if call.stream > last.get(call.connection, begun):
                return  # it is not acted on
            says_goodbye = begun > call.stream and not last
            if says_goodbye:
                last[call.connection] = begun
                call.connection.send_goaway(begun)
        call.send_head()
        if says_goodbye:
            followed.wait(1)  # which takes as long where nothing else is asked for meanwhile
        call.send(b"part", end=True)

    http2_app.on("/login", log_in)
    http2_app.on("/part", part)
    ran = Ran([BENCH, "people", "--target", f"http://{http2_app.address}", "--http2", "--part", "/part", "--people", "1",
               "--page-views", "20", "--thieves", "0", "--grace", "100ms", "--threads", "1"], tmp_path)
    assert ran.status == 0 and not ran.failures(), ran.out + ran.err
    assert len(http2_app.connections) == 2


def test_sessions_that_end_are_told_and_users_come_back(site, tmp_path):
    file = tmp_path / "figures.json"
    arguments = command("load", site.gateway, "--connections", 4, "--duration", "3s", "--warm-up", "0", "--json", file,
                        path="/account")
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as bench:
        for line in bench.stderr:
            if " 1 s" in line:
                site.gateway.revoke("all=true")
        assert bench.wait(MINUTES) == 0
    figures = json.loads(file.read_text())
    failures = {kind: count for kind, count in figures["failed"].items() if count}
    assert failures == {"session_lost": 4}, "each user once"
    assert steps(figures)["login"] == 4


@pytest.mark.parametrize("location", ["login?next=a b", "./login", "/app/login#x", "//example.test/app/login",
                                      "http://example.test/app/login?x"])
def test_a_way_to_the_login_is_one_however_it_is_told(new_site, tmp_path, location):
    """RFC 9110 section 10.2.2: Location may be relative to what was asked for."""
    app = new_site.app()
    app.on("/app/login", lambda exchange: http1.response_bytes(200, {"Set-Cookie": "s=1"}, b"hello"))
    app.on("/app/page", lambda exchange: http1.response_bytes(302, {"Location": location}, b""))
    ran = Ran([BENCH, "load", "--target", f"http://{app.address}/app/page", "--login", "/app/login", "--connections", "1",
               "--duration", "300ms", "--warm-up", "0"], tmp_path)
    assert ran.failures().keys() == {"session_lost"}, ran.err


def test_what_keeps_a_load_from_beginning_is_told(site, tmp_path):
    nowhere = f"https://127.0.0.1:{free_port()}/"
    for arguments, told in (
            (["load", "--target", nowhere, "--login", "/login", "--connections", "1"], "connect"),
            (["load", "--target", url(site.gateway), "--login", "/login", "--connections", "1"], "tls"),
            (["load", "--target", f"http://{site.app.address}", "--login", "/bytes", "--connections", "1"], "login"),
            (["load", "--target", url(site.gateway), "--insecure", "--login", "/status?code=404", "--connections", "1"],
             "login"),
            (["load", "--target", "ftp://a", "--connections", "1"], "write https://HOST"),
            (["load", "--target", nowhere, "--connections", "1", "--pid", "999999999"], "no such process")):
        ran = Ran([BENCH, *arguments], tmp_path)
        assert ran.status == 1 and told in ran.err, ran.err


@pytest.mark.parametrize("arguments", [[], ["load"], ["load", "--target", "https://a"], ["people"], ["nothing"],
                                       ["load", "--target", "https://a", "--rate", "1", "--connections", "1"],
                                       ["load", "--target", "https://a", "--rate", "1", "--duration", "soon"]])
def test_a_wrong_command_line_does_nothing(arguments):
    assert subprocess.run([BENCH, *arguments], capture_output=True, timeout=PATIENCE).returncode == 2


@pytest.mark.parametrize("what, option, told", [
    ("load", ["--json", "/nowhere/figures.json"], "/nowhere/figures.json' cannot be written"),
    ("load", ["--report", "/nowhere/page.html"], "/nowhere/page.html' cannot be written"),
    ("load", ["--login", "login"], "'login' is not a path"),
    ("people", ["--json", "/nowhere/figures.json"], "/nowhere/figures.json' cannot be written"),
    ("people", ["--login", "/log in"], "'/log in' is not a path"),
    ("people", ["--logout", "logout"], "'logout' is not a path"),
    ("people", ["--page", "/a\nb"], "is not a path"), ("people", ["--part", "tile"], "'tile' is not a path")])
def test_what_would_only_be_noticed_later_is_told_at_the_start(what, option, told):
    rate = ["--rate", "1"] if what == "load" else []
    done = subprocess.run([BENCH, what, "--target", "https://a", *rate, *option], capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.returncode == 2 and told in done.stderr, done.stderr
    assert option[0] in done.stderr


def test_help_names_every_option():
    for what in ("load", "people"):
        shown = subprocess.run([BENCH, what, "--help"], capture_output=True, text=True, timeout=PATIENCE)
        assert shown.returncode == 0 and "--target" in shown.stdout and "--seed" in shown.stdout


# ---- people ---------------------------------------------------------------------------------------------------------


def people(gateway, *options, grace: float = GRACE, threads: int = 2) -> list:
    return command("people", gateway, "--grace", milliseconds(grace), "--part", "/bytes?n=10", *options, threads=threads)


def test_nobody_is_logged_out_and_every_thief_is_noticed(new_site, app, tmp_path):
    gateway = new_site(app, routes=ROUTES, **rotation()).gateway
    ran = Ran(people(gateway, "--people", 12, "--page-views", 150, "--thieves", 0.5), tmp_path)
    assert ran.status == 0, ran.out + ran.err
    figures = ran.figures
    assert figures["good"] and figures["complete"] and figures["page_views"] >= 150
    assert figures["false_logouts"] == figures["undetected"] == 0 and not figures["failed"]
    assert figures["lost"] > 0 and figures["late"] > 0 and figures["retries"] > 0
    assert figures["detected"] == figures["thefts"] > 0
    replays = len(gateway.security_log("replay"))
    assert replays == figures["thefts"], "each ends one session"


def test_a_load_that_nobody_answers_is_no_success(tmp_path):
    ran = Ran([BENCH, "load", "--target", f"http://127.0.0.1:{free_port()}", "--rate", "50", "--duration", "200ms",
               "--warm-up", "0s"], tmp_path)
    assert ran.status == 1 and ran.figures["answered"] == 0, ran.out + ran.err


def test_the_rate_is_of_what_was_answered_in_time(site, tmp_path):
    """Twice as much as ten users can ask for, whose answers take a tenth of a second: the rest is answered later."""
    ran = Ran(command("load", site.gateway, "--rate", "200", "--users", "10", "--duration", "2s", "--warm-up", "1s",
                      path="/slow?ms=100"), tmp_path)
    figures = ran.figures
    assert figures["answered"] <= 405, "what was due in the warm-up does not count"
    assert figures["answered_in_time"] < figures["answered"] and "more later" in ran.out
    assert figures["rate"] <= 105, "ten users and a tenth of a second"
    assert figures["rate"] >= (80 if SCALE == 1 else 20), "of which none is left out"


def test_all_that_was_due_is_answered_or_failed_or_unsent(new_site, tmp_path):
    """Also what the tool does not wait for any longer, since it was sent late and is not answered."""
    app = new_site.app(handler=lambda exchange: exchange.gone() and None)
    ran = Ran([BENCH, "load", "--target", f"http://{app.address}", "--rate", "40", "--users", "2", "--duration", "990ms",
               "--warm-up", "0s", "--timeout", "700ms", "--threads", "1"], tmp_path)
    assert ran.status == 1 and ran.failures().keys() == {"timeout", "unsent"}, ran.out + ran.err
    assert "the last requests were not answered" in ran.err
    assert sum(ran.failures().values()) == 40, "one every 25 ms from 0 to 975 ms"
    assert ran.figures["latency"]["count"] == ran.failures()["timeout"], "what was waited counts"


def test_nobody_is_logged_out_by_two_gateways_on_one_redis(new_redis, new_fleet, app, tmp_path):
    fleet = new_fleet(new_redis().url, app=app, routes=ROUTES, **rotation())
    ran = Ran(people(fleet.a, "--target", url(fleet.b), "--people", 8, "--page-views", 80, "--thieves", 0.25), tmp_path)
    assert ran.status == 0, ran.out + ran.err
    assert ran.figures["detected"] == ran.figures["thefts"] > 0
    for gateway in fleet.gateways:
        assert gateway.store_calls() > 50, "both were asked"


def test_thieves_are_missed_where_replays_are_only_reported(new_site, app, tmp_path):
    gateway = new_site(app, routes=ROUTES, **rotation(on_replay="report")).gateway
    ran = Ran(people(gateway, "--people", 4, "--page-views", 20, "--thieves", 1), tmp_path)
    assert ran.status == 1 and not ran.figures["good"]
    assert ran.figures["undetected"] > 0 and ran.figures["false_logouts"] == 0
    assert "a superseded cookie was accepted" in ran.out


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_theft_whose_answers_tell_nothing_is_inconclusive(new_site, tmp_path, status):
    """A firewall or a limit of requests keeps thieves out, who ask as scripts do: they and the session have an end."""
    app = new_site.app()
    app.on("/login", lambda exchange: http1.response_bytes(200, {"Set-Cookie": "s=1"}, b"hello"))
    app.on("/page", lambda exchange: http1.response_bytes(200 if exchange.request.one("Sec-Fetch-Mode") else status))
    ran = Ran([BENCH, "people", "--target", f"http://{app.address}", "--page", "/page", "--part", "/part", "--people", "2",
               "--thieves", "1", "--page-views", "8", "--grace", "50ms"], tmp_path)
    figures = ran.figures
    assert ran.status == 0 and figures["complete"] and figures["let_in"] > 0, ran.out + ran.err
    assert figures["inconclusive_thefts"] == figures["thefts"] >= 2
    assert figures["detected"] == figures["undetected"] == figures["false_logouts"] == 0
    assert "inconclusive" in ran.out


def test_people_are_logged_out_by_mistake_where_the_grace_is_shorter_than_the_network(new_site, app, tmp_path):
    gateway = new_site(app, routes=ROUTES, **rotation(grace=0.1)).gateway
    ran = Ran(people(gateway, "--people", 8, "--page-views", 60, "--thieves", 0, grace=1), tmp_path)
    assert ran.status == 1
    assert ran.figures["false_logouts"] > 0 and "false logout: person-" in ran.out


def test_nobody_is_to_blame_for_logouts_where_the_network_takes_longer_than_the_grace(new_site, app, tmp_path):
    """The request that ends a session may be another one than the first that is refused, and it may be lost."""
    gateway = new_site(app, routes=ROUTES, **rotation()).gateway
    network = HeldUpNetwork(gateway.address, every=4, delay=3 * GRACE)
    target = "https://%s:%d" % network.address
    ran = Ran([BENCH, "people", "--target", target, "--ca", gateway.trust, "--grace", milliseconds(GRACE), "--part",
               "/bytes?n=10", "--people", "12", "--page-views", "160", "--thieves", "0"], tmp_path)
    network.close()
    assert ran.status == 0, ran.out + ran.err
    assert ran.figures["false_logouts"] == 0 and ran.figures["inconclusive"] > 0


def test_people_give_up_where_nobody_can_sign_in(site, tmp_path):
    ran = Ran([BENCH, "people", "--target", url(site.gateway), "--ca", site.gateway.trust, "--login", "/not-there",
               "--people", "3", "--page-views", "9"], tmp_path)
    assert ran.status == 1 and not ran.figures["complete"]
    assert "nobody can sign in" in ran.err and "--login" in ran.err


def test_there_is_no_verdict_where_every_page_is_refused(site, tmp_path):
    ran = Ran(command("people", site.gateway, "--people", 2, "--page-views", 6, "--thieves", 0, "--page",
                      "/status?code=403", "--part", "/status?code=429", "--grace", "50ms"), tmp_path)
    assert ran.status == 1 and ran.figures["complete"] and not ran.figures["good"]
    assert ran.figures["let_in"] == 0 and ran.figures["logins"] >= 2
    assert "no verdict" in ran.out and "status_4xx" in ran.out and "--page" in ran.out and "false logouts" not in ran.out


def test_the_same_seed_decides_the_same(site, tmp_path):
    decided = [Ran(people(site.gateway, "--people", 3, "--page-views", 9, "--thieves", 0, "--seed", seed,
                          threads=threads), tmp_path).figures["decisions"] for seed, threads in ((1, 2), (1, 1), (2, 1))]
    assert decided[0] == decided[1] != decided[2]
