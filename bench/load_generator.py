"""rotagate-bench as a part of a measurement."""

import json
import subprocess
import sys

import peers
from peers import Site


def run(site: Site, *arguments, shown: bool = False) -> dict:
    """Runs it on the CPU of the loads, with one event loop.
    @param shown  on standard error: its progress, and its report as text
    @return the figures of its --json"""
    file = site.folder / "figures.json"
    file.unlink(missing_ok=True)
    command = [site.build / "rotagate-bench", *arguments, "--insecure", "--threads", 1, "--json", file]
    done = subprocess.run(["taskset", "-c", str(peers.LOAD_CPU), *map(str, command)], text=True,
                          stdout=sys.stderr if shown else subprocess.DEVNULL, stderr=None if shown else subprocess.PIPE)
    # Its status does not tell: `people` ends with 1 also where it has found a false logout.
    if not file.exists():
        raise SystemExit(f"rotagate-bench ended with {done.returncode}: {(done.stderr or '')[-2000:]}")
    return json.loads(file.read_text())


def failures(figures: dict) -> dict[str, int]:
    """How many requests failed, by kind."""
    return {kind: count for kind, count in figures["failed"].items() if count}
