"""The gateway as a process: its configuration, its logs, its admin address, its end."""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
from urllib.parse import quote

from harness import http1
from harness.client import RawClient, connect
from harness.deadlines import PATIENCE, SCALE, milliseconds, poll
from harness.http2 import FrameClient, Http2Client

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("ROTAGATE_BUILD", ROOT / "build" / "release"))
PROGRAM = BUILD / "rotagate"
SANITIZER_REPORTS = ("AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "runtime error:")
COOKIE = "__Host-session"


def rotagate(*arguments, patience: float = PATIENCE, **options) -> subprocess.CompletedProcess:
    """Runs one of the commands to its end."""
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=patience, **options)


_handed_out: set[int] = set()
_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _workers


def free_port() -> int:
    """A port below the range that the system hands out, so that nobody takes it before the gateway does; each process
    that tests at the same time has its own share. No port comes twice: one that a test wants to be dead must not become
    a listener's."""
    while True:
        port = random.randrange(20000 + _worker, 32000, _workers)
        if port in _handed_out:
            continue
        _handed_out.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def with_free_ports(config: dict) -> dict:
    """The configuration with a free port in place of each port 0."""
    text = json.dumps(config)
    while '"127.0.0.1:0"' in text:
        text = text.replace('"127.0.0.1:0"', f'"127.0.0.1:{free_port()}"', 1)
    return json.loads(text)


def merged(base: dict, changes: dict) -> dict:
    """The base with changes laid over it: maps by key, all else replaced."""
    result = dict(base)
    for key, value in changes.items():
        both_maps = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both_maps else value
    return result


def route(path: str, access: str = "required", **settings) -> dict:
    """A route to the upstream `app`. Keywords `host` and `methods` belong to its match."""
    match = {"path": path} | {key: settings.pop(key) for key in ("host", "methods") if key in settings}
    return {"match": match, "upstream": "app", "access": access} | settings


def rotation(grace: float, **session) -> dict:
    """Settings of `session` with that grace, in seconds."""
    return merged({"rotation": {"grace": milliseconds(grace)}}, session)


ROUTES = [
    route("/public/", "public"),
    route("/optional/", "optional"),
    route("/login", "optional", sessions="control"),
    route("/control/", sessions="control"),
    route("/data/", sessions="control", session_data=True),
    route("/polling/", activity=False),
    route("/page/", on_unauthenticated={"redirect": "/login?next={uri}"}),
    route("/old/", rewrite={"strip_prefix": "/old"}),
    route("/"),
]


