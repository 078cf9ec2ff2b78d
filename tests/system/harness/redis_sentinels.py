"""A master, its replicas, and three sentinels that watch them."""

import contextlib
import pathlib
import time

from redis import ResponseError

from harness.deadlines import PACE, PATIENCE, poll
from harness.gateway import free_port
from harness.redis_server import HOST, RedisProcess, RedisServer

NAME = "mymaster"
DOWN_AFTER = int(500 * PACE)         # milliseconds without an answer
FAILOVER_TIMEOUT = int(1500 * PACE)  # milliseconds; a lost election is held again after twice as long
QUORUM = 2
FAILOVER_PATIENCE = 3 * PATIENCE     # a lost election included


class Sentinel(RedisProcess):
    def __init__(self, folder: pathlib.Path, port: int, lines: list[str]):
        super().__init__("redis-sentinel", folder, port, [f"bind {HOST}", f"port {port}", *lines])

    def ask(self, question: str) -> list:
        return self.redis.execute_command("SENTINEL", question, NAME)


class RedisSentinels:
    """Ready when all know each other, and the replicas have what the master has."""

    def __init__(self, new_folder, replicas: int = 2, password: str | None = None, clock_shift: int = 0,
                 failover_timeout: int = FAILOVER_TIMEOUT, **options):
        """@param clock_shift     seconds by which the replicas' clocks are ahead of the master's
        @param failover_timeout  milliseconds, after which a failover that is under way is given up
        @param options         of each server's redis.conf
        """
        self.password, self._failover_timeout = password, failover_timeout
        self.servers: list[RedisServer] = []
        self.sentinels: list[Sentinel] = []
        try:
            self._start(new_folder, replicas, clock_shift, options)
        except BaseException:
            self.close()
            raise

    def _start(self, new_folder, replicas: int, clock_shift: int, options: dict) -> None:
        for shift in [0] + replicas * [clock_shift]:
            self.servers.append(RedisServer(new_folder(), password=self.password, clock_shift=shift, **options))
        for replica in self.servers[1:]:
            replica.redis.replicaof(HOST, self.servers[0].port)
        for replica in self.servers[1:]:
            replica.await_link()
        self.servers[0].await_replicas(replicas)
        # They would find each other by themselves, but not before two seconds have passed.
        ports = [free_port() for _ in range(3)]
        for port in ports:
            self.sentinels.append(Sentinel(new_folder(), port, self._configuration(port, ports)))
        for sentinel in self.sentinels:
            # They look often, so that nobody waits for them; and being slow is no reason to do nothing for 30 s. But:
            # a replica of a lost master says every second how it is, and counts for nothing once that is five
            # ping-periods old; and who has not heard of a promotion for four publish-periods undoes it.
            sentinel.redis.execute_command("SENTINEL", "DEBUG", "info-period", 200, "ping-period", 300,
                                           "ask-period", 100, "publish-period", 1000, "tilt-period", 1000)
            poll(lambda: self._sees_all(sentinel), f"a sentinel sees everybody\n{sentinel.said()}")

    def _configuration(self, port: int, ports: list[int]) -> list[str]:
        master, *replicas = self.servers
        lines = [f"sentinel myid {port:040x}", f"sentinel monitor {NAME} {HOST} {master.port} {QUORUM}",
                 f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER}",
                 f"sentinel failover-timeout {NAME} {self._failover_timeout}", f"sentinel parallel-syncs {NAME} 2"]
        lines += [f"sentinel auth-pass {NAME} {self.password}"] if self.password else []
        lines += [f"sentinel known-replica {NAME} {HOST} {replica.port}" for replica in replicas]
        return lines + [f"sentinel known-sentinel {NAME} {HOST} {other} {other:040x}"
                        for other in ports if other != port]

    def _sees_all(self, sentinel: Sentinel) -> bool:
        master, others = sentinel.ask("MASTER"), sentinel.ask("SENTINELS")
        master = dict(zip(master[::2], master[1::2]))
        replicas = [dict(zip(replica[::2], replica[1::2])) for replica in sentinel.ask("REPLICAS")]
        others = [dict(zip(other[::2], other[1::2])) for other in others]
        return (master["flags"] == "master" and len(others) == 2 and all(o["flags"] == "sentinel" for o in others) and
                len(replicas) == len(self.servers) - 1 and
                all(replica["master-link-status"] == "ok" for replica in replicas))

    @property
    def url(self) -> str:
        credentials = f":{self.password}@" if self.password else ""
        return f"redis+sentinel://{credentials}" + ",".join(f"{HOST}:{s.port}" for s in self.sentinels) + f"/{NAME}"

    def master(self) -> RedisServer:
        """Whom the sentinels name: all of them the same."""
        return self.server_at(poll(lambda: len(ports := {self._named(s) for s in self.sentinels}) == 1 and ports.pop(),
                                   "the sentinels agree", FAILOVER_PATIENCE))

    @staticmethod
    def _named(sentinel: Sentinel) -> int:
        return int(sentinel.ask("GET-MASTER-ADDR-BY-NAME")[1])

    def server_at(self, port: int) -> RedisServer:
        return next(server for server in self.servers if server.port == port)

    def replicas(self) -> list[RedisServer]:
        master = self.master()
        return [server for server in self.servers if server is not master]

    def fail_over(self, old: RedisServer) -> tuple[RedisServer, float]:
        """As an operator orders it. Returns as await_promotion."""
        sentinel, asked = self.sentinels[0], -1

        def promoted() -> RedisServer | None:
            # Replicas that a busy machine let wait are not good enough, and sentinels do not try again.
            nonlocal asked
            if (given_up := sentinel.said().count("-failover-abort")) > asked:
                with contextlib.suppress(ResponseError):  # none is good at the moment
                    sentinel.ask("FAILOVER")
                    asked = given_up
            return self._other_master(old)

        return poll(promoted, lambda: f"a failover\n{self._said()}", FAILOVER_PATIENCE), time.monotonic()

    def await_promotion(self, old: RedisServer) -> tuple[RedisServer, float]:
        """Who has the place of a lost master, and since when (time.monotonic())."""
        new = poll(lambda: self._other_master(old), lambda: f"a promotion\n{self._said()}", FAILOVER_PATIENCE)
        return new, time.monotonic()

    def _other_master(self, old: RedisServer) -> RedisServer | None:
        others = (server for server in self.servers if server is not old and server.process)
        return next((server for server in others if server.is_master), None)

    def await_agreement(self, new: RedisServer, replicas: int) -> None:
        """Until all sentinels name the new master, and so many replicas confirm what it writes."""
        poll(lambda: self.master() is new, lambda: f"the sentinels name the new master\n{self._said()}",
             FAILOVER_PATIENCE)
        poll(lambda: new.confirming_replicas() >= replicas, lambda: f"{replicas} replicas confirm\n{self._said()}",
             FAILOVER_PATIENCE)

    def _said(self) -> str:
        return "\n".join(f"{process.program} {process.port}:\n{process.said()}"
                         for process in self.sentinels + self.servers)

    def close(self) -> None:
        for process in self.sentinels + self.servers:
            process.close()
