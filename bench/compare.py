#!/usr/bin/python3
"""Compares rotagate with nginx and haproxy as plain TLS proxies, and with nginx and a small session handler in Lua.

One worker each, alone on CPU 0; the load and the app on CPU 1. README.md tells what each section measures, and how.
"""

import argparse
import os
import pathlib
import platform
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import peers
import report
import section_bodies
import section_busy
import section_connections
import section_http2
import section_idle
import section_latency
import section_requests
import section_saturation
from peers import Site
from report import ROOT, Section


@dataclass
class Chapter:
    title: str
    measure: Callable[[Site, int, float], Section]


CHAPTERS = {
    "requests": Chapter("CPU time per request, beside nginx and haproxy", section_requests.measure),
    "saturation": Chapter("Requests per second at saturation", section_saturation.measure),
    "latency": Chapter("Latency at a fixed rate", section_latency.measure),
    "bodies": Chapter("Larger answers", section_bodies.measure),
    "http2": Chapter("CPU time per request over HTTP/2", section_http2.measure),
    "connections": Chapter("New TLS connections", section_connections.measure),
    "idle": Chapter("Memory of idle TLS connections", section_idle.measure),
    "busy": Chapter("Growth with the number of busy connections", section_busy.measure),
}


def first_line(*command) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    return ((result.stdout or result.stderr).strip().splitlines() or ["?"])[0]


def machine(build: pathlib.Path) -> list[str]:
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    lua = first_line("dpkg-query", "-W", "-f", "libnginx-mod-http-lua ${Version}", "libnginx-mod-http-lua")
    facts = [f"{os.cpu_count()} CPUs, {model.group(1) if model else platform.machine()}, Linux {platform.release()}",
             f"{first_line('nginx', '-v').removeprefix('nginx version: ')}, {lua}",
             first_line("haproxy", "-v").split(" - ")[0], first_line("redis-server", "--version").split(" sha")[0],
             first_line("wrk", "-v").split(" Copyright")[0], first_line("h2load", "--version"), first_line("openssl", "version")]
    if (build / "rotagate").exists():
        facts.append(first_line(str(build / "rotagate"), "version"))
    return facts


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release", help="where the programs are")
    parser.add_argument("--sections", nargs="+", choices=list(CHAPTERS), default=list(CHAPTERS), metavar="SECTION",
                        help=f"leave the others out: {', '.join(CHAPTERS)}")
    parser.add_argument("--only", nargs="+", choices=list(peers.known(ROOT)), help="leave the others out, except nginx")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of load for each proxy in a round")
    parser.add_argument("--write", action="store_true", help="put the figures into bench/RESULTS.md")
    return parser.parse_args()


def main() -> None:
    arguments, commit = parse_arguments(), report.commit()
    chosen = [peer for name, peer in peers.known(arguments.build).items()
              if not arguments.only or name in ("nginx", *arguments.only)]
    command = f"./dev bench --write --rounds {arguments.rounds} --seconds {arguments.seconds:g}"
    if arguments.only:
        command += f" --only {' '.join(arguments.only)}"
    with peers.running(arguments.build, chosen) as site:
        for name in arguments.sections:
            print(f"\n==== {name}", flush=True)
            section = CHAPTERS[name].measure(site, arguments.rounds, arguments.seconds)
            print(f"\n{section.text}")
            if arguments.write:
                made = report.made_by(f"{command} --sections {name}", commit)
                report.write_section(CHAPTERS[name].title, section, made)
    if arguments.write:
        if arguments.sections != list(CHAPTERS):
            command += f" --sections {' '.join(arguments.sections)}"
        facts = "\n".join("- " + fact for fact in machine(arguments.build))
        report.write_section(report.MACHINE, Section(facts), report.made_by(command, commit))


if __name__ == "__main__":
    main()
