"""Latency at a rate that leaves every proxy time: what users feel."""

import json
import pathlib
import random
import subprocess

import bars
import peers
from peers import Peer, Site
from report import Section, ratios, spread, table

RATE, USERS, SIZE = 3_000, 64, 1024


def ask(site: Site, peer: Peer, seconds: float) -> dict:
    """The figures of rotagate-bench: requests are due at the rate, and latency counts from then."""
    figures = site.folder / f"{peer.name}.json"
    login = ["--login", "/login"] if peer.store else []
    command = [site.build / "rotagate-bench", "load", "--target", f"https://127.0.0.1:{peer.port}/bytes?n={SIZE}",
               "--insecure", "--threads", 1, "--users", USERS, "--rate", RATE, "--warm-up", "1s",
               "--duration", f"{round(seconds * 1000)}ms", "--json", figures, *login]
    subprocess.run(["taskset", "-c", str(peers.LOAD_CPU), *map(str, command)], check=True, capture_output=True)
    result = json.loads(pathlib.Path(figures).read_text())
    if failed := {kind: count for kind, count in result["failed"].items() if count}:
        raise SystemExit(f"{peer.name} has not served every request: {failed}")
    return result


def measure(site: Site, rounds: int, seconds: float) -> Section:
    p50, p99 = ({peer.name: [] for peer in site.peers} for _ in range(2))
    lateness = []
    for number in range(rounds):
        for peer in random.sample(site.peers, len(site.peers)):
            result = ask(site, peer, seconds)
            p50[peer.name].append(result["latency"]["p50_us"])
            p99[peer.name].append(result["latency"]["p99_us"])
            lateness.append(result["tool"]["worst_lag_us"])
        print(f"round {number + 1}: p99 " + ", ".join(f"{name} {values[-1]} µs" for name, values in p99.items()), flush=True)
    rows = [[name, spread(p50[name], 0), spread(ratios(p50[name], p50["nginx"]), 2), spread(p99[name], 0),
             spread(ratios(p99[name], p99["nginx"]), 2)] for name in p99]
    return Section(f"""![Latency](latency.svg)

{table(["", "p50 µs, median (least–most)", "to nginx", "p99 µs", "to nginx"], rows)}

{RATE} requests/s of {USERS} users with a connection each, answers of {SIZE} bytes, by `rotagate-bench load` (open loop: latency
counts from when a request was due). {rounds} rounds of {seconds:g} s, one proxy after the other in random order. The tool's own
event loop was up to {spread([late / 1000 for late in lateness])} ms late, for the app and Redis run on the same CPU: p99
is that of the whole chain on this machine, and ratios are to be read with their spread.""", {"latency.svg": bars.chart(*(
        bars.Panel(f"{name} at {RATE} requests/s, ms", {peer: [us / 1000 for us in mine] for peer, mine in figures.items()})
        for name, figures in (("p50", p50), ("p99", p99))))})
