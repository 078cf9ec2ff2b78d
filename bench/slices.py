"""CPU time per request of several proxies, measured side by side.

Turns of seconds scatter by a fifth on a shared machine, whose speed drifts. Here the loads of all proxies run at once,
but only one is awake at a time, for a tenth of a second, in random order: what slows the machine down meets all alike.
"""

import contextlib
import json
import mmap
import pathlib
import random
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import peers
from peers import Peer


@dataclass
class Sample:
    """One round of one proxy."""
    cpu_us: float     # of the proxy, per request
    redis_us: float | None  # of the Redis that it asks, per request
    rate: float       # requests per second while its load was awake
    busy: float       # the share of that time for which the proxy had its CPU


class Load:
    """A load generator that counts its requests in a file that both map (a double), and can be put to sleep."""

    def __init__(self, peer: Peer, counter: pathlib.Path, warm_up: int, command: list):
        counter.write_bytes(bytes(8))
        with open(counter, "r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 8)
        self.peer, self.warm_up, self.awake = peer, warm_up, 0.0
        self.command = ["taskset", "-c", str(peers.LOAD_CPU), *map(str, command)]
        self.process: subprocess.Popen | None = None

    def requests(self) -> float:
        return struct.unpack("d", self.shared)[0]

    def start(self) -> None:
        """Lets it connect and make its first requests, and puts it to sleep."""
        deadline = time.monotonic() + 60
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        while self.requests() < self.warm_up:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"{self.peer.name} ({self.peer.state()}) has served {self.requests():.0f} requests "
                                 f"of {self.warm_up}")
            time.sleep(0.01)
        self.sleep()

    def sleep(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def stay_awake(self, seconds: float) -> None:
        began = time.monotonic()
        self.process.send_signal(signal.SIGCONT)
        time.sleep(seconds)
        self.sleep()
        self.awake += time.monotonic() - began

    def end(self) -> None:
        """Has it stop by itself, and looks whether everything was served."""
        self.process.send_signal(signal.SIGCONT)
        counts = json.loads(self.interrupt().strip().splitlines()[-1])
        if any(count for what, count in counts.items() if what != "requests"):
            raise SystemExit(f"{self.peer.name} ({self.peer.state()}) has not served every request: {counts}")

    def interrupt(self) -> str:
        """Its last words. wrk hears an interrupt only if its main thread gets it, so it may take several."""
        for _ in range(20):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.send_signal(signal.SIGINT)
                return self.process.communicate(timeout=1)[0]
        raise SystemExit(f"the load of {self.peer.name} does not end")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


def wrk(folder: pathlib.Path, peer: Peer, script: str, argument: str, size: int, connections: int, warm_up: int) -> Load:
    counter = folder / f"{peer.name}.count"
    return Load(peer, counter, warm_up, [
        "wrk", "-t1", f"-c{connections}", "-d1h", "--timeout", "100s", "-s", peers.TEMPLATES / script,
        f"https://127.0.0.1:{peer.port}/bytes?n={size}", "--", counter, argument])


def browse(folder: pathlib.Path, peer: Peer, size: int, connections: int, warm_up: int = 3_000) -> Load:
    """Asks for so many bytes, and adopts every cookie."""
    return wrk(folder, peer, "adopt_cookie.lua", peer.cookie(), size, connections, warm_up)


@contextlib.contextmanager
def asleep(loads: list[Load]) -> Iterator[None]:
    """Starts one after the other, and ends all afterwards."""
    with contextlib.ExitStack() as started:
        for load in loads:
            started.callback(load.kill)
            load.start()
        yield
        for load in loads:
            load.end()


def used(load: Load) -> list[float]:
    redis = [peers.cpu_us(load.peer.redis)] if load.peer.redis else []
    return [load.requests(), load.awake, peers.cpu_us(load.peer.process), *redis]


def sample(load: Load, before: list[float]) -> Sample:
    requests, awake, cpu, *redis = (now - then for now, then in zip(used(load), before))
    if not requests or load.peer.process.poll() is not None:
        raise SystemExit(f"{load.peer.name} {load.peer.state()}, and has served {requests:.0f} requests")
    return Sample(cpu / requests, redis[0] / requests if redis else None, requests / awake, cpu / awake / 1e6)


def run_rounds(loads: list[Load], rounds: int, seconds: float, length: float = 0.1,
               drowsy: float = 0.004) -> dict[str, list[Sample]]:
    """@param seconds  that each load is awake in a round
    @param length   of a slice, seconds
    @param drowsy   seconds that a proxy gets to finish what a load has asked before it fell asleep"""
    samples = {load.peer.name: [] for load in loads}
    with asleep(loads):
        for number in range(rounds):
            time.sleep(0.2)
            before = [used(load) for load in loads]
            for _ in range(max(1, round(seconds / length))):
                for load in random.sample(loads, len(loads)):
                    load.stay_awake(length)
                    time.sleep(drowsy)
            time.sleep(0.2)
            for load, then in zip(loads, before):
                samples[load.peer.name].append(sample(load, then))
            figures = ", ".join(f"{name} {mine[-1].cpu_us:.1f} µs" for name, mine in samples.items())
            print(f"round {number + 1}: {figures}", flush=True)
    return samples


def cpu(samples: list[Sample]) -> list[float]:
    return [sample.cpu_us for sample in samples]


def redis(samples: list[Sample]) -> list[float]:
    return [sample.redis_us for sample in samples if sample.redis_us is not None]
