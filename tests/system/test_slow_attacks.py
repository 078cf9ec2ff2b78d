"""Slow clients by the hundred, as slowhttptest makes them (SECURITY.md D1): all are cut when the time of their phase is
over, and everybody else is served all the while."""

import subprocess
from dataclasses import dataclass

import pytest

from harness import http1
from harness.browser import asked, session_cookie
from harness.deadlines import PACE, PATIENCE, SCALE, milliseconds, poll
from harness.gateway import COOKIE, ROUTES, route

HEAD_TIME, IDLE_TIME = 2 * PACE, 1.5 * PACE
LONGEST = round(20 * SCALE)  # the tool's own end, in seconds: the gateway has to end the attack before
ALLOWANCE = 2**30 if SCALE > 1 else 64 * 2**20  # bytes of memory; a sanitizer's allocators keep what is freed
ANSWER = http1.response_bytes(200, body=b"x" * 2**23)  # the system's buffers, of up to 4 MiB, must not take all of it


@dataclass(frozen=True)
class Attack:
    options: str  # of the tool
    path: str
    ends: dict    # what the access log says of each of its requests
    clients: int = 300


ATTACKS = {
    # One more field every second: it does not extend the time for a head.
    "slow-headers": Attack("-H -i 1", "/public/x", {"status": 408, "reason": "header_timeout"}),
    # A piece of a body, and no other within idle_timeout.
    "slow-body": Attack(f"-B -i {2 * LONGEST}", "/public/x", {"status": 408, "reason": "body_timeout"}),
    # Some bytes of a body every second, with which nobody gets anywhere.
    "slow-trickle": Attack("-B -i 1", "/public/x", {"status": 408, "reason": "body_timeout"}),
    # A window of some bytes, five of which are read every second; fewer, for each fills megabytes of system buffers.
    "slow-read": Attack("-X -n 1 -w 8 -y 64 -z 5", "/public/large", {"status": 200, "reason": "client_gone"}, 100),
    # Thousands of overlapping ranges: to the gateway a field like any other.
    "ranges": Attack("-R -a 5 -b 2000", "/public/x", {"status": 200, "method": "HEAD"}),
}


class Slowhttptest:
    """The tool. It ends when it sees that none of its connections is left, else after LONGEST."""

    def __init__(self, site, attack: Attack, folder):
        host, port = site.gateway.address
        self._log = folder / "slowhttptest.log"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                ["slowhttptest", *attack.options.split(), "-c", str(attack.clients), "-r", str(attack.clients),
                 "-l", str(LONGEST), "-p", str(round(PATIENCE)), "-u", f"https://{host}:{port}{attack.path}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def runs(self) -> bool:
        return self.process.poll() is None

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def __enter__(self) -> "Slowhttptest":
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()


class Others:
    """A user and newcomers. Each request of theirs takes a new connection."""

    def __init__(self, site):
        self._site, self._user = site, site.browser("alice")
        self._user.close()
        self.connections = 1

    def are_served(self) -> None:
        assert self._user.user() == "alice"
        self._user.close()
        with self._site.client() as newcomer:
            assert newcomer.get("/public/newcomer").status == 200
        self.connections += 2


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_slow_clients_are_cut_and_keep_nobody_from_the_gateway(new_site, tmp_path, attack):
    site = new_site(limits={"header_timeout": milliseconds(HEAD_TIME), "idle_timeout": milliseconds(IDLE_TIME)})
    site.app.on("/public/large", lambda exchange: ANSWER)
    at_start = site.gateway.metrics()["rotagate_connections_accepted_total"]
    others = Others(site)

    def has_cut_all() -> bool:
        metrics = site.gateway.metrics()
        came = metrics["rotagate_connections_accepted_total"] - at_start - others.connections
        return came >= attack.clients and metrics["rotagate_connections_open"] == 0

    with site.gateway.flat_memory(ALLOWANCE), Slowhttptest(site, attack, tmp_path) as tool:
        while tool.runs() and not has_cut_all():  # who reads slowly is late to see that it is cut
            others.are_served()
        assert "Hit test time limit" not in tool.log(), tool.log()
        poll(has_cut_all, "no connection is left")
        poll(lambda: not site.gateway.untaken(), "the system keeps nothing for who does not take it")
        others.are_served()

    def as_expected() -> bool:
        ends = [line for line in site.gateway.access_log() if attack.ends.items() <= line.items()]
        return len(ends) >= 0.8 * attack.clients  # on a busy machine, handshakes may be cut, too

    poll(as_expected, f"requests that ended with {attack.ends}\n{tool.log()}")


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_a_client_asks_no_more_often_than_its_route_allows(new_site, protocol):
    """SECURITY C12: rate limit per IP. What a client is, trusted proxies tell."""
    limited = route("/login", "optional", sessions="control", rate_limit={"requests": 3, "per": "1h"})
    site = new_site(trusted_proxies=["127.0.0.1/32"], routes=[limited, *(one for one in ROUTES if one["match"]["path"] != "/login")])
    before = len(site.app.requests("/login"))
    with site.client() if protocol == "http1" else site.http2() as client:
        def status(address: str, path: str = "/login") -> int:
            return client.get(path, {"X-Forwarded-For": address}).status

        assert [status("192.0.2.1") for _ in range(5)] == [200] * 3 + [429] * 2
        assert [status("192.0.2.2") for _ in range(4)] == [200] * 3 + [429]
        assert [status(f"2001:db8::{number}") for number in range(1, 5)] == [200] * 3 + [429]
        assert status("2001:db8:0:1::1") == 200 and status("192.0.2.1", "/public/x") == 200
        refused = client.get("/login", {"X-Forwarded-For": "192.0.2.1"})
        assert refused.json()["error"] == "too_many_requests" and 1150 < int(refused.one("Retry-After")) <= 1200
        assert site.gateway.await_security("too_many_requests")["client"] == "192.0.2.1"
        site.gateway.reload(limits={"connections": 1000})
        assert status("192.0.2.1") == 429, "a reload forgets nothing"
        login = client.get(asked("/login", {"X-Session-User": "alice"}), {"X-Forwarded-For": "192.0.2.3"})
        cookie = {"X-Forwarded-For": "192.0.2.3", "Cookie": f"{COOKIE}={session_cookie(login).value}"}
        answers = [client.get("/login", cookie) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429] and session_cookie(answers[2])
    assert len(site.app.requests("/login")) == before + 3 + 3 + 3 + 1 + 3
