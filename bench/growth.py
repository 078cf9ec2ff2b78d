#!/usr/bin/python3
"""Compares the CPU time per request with few sessions in the store and with many, and what a session takes in memory.

Two gateways with a store each, one worker, alone on CPU 0; the load generator (wrk), the app and Redis on CPU 1. The
requests are of as many active sessions, drawn by lot from all: how often a session comes decides how often its renewal
is written. The two take turns within each round.
"""

import argparse
import contextlib
import pathlib
import random
import statistics
import subprocess
import tempfile

import compare
import peers
from peers import Peer


def log_in(peer: Peer, sessions: int, cookies: pathlib.Path) -> int:
    """Logs users in until there are about that many sessions, or a few more; returns how many."""
    first = [f"first{number}" for number in range(min(sessions, 1_000))]
    cookies.write_text("\n".join(compare.log_in(peer.port, *first)) + "\n")
    count = len(first)
    while count < sessions:
        subprocess.run(["taskset", "-c", str(compare.LOAD_CPU), "wrk", "-t1", f"-c{compare.CONNECTIONS}", "-d5s",
                        "-s", peers.TEMPLATES / "log_in.lua", f"https://127.0.0.1:{peer.port}/", "--", str(count),
                        str(cookies)], check=True, capture_output=True)
        before, count = count, sum(1 for _ in cookies.open())
        if count == before:
            raise SystemExit(f"nobody can log in at {peer.name}")
        print(f"{peer.name}: {count}", flush=True)
    return count


def draw(cookies: pathlib.Path, most: int) -> None:
    """Leaves at most that many cookies in the file."""
    lines = cookies.read_text().splitlines()
    if len(lines) > most:
        lines = random.Random(1).sample(lines, most)
    cookies.write_text("\n".join(lines) + "\n")


def memory_of(peer: Peer) -> int:
    """Bytes: of the store where it is Redis, else of the gateway."""
    if peer.redis:
        text = subprocess.run(["redis-cli", "-u", peer.store_url, "info", "memory"], check=True, capture_output=True,
                              text=True).stdout
        return int(next(line for line in text.splitlines() if line.startswith("used_memory:")).split(":")[1])
    status = pathlib.Path(f"/proc/{peer.process.pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def grow(store: str, sizes: list[int], arguments) -> list[str]:
    """The rows of the table for one store."""
    with tempfile.TemporaryDirectory(prefix="rotagate-growth-") as name, contextlib.ExitStack() as running:
        folder = pathlib.Path(name)
        peers.make_certificate(folder)
        subprocess.run([arguments.build / "rotagate", "keygen", "--out", folder / "cookie.key"], check=True,
                       capture_output=True)
        app, app_port = compare.start_app(folder, arguments.build)
        running.callback(peers.stop, app)
        sites = []
        for size in sizes:
            peer = Peer(f"{store}-{size}", "rotagate.yaml",
                        [arguments.build / "rotagate", "run", "--config", "{config}"], store)
            running.callback(peer.stop)
            peer.start(folder, app_port, compare.PROXY_CPU, compare.LOAD_CPU)
            cookies = folder / f"{size}.cookies"
            before = memory_of(peer)
            count = log_in(peer, size, cookies)
            sites.append((peer, count, (memory_of(peer) - before) / count, cookies))
            draw(cookies, arguments.active)
        samples = {peer.name: [] for peer, *_ in sites}
        for number in range(arguments.rounds):
            for peer, _, _, cookies in sites if number % 2 else sites[::-1]:
                sample = compare.measure(peer, "spread_cookies.lua", lambda: str(cookies), 1024, arguments.seconds)
                samples[peer.name].append(sample)
                print(f"round {number + 1}  {peer.name:14} {compare.figures(sample)}", flush=True)
        few = samples[sites[0][0].name]
        return [row(store, count, size, samples[peer.name], few) for peer, count, size, _ in sites]


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def row(store: str, count: int, size: float, samples: list[compare.Sample], few: list[compare.Sample]) -> str:
    ratios = [mine.cpu_us / other.cpu_us for mine, other in zip(samples, few)]
    redis = [(mine.redis_us, other.redis_us) for mine, other in zip(samples, few) if mine.redis_us]
    redis_cells = (f"{spread([mine for mine, _ in redis], 1)} | {spread([mine / other for mine, other in redis], 2)}"
                   if redis else "– | –")
    return (f"| {store} | {count} | {spread([sample.cpu_us for sample in samples], 1)} | {spread(ratios, 2)} "
            f"| {redis_cells} | {size:.0f} |")


def table(rows: list[str]) -> str:
    return "\n".join(["| store | sessions | CPU µs/request, median (least to most) | to few | Redis, µs/request | to few "
                      "| bytes per session |", "| --- | --- | --- | --- | --- | --- | --- |", *rows])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench growth", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=compare.ROOT / "build" / "release")
    parser.add_argument("--stores", nargs="+", choices=["memory", "lmdb", "redis"], default=["memory", "lmdb", "redis"])
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--active", type=int, default=1_000, help="sessions that requests are drawn from")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--write", action="store_true", help="put the table into bench/RESULTS.md")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    rows = [line for store in arguments.stores for line in grow(store, [arguments.few, arguments.many], arguments)]
    print("\n" + table(rows))
    if arguments.write:
        compare.write_section("Growth with the number of sessions", "\n".join([
            table(rows), "",
            f"Requests of {arguments.active} sessions drawn by lot, {arguments.rounds} rounds of {arguments.seconds} s; a ratio "
            "compares within one round. A session's bytes are what the gateway's resident memory, or Redis' used_memory, "
            "has grown by, indexes included. Made by `./dev bench growth --write`.", ""]))


if __name__ == "__main__":
    main()
