"""The proxies that are held beside each other, the app behind them, and the CPU time that they use."""

import contextlib
import http.client
import os
import pathlib
import resource
import signal
import socket
import ssl
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

TEMPLATES = pathlib.Path(__file__).parent / "templates"
CIPHER = "TLS_AES_256_GCM_SHA384"
PROXY_CPU, LOAD_CPU = 0, 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(folder: pathlib.Path) -> None:
    """An ECDSA P-256 certificate for all: bench.crt, bench.key, and both in bench.pem."""
    key, cert = folder / "bench.key", folder / "bench.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    key.chmod(0o600)
    (folder / "bench.pem").write_text(cert.read_text() + key.read_text())


def family(pid: int) -> list[int]:
    """The process and all that it started."""
    children = [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                for child in (task / "children").read_text().split()]
    return [pid] + [member for child in children for member in family(child)]


def cpu_us(process: subprocess.Popen) -> float:
    """CPU time of the process and its children, all threads; the kernel counts it in nanoseconds."""
    tasks = (task for member in family(process.pid) for task in pathlib.Path(f"/proc/{member}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e3


def resident_bytes(process: subprocess.Popen) -> int:
    """Resident memory of the process and its children."""
    statuses = (pathlib.Path(f"/proc/{member}/status").read_text() for member in family(process.pid))
    return sum(1024 * int(line.split()[1]) for status in statuses for line in status.splitlines()
               if line.startswith("VmRSS"))


def start(cpu: int, command: list, log: pathlib.Path) -> subprocess.Popen:
    with open(log, "wb") as out:
        return subprocess.Popen(["taskset", "-c", str(cpu), *map(str, command)], stdout=out, stderr=subprocess.STDOUT)


def await_port(port: int, process: subprocess.Popen, log: pathlib.Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"{process.args} does not listen; its last words:\n{log.read_text()[-2000:]}")


def start_redis(folder: pathlib.Path, port: int) -> subprocess.Popen:
    """A redis-server without persistence, over TCP as it is mostly used."""
    log = folder / f"redis-{port}.log"
    redis = start(LOAD_CPU, ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
                  log)
    await_port(port, redis, log)
    return redis


def stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def trust_any() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@dataclass
class Peer:
    """One proxy under measurement."""
    name: str
    template: str
    command: list  # with {config} for the path of the filled-in template
    store: str = ""  # of the sessions, if it has any: memory, lmdb, redis (its own), or the URL of another's
    http2: bool = True
    grace: str = "10s"  # rotation.grace
    port: int = field(default_factory=free_port)
    redis_port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    redis: subprocess.Popen | None = None

    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/0"

    def start(self, folder: pathlib.Path, app_port: int) -> None:
        store = self.store
        if self.store == "redis":
            self.redis = start_redis(folder, self.redis_port)
            store = self.redis_url()
        elif self.store == "lmdb":
            store = f"lmdb:{folder}/sessions-{self.port}"
        config = folder / f"{self.name}-{self.template}"
        template = string.Template((TEMPLATES / self.template).read_text())
        config.write_text(template.substitute(folder=folder, name=self.name, port=self.port, app_port=app_port,
                                              cipher=CIPHER, admin_port=free_port(), store=store, grace=self.grace,
                                              redis_port=self.redis_port, templates=TEMPLATES))
        log = folder / f"{self.name}.log"
        command = [str(part).replace("{config}", str(config)) for part in self.command]
        self.process = start(PROXY_CPU, command, log)
        await_port(self.port, self.process, log)

    def stop(self) -> None:
        for process in (self.process, self.redis):
            if process:
                stop(process)
        self.process = self.redis = None

    def state(self) -> str:
        status = self.process.poll()
        return "runs" if status is None else f"ended with {status}"

    def tls(self) -> str:
        """What a client with OpenSSL's defaults negotiates, like wrk."""
        with (socket.create_connection(("127.0.0.1", self.port)) as plain,
              trust_any().wrap_socket(plain) as secured):
            return f"{secured.version()} {secured.cipher()[0]}"

    def log_in(self, *users: str) -> list[str]:
        """The session cookies of new logins, as Cookie headers carry them."""
        connection, cookies = http.client.HTTPSConnection("127.0.0.1", self.port, context=trust_any()), []
        for user in users:
            connection.request("POST", "/login", f"user={user}", {"Content-Type": "application/x-www-form-urlencoded"})
            answer = connection.getresponse()
            answer.read()
            set_cookies = answer.headers.get_all("Set-Cookie", [])
            if answer.status != 303 or len(set_cookies) != 1:
                raise SystemExit(f"the login at {self.name} got {answer.status} and {len(set_cookies)} cookies")
            cookies.append(set_cookies[0].split(";")[0])
        return cookies

    def cookie(self) -> str:
        """A new session's; proxies without sessions get one as long as rotagate's, so that requests are equally long."""
        return self.log_in("alice")[0] if self.store else "__Host-session=".ljust(150, "x")


def rotagate(name: str, build: pathlib.Path, store: str) -> Peer:
    return Peer(name, "rotagate.yaml", [build / "rotagate", "run", "--config", "{config}"], store)


def known(build: pathlib.Path) -> dict[str, Peer]:
    return {peer.name: peer for peer in (
        Peer("nginx", "nginx.conf", ["nginx", "-c", "{config}"]),
        Peer("haproxy", "haproxy.cfg", ["haproxy", "-db", "-q", "-f", "{config}"]),
        Peer("nginx-lua", "nginx-lua.conf", ["nginx", "-c", "{config}"], "redis", http2=False),
        rotagate("rotagate", build, "memory"),
        rotagate("rotagate-redis", build, "redis"),
    )}


def start_app(folder: pathlib.Path, build: pathlib.Path) -> tuple[subprocess.Popen, int]:
    port, log = free_port(), folder / "app.log"
    app = start(LOAD_CPU, [build / "rotagate-demo-app", "--listen", f"127.0.0.1:{port}"], log)
    await_port(port, app, log)
    return app, port


@dataclass
class Site:
    """Proxies that run, each before an app of its own: 5,000 connections each to one would use up the ports."""
    folder: pathlib.Path
    build: pathlib.Path
    peers: list[Peer]

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        with contextlib.ExitStack() as running:
            for peer in self.peers:
                app, app_port = start_app(self.folder, self.build)
                running.callback(stop, app)
                running.callback(peer.stop)
                peer.start(self.folder, app_port)
            yield

    @contextlib.contextmanager
    def twins(self, suffix: str) -> Iterator[list[Peer]]:
        """One more of each proxy, fresh."""
        fresh = [Peer(f"{peer.name}-{suffix}", peer.template, peer.command, peer.store, peer.http2) for peer in self.peers]
        with Site(self.folder, self.build, fresh).started():
            yield fresh


def allow_many_files() -> None:
    """5,000 connections take as many files, and twice as many in a proxy."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def running(build: pathlib.Path, chosen: list[Peer]) -> Iterator[Site]:
    if not {PROXY_CPU, LOAD_CPU} <= os.sched_getaffinity(0):
        raise SystemExit("this needs CPUs 0 and 1 for itself")
    allow_many_files()
    for number in (signal.SIGTERM, signal.SIGHUP):  # as an interruption does, they end what was started, too
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="rotagate-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # nginx, started by root, has its workers run as another user
        make_certificate(folder)
        subprocess.run([build / "rotagate", "keygen", "--out", folder / "cookie.key"], check=True, capture_output=True)
        site = Site(folder, build, chosen)
        with site.started():
            yield site
