"""Latency at a rate that leaves every proxy time: what users feel."""

import random

import bars
import load_generator
from peers import Peer, Site
from report import Section, middle_half, ratios, spread, table

RATE, USERS, SIZE = 3_000, 64, 1024
TURNS = 3  # in place of each round: many short turns bear a disturbance better than few long ones


def ask(site: Site, peer: Peer, seconds: float) -> dict:
    """The figures of rotagate-bench: requests are due at the rate, and latency counts from then."""
    login = ["--login", "/login"] if peer.store else []
    result = load_generator.run(site, "load", "--target", f"https://127.0.0.1:{peer.port}/bytes?n={SIZE}",
                                "--users", USERS, "--rate", RATE, "--warm-up", "500ms",
                                "--duration", f"{round(seconds * 1000)}ms", *login)
    if failed := load_generator.failures(result):
        raise SystemExit(f"{peer.name} has not served every request: {failed}")
    return result


def milliseconds(figures: dict[str, list[int]]) -> dict[str, list[float]]:
    return {name: [us / 1000 for us in middle_half(mine)] for name, mine in figures.items()}


def measure(site: Site, rounds: int, seconds: float) -> Section:
    turns, length = TURNS * rounds, seconds / 2
    p50, p99 = ({peer.name: [] for peer in site.peers} for _ in range(2))
    lateness = []
    for number in range(turns):
        for peer in random.sample(site.peers, len(site.peers)):
            result = ask(site, peer, length)
            p50[peer.name].append(result["latency"]["p50_us"])
            p99[peer.name].append(result["latency"]["p99_us"])
            lateness.append(result["tool"]["worst_lag_us"])
        print(f"turn {number + 1}: p99 " + ", ".join(f"{name} {mine[-1]} µs" for name, mine in p99.items()), flush=True)
    rows = [[name, *(cell for figures in (p50, p99) for cell in
                     (spread(middle_half(figures[name]), 0),
                      spread(middle_half(ratios(figures[name], figures["nginx"])), 2)))] for name in p99]
    late = spread(middle_half([us / 1000 for us in lateness]))
    picture = bars.chart(*(bars.Panel(f"{name} at {RATE} requests/s, ms", milliseconds(figures))
                           for name, figures in (("p50", p50), ("p99", p99))), line="the middle half of the turns")
    return Section(f"""![Latency](latency.svg)

{table(["", "p50 µs, median (middle half)", "to nginx", "p99 µs", "to nginx"], rows)}

{RATE} requests/s of {USERS} users with a connection each, answers of {SIZE} bytes, by `rotagate-bench load` (open loop:
latency counts from when a request was due). {turns} turns of {length:g} s for each proxy, one after the other in random
order; a ratio compares within one turn of all, and in brackets is the middle half of the turns. The tool's own event loop
was up to {late} ms late in a turn, for the app and Redis run on the same CPU: p99 is that of the whole
chain on this machine, and Redis waits for a CPU that a store of its own would have.""",
                   {"latency.svg": picture})
