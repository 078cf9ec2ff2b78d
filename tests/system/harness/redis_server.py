"""A Redis server as a process, with what operators and accidents do to it."""

import os
import pathlib
import shutil
import signal
import subprocess
from urllib.parse import quote

from redis import ConnectionError, Redis, TimeoutError
from redis.backoff import NoBackoff
from redis.retry import Retry

from harness.deadlines import PATIENCE, poll
from harness.gateway import free_port
from harness.shifted_clock import shifted_clock

HOST = "127.0.0.1"


class RedisProcess:
    """A program of Redis in a folder of its own, with a configuration file. Starts at once."""

    def __init__(self, program: str, folder: pathlib.Path, port: int, lines: list[str], clock_shift: int = 0):
        self.program, self.folder, self.port, self._clock_shift = program, folder, port, clock_shift
        self.file, self.log, self.process = folder / "redis.conf", folder / "log", None
        self._client: Redis | None = None
        self.file.write_text("\n".join([*lines, f"dir {folder}", f"logfile {self.log}"]) + "\n")
        self.start()

    def client(self, **options) -> Redis:
        """A connection pool of one's own. A connection that was cut (a failover does so) is replaced silently."""
        return Redis(**{"host": HOST, "port": self.port, "socket_timeout": PATIENCE, "decode_responses": True,
                        "retry": Retry(NoBackoff(), 2), "retry_on_error": [ConnectionError]} | options)

    @property
    def redis(self) -> Redis:
        """A client that the tests share. It waits no longer than everything else."""
        if self._client is None:
            self._client = self.client()
        return self._client

    def start(self) -> None:
        assert self.process is None
        self.process = subprocess.Popen([self.program, self.file], stdout=subprocess.DEVNULL,
                                        env=os.environ | shifted_clock(self._clock_shift, self.folder))
        try:
            poll(self._answers, f"{self.program} answers")
        except BaseException:
            self.kill()
            raise AssertionError(f"{self.program} does not start; it said:\n{self.said()}") from None

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"{self.program} ended at its start:\n{self.said()}"
        try:
            return self.redis.ping()
        except (ConnectionError, TimeoutError):  # LOADING is one of them
            return False

    def turn_clock(self, seconds: int) -> None:
        """Of the next start: it is that much ahead."""
        self._clock_shift = seconds

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def pause(self) -> None:
        """It keeps its connections, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """As kill -9 does: nothing is said to anybody, and nothing saved."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """The orderly way."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process = None

    def close(self) -> None:
        if self._client:
            self._client.close()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def setting(name: str, value) -> list[str]:
    """A keyword argument as lines of redis.conf: `_` is `-`, a list is several lines, None is none."""
    if value is None:
        return []
    return [f"{name.replace('_', '-')} {one}" for one in (value if isinstance(value, list) else [value])]


class RedisServer(RedisProcess):
    """Keeps nothing on disk unless told to (`appendonly="yes"`).

    @param certificate  speaks TLS only, with this one
    @param unix         listens on a socket in its folder, too
    @param users        ACL users by name, each with its rules: {"gateway": "on >secret ~* &* +@all"}
    @param password     of the default user
    @param clock_shift  seconds by which its clock is ahead
    @param options      all else that redis.conf knows
    """

    def __init__(self, folder: pathlib.Path, certificate=None, unix: bool = False, users: dict | None = None,
                 password: str | None = None, clock_shift: int = 0, **options):
        port, self.certificate, self.password = free_port(), certificate, password
        self.socket = folder / "redis.sock" if unix else None
        lines = {"bind": HOST, "port": port, "save": '""', "unixsocket": self.socket,
                 "requirepass": password, "masterauth": password,
                 "user": [f"{name} {rules}" for name, rules in (users or {}).items()],
                 # A replica that gets its data by a file confirms writes at once; by socket, up to a second later.
                 "repl_diskless_sync": "no", "repl_ping_replica_period": 1}
        if certificate:
            lines |= {"port": 0, "tls_port": port, "tls_cert_file": certificate.cert,
                      "tls_key_file": certificate.key, "tls_ca_cert_file": certificate.cert,
                      "tls_auth_clients": "no"}
        lines |= options
        super().__init__("redis-server", folder, port, [line for item in lines.items() for line in setting(*item)],
                         clock_shift)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return self.url_of()

    def url_of(self, user: str = "", password: str | None = None, db: int | None = None) -> str:
        """For session.store. Without a password, the default user's counts."""
        password = password or self.password
        credentials = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else ""
        if self.socket:
            return f"redis+unix://{credentials}{self.socket}" + (f"?db={db}" if db is not None else "")
        scheme = "rediss" if self.certificate else "redis"
        return f"{scheme}://{credentials}{self.address}" + (f"/{db}" if db is not None else "")

    def client(self, **options) -> Redis:
        tls = {"ssl": True, "ssl_ca_certs": str(self.certificate.cert)} if self.certificate else {}
        return super().client(**{"password": self.password} | tls | options)

    def restart_empty(self) -> None:
        """Killed, and what it had is lost."""
        self.kill()
        for kept in self.folder.glob("appendonlydir"):
            shutil.rmtree(kept)
        self.start()

    def use_password(self, password: str) -> None:
        """The default user's is another one now."""
        self.password = password
        self._client.close()
        self._client = None

    # ---- replication ----------------------------------------------------------------------------------------------

    @property
    def is_master(self) -> bool:
        return self.redis.role()[0] == "master"

    def follow(self, master: "RedisServer") -> None:
        """Becomes a replica, and has the master's data when this returns."""
        self.redis.replicaof(HOST, master.port)
        self.await_link()

    def await_link(self) -> None:
        poll(lambda: self.redis.info("replication").get("master_link_status") == "up",
             f"the replica at {self.address} has its master's data")

    def confirming_replicas(self) -> int:
        """Those that confirm what is written: that comes a while after they have all data."""
        replicas = [value for name, value in self.redis.info("replication").items() if name.startswith("slave")
                    and isinstance(value, dict)]
        return sum(replica["state"] == "online" and replica["offset"] > 0 for replica in replicas)

    def await_replicas(self, count: int) -> None:
        poll(lambda: self.confirming_replicas() >= count,
             lambda: f"{count} replicas confirm what {self.address} writes\n{self.said()}")

    def lead(self) -> None:
        """Becomes a master."""
        self.redis.replicaof("NO", "ONE")

    # ---- looking at it --------------------------------------------------------------------------------------------

    def keys(self, beginning: str = "", db: int = 0) -> list[str]:
        with self.client(db=db) as client:
            return sorted(key for key in client.keys("*") if key.startswith(beginning))

    def cut_connections(self, kind: str = "normal") -> None:
        """Drops all connections of a kind, but the one that says so."""
        self.redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def key_part(text: str) -> str:
    """A user id or an organization, as keys have it (SPEC section 7)."""
    return quote(text, safe="@+")


def session_prefix(user: str, org: str | None = None) -> str:
    """What the keys of all sessions of a user begin with."""
    return "s:{" + (f"{key_part(org)}/" if org else "") + key_part(user) + "}."
