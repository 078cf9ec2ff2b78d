#!/usr/bin/python3
"""Compares the CPU time per request of rotagate with that of nginx and haproxy as plain TLS proxies.

One worker each, alone on CPU 0; the load generator (wrk) and the app on CPU 1. TLS 1.3, 64 kept-alive connections.
The peers take turns within each round, since the speed of a machine drifts; a ratio compares within one round.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import platform
import re
import ssl
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import peers

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROXY_CPU, LOAD_CPU = 0, 1
CONNECTIONS = 64


@dataclass
class Sample:
    cpu_us: float       # of the proxy, per request
    rate: float         # requests per second
    p50_us: int
    p99_us: int
    redis_us: float | None = None  # of the Redis that it asks, per request


def all_peers(build: pathlib.Path) -> dict[str, peers.Peer]:
    return {peer.name: peer for peer in (
        peers.Peer("nginx", "nginx.conf", ["nginx", "-c", "{config}"]),
        peers.Peer("haproxy", "haproxy.cfg", ["haproxy", "-db", "-q", "-f", "{config}"]),
        peers.Peer("rotagate", "rotagate.yaml", [build / "rotagate", "run", "--config", "{config}"], "memory"),
        peers.Peer("rotagate-redis", "rotagate.yaml", [build / "rotagate", "run", "--config", "{config}"], "redis"),
    )}


def start_app(folder: pathlib.Path, build: pathlib.Path) -> tuple[subprocess.Popen, int]:
    port, log = peers.free_port(), folder / "app.log"
    app = peers.start(LOAD_CPU, [build / "rotagate-demo-app", "--listen", f"127.0.0.1:{port}"], log)
    peers.await_port(port, app, log)
    return app, port


def log_in(port: int, *users: str) -> list[str]:
    """The session cookies of new logins, as Cookie headers carry them."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection, cookies = http.client.HTTPSConnection("127.0.0.1", port, context=context), []
    for user in users:
        connection.request("POST", "/login", f"user={user}", {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        answer.read()
        set_cookies = answer.headers.get_all("Set-Cookie", [])
        if answer.status != 303 or len(set_cookies) != 1:
            raise SystemExit(f"the login got {answer.status} and {len(set_cookies)} cookies")
        cookies.append(set_cookies[0].split(";")[0])
    return cookies


def load(port: int, script: str, argument: str, size: int, seconds: int) -> dict:
    """Runs wrk with a script; the counts that it prints."""
    command = ["taskset", "-c", str(LOAD_CPU), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
               "-s", peers.TEMPLATES / script, f"https://127.0.0.1:{port}/bytes?n={size}", "--", argument]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    counts = json.loads(output.strip().splitlines()[-1])
    if counts["refused"] or counts["broken"] or not counts["requests"]:
        raise SystemExit(f"not every request was served: {counts}")
    return counts


def measure(peer: peers.Peer, script: str, argument: Callable[[], str], size: int, seconds: int) -> Sample:
    """One turn of a peer. @param argument  makes what the script gets, anew for each run"""
    load(peer.port, script, argument(), size, 1)
    given = argument()
    measured = [process for process in (peer.process, peer.redis) if process]
    before = [peers.cpu_seconds(process.pid) for process in measured]
    counts = load(peer.port, script, given, size, seconds)
    used = [(peers.cpu_seconds(process.pid) - start) * 1e6 / counts["requests"]
            for process, start in zip(measured, before)]
    return Sample(used[0], counts["requests"] / counts["seconds"], counts["p50_us"], counts["p99_us"],
                  used[1] if peer.redis else None)


def figures(sample: Sample) -> str:
    redis = f"  Redis {sample.redis_us:4.1f} µs/request" if sample.redis_us is not None else ""
    return f"{sample.cpu_us:6.1f} µs/request  {sample.rate:7.0f} requests/s{redis}"


def run_rounds(chosen: list[peers.Peer], rounds: int, size: int, seconds: int) -> dict[str, list[Sample]]:
    samples = {peer.name: [] for peer in chosen}
    lengths = [len(log_in(peer.port, "alice")[0]) for peer in chosen if peer.store]
    # Those without a session get as long a cookie, so that all requests are equally long.
    padding = "__Host-session=".ljust(lengths[0] if lengths else 150, "x")
    for number in range(rounds):
        turn = number % len(chosen)
        for peer in chosen[turn:] + chosen[:turn]:
            sample = measure(peer, "adopt_cookie.lua",
                             lambda: log_in(peer.port, "alice")[0] if peer.store else padding, size, seconds)
            samples[peer.name].append(sample)
            print(f"round {number + 1}  {peer.name:14} {figures(sample)}", flush=True)
    return samples


def table(samples: dict[str, list[Sample]]) -> str:
    lines = ["| | CPU µs/request, median (least to most) | to nginx, median (least to most) | Redis, µs/request "
             "| requests/s | p50 µs | p99 µs |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for name, rounds in samples.items():
        cpu = [sample.cpu_us for sample in rounds]
        ratios = [mine.cpu_us / nginx.cpu_us for mine, nginx in zip(rounds, samples.get("nginx", []))]
        to_nginx = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else "–"
        rate, p50, p99 = (statistics.median(getattr(sample, what) for sample in rounds)
                          for what in ("rate", "p50_us", "p99_us"))
        redis = [sample.redis_us for sample in rounds if sample.redis_us is not None]
        redis_text = f"{statistics.median(redis):.1f} ({min(redis):.1f}–{max(redis):.1f})" if redis else "–"
        lines.append(f"| {name} | {statistics.median(cpu):.1f} ({min(cpu):.1f}–{max(cpu):.1f}) | {to_nginx} "
                     f"| {redis_text} | {rate:.0f} | {p50:.0f} | {p99:.0f} |")
    return "\n".join(lines)


def first_line(*command) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    return ((result.stdout or result.stderr).strip().splitlines() or ["?"])[0]


def machine(build: pathlib.Path) -> list[str]:
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    facts = [f"{os.cpu_count()} CPUs, {model.group(1) if model else platform.machine()}, Linux {platform.release()}",
             first_line("nginx", "-v").removeprefix("nginx version: "), first_line("haproxy", "-v").split(" - ")[0],
             first_line("wrk", "-v").split(" Copyright")[0], first_line("openssl", "version")]
    if (build / "rotagate").exists():
        commit = first_line("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
        facts.append(f"{first_line(str(build / 'rotagate'), 'version')}, commit {commit}")
    return facts


def report(arguments, negotiated: dict[str, str], samples: dict[str, list[Sample]]) -> str:
    tls = "; ".join(f"{name}: {what}" for name, what in negotiated.items())
    return "\n".join([
        f"Made on {datetime.date.today()} by `./dev bench --write --rounds {arguments.rounds} "
        f"--seconds {arguments.seconds} --size {arguments.size}`.", "",
        table(samples), "",
        f"CPU time is utime + stime of all processes of a proxy, over the requests that it served, TLS handshakes of the "
        f"{CONNECTIONS} connections included. One worker each, alone on CPU {PROXY_CPU}; wrk and the app on CPU "
        f"{LOAD_CPU}. Answers of {arguments.size} bytes, GET, HTTP/1.1. {arguments.rounds} rounds of {arguments.seconds} s "
        "after 1 s of warm-up; the peers take turns, and a ratio compares within one round. rotagate checks and rotates the "
        "session's cookie on every request (rotagate-redis by a script in a Redis that shares the load's CPU), and wrk adopts "
        "each new one; nginx and haproxy have no session and get a "
        "cookie of the same length. Access logs are off on all sides.", "",
        "Negotiated: " + tls + ".", "", "Machine and versions:", "",
        *("- " + fact for fact in machine(arguments.build)), "",
        "The configurations are in bench/templates/."])


def write_section(title: str, text: str) -> None:
    """Puts the text under its heading in RESULTS.md, in place of what is there."""
    path = ROOT / "bench" / "RESULTS.md"
    head, *rest = path.read_text().split("\n## ")
    sections = dict(section.split("\n", 1) for section in rest)
    sections[title] = f"\n{text.strip()}\n"
    path.write_text("\n## ".join([head, *(f"{name}\n{body}" for name, body in sections.items())]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release", help="where the programs are")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--size", type=int, default=1024, help="bytes of an answer")
    parser.add_argument("--only", nargs="+", choices=list(all_peers(ROOT)), help="leave the others out")
    parser.add_argument("--write", action="store_true", help="write bench/RESULTS.md")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if not {PROXY_CPU, LOAD_CPU} <= os.sched_getaffinity(0):
        raise SystemExit("this needs CPUs 0 and 1 for itself")
    known = all_peers(arguments.build)
    chosen = [known[name] for name in arguments.only or known]
    with tempfile.TemporaryDirectory(prefix="rotagate-bench-") as name, contextlib.ExitStack() as running:
        folder = pathlib.Path(name)
        peers.make_certificate(folder)
        if any(peer.store for peer in chosen):
            subprocess.run([arguments.build / "rotagate", "keygen", "--out", folder / "cookie.key"], check=True)
        app, app_port = start_app(folder, arguments.build)
        running.callback(peers.stop, app)
        for peer in chosen:
            running.callback(peer.stop)
            peer.start(folder, app_port, PROXY_CPU, LOAD_CPU)
        negotiated = {peer.name: peer.tls() for peer in chosen}
        samples = run_rounds(chosen, arguments.rounds, arguments.size, arguments.seconds)
        print("\n" + table(samples))
        if arguments.write:
            write_section("CPU time per request, beside nginx and haproxy", report(arguments, negotiated, samples))


if __name__ == "__main__":
    main()
