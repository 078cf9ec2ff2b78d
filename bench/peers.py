"""The proxies that compare.py holds beside each other, the app behind them, and the CPU time that they use."""

import os
import pathlib
import signal
import socket
import ssl
import string
import subprocess
import time
from dataclasses import dataclass, field

TEMPLATES = pathlib.Path(__file__).parent / "templates"
CIPHER = "TLS_AES_256_GCM_SHA384"
TICKS = os.sysconf("SC_CLK_TCK")


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


def cpu_seconds(pid: int) -> float:
    """utime + stime of the process and its children."""
    total = 0
    for member in family(pid):
        after_name = pathlib.Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        total += int(after_name[11]) + int(after_name[12])  # fields 14 and 15 of proc(5)
    return total / TICKS


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


def start_redis(folder: pathlib.Path, cpu: int) -> tuple[subprocess.Popen, str]:
    """A redis-server without persistence, over TCP as it is mostly used; returns its URL too."""
    port, log = free_port(), folder / "redis.log"
    redis = start(cpu, ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], log)
    await_port(port, redis, log)
    return redis, f"redis://127.0.0.1:{port}/0"


def stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class Peer:
    """One proxy under measurement."""
    name: str
    template: str
    command: list  # with {config} for the path of the filled-in template
    store: str = ""  # of rotagate: memory, lmdb or redis
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    redis: subprocess.Popen | None = None
    store_url: str = ""

    def start(self, folder: pathlib.Path, app_port: int, cpu: int, other_cpu: int) -> None:
        self.store_url = self.store
        if self.store == "redis":
            self.redis, self.store_url = start_redis(folder, other_cpu)
        elif self.store == "lmdb":
            self.store_url = f"lmdb:{folder}/sessions-{self.port}"
        config = folder / f"{self.name}-{self.template}"
        template = string.Template((TEMPLATES / self.template).read_text())
        config.write_text(template.substitute(folder=folder, port=self.port, app_port=app_port, cipher=CIPHER,
                                              admin_port=free_port(), store=self.store_url))
        log = folder / f"{self.name}.log"
        command = [str(part).replace("{config}", str(config)) for part in self.command]
        self.process = start(cpu, command, log)
        await_port(self.port, self.process, log)

    def stop(self) -> None:
        for process in (self.process, self.redis):
            if process:
                stop(process)

    def tls(self) -> str:
        """What a client with OpenSSL's defaults negotiates, like wrk."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.port)) as plain, context.wrap_socket(plain) as secured:
            return f"{secured.version()} {secured.cipher()[0]}"
