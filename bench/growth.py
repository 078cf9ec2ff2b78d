#!/usr/bin/python3
"""Compares the CPU time per request with few sessions in the store and with many, and what a session takes in memory.

Two gateways with a store each, one worker, alone on CPU 0; the load generator (wrk), the app and Redis on CPU 1. The
requests are of as many active sessions, drawn by lot from all: how often a session comes decides how often its renewal
is written. Their loads run side by side, and one is awake at a time (slices.py).
"""

import argparse
import pathlib
import random
import subprocess

import peers
import report
import slices
from peers import Peer
from report import ROOT, Section, ratios, spread, table

CONNECTIONS, SIZE, WARM_UP = 64, 1024, 3_000


def log_in(peer: Peer, sessions: int, cookies: pathlib.Path) -> int:
    """Logs users in until there are about that many sessions, or a few more; returns how many."""
    first = [f"first{number}" for number in range(min(sessions, 1_000))]
    cookies.write_text("\n".join(peer.log_in(*first)) + "\n")
    count = len(first)
    while count < sessions:
        subprocess.run(["taskset", "-c", str(peers.LOAD_CPU), "wrk", "-t1", f"-c{CONNECTIONS}", "-d5s",
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
        text = subprocess.run(["redis-cli", "-p", str(peer.redis_port), "info", "memory"], check=True,
                              capture_output=True, text=True).stdout
        return int(next(line for line in text.splitlines() if line.startswith("used_memory:")).split(":")[1])
    return peers.resident_bytes(peer.process)


def grow(store: str, sizes: list[int], arguments) -> list[list[str]]:
    """The rows of the table for one store."""
    gateways = [peers.rotagate(f"{store}-{size}", arguments.build, store) for size in sizes]
    with peers.running(arguments.build, gateways) as site:
        counts, bytes_each, loads = [], [], []
        for peer, size in zip(gateways, sizes):
            cookies = site.folder / f"{size}.cookies"
            before = memory_of(peer)
            counts.append(log_in(peer, size, cookies))
            bytes_each.append((memory_of(peer) - before) / counts[-1])
            draw(cookies, arguments.active)
        for peer, size in zip(gateways, sizes):
            cookies = site.folder / f"{size}.cookies"
            loads.append(slices.wrk(site.folder, peer, "spread_cookies.lua", str(cookies), SIZE, CONNECTIONS, WARM_UP))
        samples = slices.run_rounds(loads, arguments.rounds, arguments.seconds)
    few, _ = samples.values()
    return [[store, str(count), spread(slices.cpu(mine)), spread(ratios(slices.cpu(mine), slices.cpu(few)), 2),
             spread(slices.redis(mine)), spread(ratios(slices.redis(mine), slices.redis(few)), 2), f"{size:.0f}"]
            for count, size, mine in zip(counts, bytes_each, samples.values())]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench growth", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--stores", nargs="+", choices=["memory", "lmdb", "redis"], default=["memory", "lmdb", "redis"])
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--active", type=int, default=1_000, help="sessions that requests are drawn from")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of load for each in a round")
    parser.add_argument("--write", action="store_true", help="put the table into bench/RESULTS.md")
    return parser.parse_args()


def command_of(arguments) -> str:
    return (f"./dev bench growth --write --stores {' '.join(arguments.stores)} --few {arguments.few} "
            f"--many {arguments.many} --active {arguments.active} --rounds {arguments.rounds} "
            f"--seconds {arguments.seconds:g}")


def main() -> None:
    arguments, commit = parse_arguments(), report.commit()
    rows = [row for store in arguments.stores for row in grow(store, [arguments.few, arguments.many], arguments)]
    text = table(["store", "sessions", "CPU µs/request, median (least–most)", "to few", "Redis, µs/request", "to few",
                  "bytes per session"], rows)
    section = Section(f"""{text}

Requests of {arguments.active} sessions drawn by lot, {arguments.rounds} rounds of {arguments.seconds:g} s for
each; a ratio compares within one round. A session's bytes are what the gateway's resident memory, or Redis'
used_memory, has grown by, indexes included.""")
    print("\n" + section.text)
    if arguments.write:
        made = report.made_by(command_of(arguments), commit)
        report.write_section("Growth with the number of sessions", section, made)


if __name__ == "__main__":
    main()
