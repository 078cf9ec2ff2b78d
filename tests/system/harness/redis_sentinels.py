"""A master, its replicas, and three sentinels that watch them."""

import pathlib
import time

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

    def __init__(self, new_folder, replicas: int = 2, password: str | None = None, clock_shift: int = 0, **options):
        """@param clock_shift  seconds by which the replicas' clocks are ahead of the master's
        @param options      of each server's redis.conf
        """
        self.password = password
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
            # They look often, so that nobody waits for them; and being slow is no reason to do nothing for 30 s.
            sentinel.redis.execute_command("SENTINEL", "DEBUG", "info-period", 200, "ping-period", 100,
                                           "ask-period", 100, "publish-period", 200, "tilt-period", 1000)
            poll(lambda: self._sees_all(sentinel), f"a sentinel sees everybody\n{sentinel.said()}")

    def _configuration(self, port: int, ports: list[int]) -> list[str]:
        master, *replicas = self.servers
        lines = [f"sentinel myid {port:040x}", f"sentinel monitor {NAME} {HOST} {master.port} {QUORUM}",
                 f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER}",
                 f"sentinel failover-timeout {NAME} {FAILOVER_TIMEOUT}", f"sentinel parallel-syncs {NAME} 2"]
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

    def await_promotion(self, old: RedisServer) -> tuple[RedisServer, float]:
        """Who has the place of a lost master, and since when (time.monotonic())."""
        others = [server for server in self.servers if server is not old and server.process]
        new = poll(lambda: next((server for server in others if server.is_master), None),
                   "a promotion\n" + self.sentinels[0].said(), FAILOVER_PATIENCE)
        return new, time.monotonic()

    def await_agreement(self, new: RedisServer, replicas: int) -> None:
        """Until all sentinels name the new master, and so many replicas confirm what it writes."""
        poll(lambda: self.master() is new, "the sentinels name the new master", FAILOVER_PATIENCE)
        new.await_replicas(replicas)

    def close(self) -> None:
        for process in self.sentinels + self.servers:
            process.close()