class Gateway:
    """Starts at once; stop() ends it, and fails if it did not end well.

    @param environment  what the process has in its environment besides
    """

    def __init__(self, folder: pathlib.Path, config: dict, trust: pathlib.Path, environment: dict | None = None):
        self.folder, self.config, self.trust = folder, with_free_ports(config), trust
        self._environment = environment or {}
        self.address = self.endpoint(0)
        self._write_config()
        self._out, self._err = open(folder / "stdout", "wb"), open(folder / "stderr", "wb")
        self.process = subprocess.Popen([PROGRAM, "run", "--config", folder / "rotagate.yaml"],
                                        stdout=self._out, stderr=self._err, env=os.environ | self._environment)
        self._await_listeners()

    def endpoint(self, listener: int) -> tuple[str, int]:
        """Host and port of the n-th listener."""
        return self._endpoint(self.config["listen"][listener]["address"])

    def admin_endpoint(self) -> tuple[str, int]:
        return self._endpoint(self.config["admin"]["address"])

    @staticmethod
    def _endpoint(text: str) -> tuple[str, int]:
        host, _, port = text.rpartition(":")
        return host, int(port)

    def _write_config(self) -> None:
        # JSON is YAML, too.
        (self.folder / "rotagate.yaml").write_text(json.dumps(self.config, indent=2))

    def _await_listeners(self) -> None:
        for listener in self.config["listen"] + ([self.config["admin"]] if "admin" in self.config else []):
            poll(lambda: self._accepts(listener["address"]), f"listening on {listener['address']}\n{self.stderr()}")

    def _accepts(self, address: str) -> bool:
        assert self.process.poll() is None, f"the gateway ended at its start:\n{self.stderr()}"
        try:
            if address.startswith("unix:"):
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(address.removeprefix("unix:"))
            else:
                connect(self._endpoint(address)).close()
            return True
        except OSError:
            return False

    # ---- talking to it ------------------------------------------------------------------------------------------

    def client(self, **options) -> RawClient:
        return RawClient(self.address, **{"trust": self.trust} | options)

    def http2(self, **options) -> Http2Client:
        return Http2Client(self.address, **{"trust": self.trust} | options)

    def frames(self, **options) -> FrameClient:
        return FrameClient(self.address, **{"trust": self.trust} | options)

    def admin(self, method: str, target: str, headers=None) -> http1.Response:
        address = self.admin_endpoint()
        with RawClient(address) as client:
            return client.request(method, target, headers, host="%s:%d" % address)

    def sessions(self, **selection) -> list[dict]:
        """All that the admin address lists for user= or org=, page by page."""
        query = "&".join(f"{name}={value}" for name, value in selection.items())
        found, cursor = [], ""
        while True:
            page = self.admin("GET", f"/v1/sessions?{query}" + (f"&cursor={quote(cursor)}" if cursor else "")).json()
            found += page["sessions"]
            cursor = page.get("cursor")
            if not cursor:
                return found

    def revoke(self, query: str) -> int:
        return self.admin("DELETE", f"/v1/sessions?{query}").json()["revoked"]

    def users(self) -> int:
        return self.admin("GET", "/v1/users/count").json()["users"]

    def metrics(self) -> dict[str, float]:
        """Samples by their full name, labels included."""
        text = self.admin("GET", "/metrics").body.decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def store_calls(self) -> float:
        """How often a cookie was presented to the store."""
        return self.metrics()["rotagate_store_calls_total"]

    # ---- looking at it ------------------------------------------------------------------------------------------

    def stderr(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")

    def logged(self) -> str:
        """Everything it wrote, anywhere."""
        return "".join((self.folder / name).read_text(errors="replace")
                       for name in ("stdout", "stderr", "access.log", "security.log") if (self.folder / name).exists())

    def _json_lines(self, name: str) -> list[dict]:
        file = self.folder / name
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def access_log(self) -> list[dict]:
        return self._json_lines("access.log")

    def access_line(self, request_id: str) -> dict:
        """The line of one request, once it is written."""
        return poll(lambda: next((line for line in self.access_log() if line["request_id"] == request_id), None),
                    f"an access line of request {request_id}")

    def security_log(self, reason: str | None = None, user: str | None = None) -> list[dict]:
        return [line for line in self._json_lines("security.log")
                if (reason is None or line["reason"] == reason) and (user is None or line.get("user") == user)]

    def await_security(self, reason: str, user: str | None = None) -> dict:
        """The latest line with that reason, once there is one."""
        lines = poll(lambda: self.security_log(reason, user),
                     f"a security line {reason} {user or ''} in {self.security_log()}")
        return lines[-1]

    def _memory(self, entry: str) -> int:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{entry}:\s+(\d+) kB", status)[1]) * 1024

    def untaken(self) -> list[str]:
        """The connections whose end the gateway has sent, behind what their clients have not taken yet."""
        fin_wait_1, address = "04", f":{self.address[1]:04X}"
        lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return [line[1] for line in lines if line[1].endswith(address) and line[3] == fin_wait_1]

    @contextlib.contextmanager
    def flat_memory(self, allowance: int):
        """Fails if the process needs more than `allowance` bytes beyond what it has now, at any time."""
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")  # resets the peak, see proc(5)
        before = self._memory("VmRSS")
        yield
        grown = self._memory("VmHWM") - before
        assert grown <= allowance, f"grew by {grown >> 20} MiB, from {before >> 20} MiB"

    # ---- its configuration --------------------------------------------------------------------------------------

    def hang_up(self, answers: tuple[str, ...] = ("reload.done", "reload.failed")) -> str:
        """Has it read its configuration anew; returns what it said until that was over."""
        before = len(self.stderr())
        self.process.send_signal(signal.SIGHUP)
        return poll(lambda: next((said for said in [self.stderr()[before:]] for answer in answers if answer in said), ""),
                    lambda: f"an answer to SIGHUP\n{self.stderr()}")

    def reload(self, **changes) -> str:
        """Lays changes over its configuration, which must come into force; returns what it said."""
        self.config = with_free_ports(merged(self.config, changes))
        self._write_config()
        said = self.hang_up()
        assert "reload.done" in said, said
        return said

    def refuses_to_reload(self, **changes) -> list[str]:
        """The same for changes that must be refused; returns the mistakes as LINE:COLUMN: message. The file is as it
        was afterwards."""
        good, self.config = self.config, merged(self.config, changes)
        self._write_config()
        said = self.hang_up()
        self.config = good
        self._write_config()
        assert "reload.failed" in said, said
        place = f'reload.error message="{self.folder / "rotagate.yaml"}:'
        return [line.partition(place)[2].rstrip('"') for line in said.splitlines() if place in line]

    # ---- its end ------------------------------------------------------------------------------------------------

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.kill()
        self.process.wait()
        self._out.close()
        self._err.close()

    def started_again(self) -> "Gateway":
        """Another process in place of one that has ended: the same configuration, keys, ports and logs."""
        return Gateway(self.folder, self.config, self.trust, self._environment)

    def stop(self, patience: float = PATIENCE) -> None:
        if self.process.poll() is None:
            self.terminate()
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"SIGTERM did not end it within {patience:g} s:\n{self.stderr()}") from None
        finally:
            self._out.close()
            self._err.close()
        assert not any(report in self.stderr() for report in SANITIZER_REPORTS), self.stderr()
        assert status == 0, f"ended with {status}:\n{self.stderr()}"


def standard_config(folder: pathlib.Path, certificates, key: pathlib.Path, servers: list[str]) -> dict:
    """One thread and at most one idle connection to the app, so that all users share it: the canary's oracle."""
    return {
        "listen": [{"address": "127.0.0.1:0", "tls": {
            "certificates": [certificates.example.listed(), certificates.api.listed()]}}],
        "session": {"store": "memory", "cookie": {"name": COOKIE, "key_files": [str(key)]}},
        "upstreams": {"app": {"servers": servers, "max_idle_connections": 1,
                              "connect_timeout": "2s", "response_timeout": f"{int(20 * SCALE)}s"}},
        "routes": ROUTES,
        "admin": {"address": "127.0.0.1:0"},
        "log": {"access": str(folder / "access.log"), "security": str(folder / "security.log")},
        "threads": 1,
    }
