#!/usr/bin/python3
"""Looks whether people are logged out by mistake, and whether thieves are noticed: by rotagate with its store in
memory, by two gateways on one Redis, and by nginx with a session handler in Lua and Redis.

One system after the other, each fresh, under the same load of `rotagate-bench people`. The proxies run on CPU 0; the
load, the apps and Redis on CPU 1. It takes as long as people do, whose minutes are told in graces: --grace.
"""

import argparse
import math
import pathlib
import sys

import load_generator
import peers
import report
from peers import Peer
from report import ROOT, Section, table

def systems(build: pathlib.Path, grace: str = "") -> dict[str, list[Peer]]:
    """Each with its gateways: several are one site's, and share its keys and its store."""
    known = peers.known(build)
    first = peers.rotagate("rotagate-redis-1", build, "redis")
    second = peers.rotagate("rotagate-redis-2", build, first.redis_url())
    known["rotagate"].grace = first.grace = second.grace = grace
    return {"rotagate": [known["rotagate"]], "rotagate-redis": [first, second], "nginx-lua": [known["nginx-lua"]]}


def watch(name: str, gateways: list[Peer], arguments) -> dict:
    """The figures of `rotagate-bench people`."""
    with peers.running(arguments.build, gateways) as site:
        targets = [part for peer in gateways for part in ("--target", f"https://127.0.0.1:{peer.port}")]
        figures = load_generator.run(site, "people", *targets, "--people", arguments.people,
                                     "--page-views", arguments.views, "--thieves", arguments.thieves,
                                     "--seed", arguments.seed, "--grace", arguments.grace, shown=True)
        states = [peer.state() for peer in gateways]
    if not figures["complete"] or states != ["runs"] * len(gateways):
        raise SystemExit(f"{name} ({', '.join(states)}) has not been watched to the end")
    return figures


def per_million(events: int, views: int) -> str:
    """What happens three times in so many views on average stays away with a chance of 5 % (rule of three)."""
    return f"{1e6 * events / views:.0f}" if events else f"< {math.ceil(3e6 / views)}"


def detected(figures: dict) -> int:
    """Without those that are counted as missed, too: the thief was refused, but the session lived on."""
    return min(figures["detected"], figures["thefts"] - figures["undetected"])


def row(name: str, figures: dict) -> list[str]:
    thefts, noticed = figures["thefts"], detected(figures)
    share = f" ({100 * noticed // thefts} %)" if thefts else ""  # rounded down: 100 % is all of them
    took = figures["detection_seconds"]
    after = f"{took['p50']:.1f} ({took['max']:.1f})" if noticed else "–"
    return [name, str(figures["page_views"]), str(figures["requests"]), str(figures["false_logouts"]),
            per_million(figures["false_logouts"], figures["page_views"]), str(figures["inconclusive"]), str(thefts),
            f"{noticed}{share}", after]


def failed(figures: dict[str, dict]) -> str:
    """What else went wrong, in words."""
    met = {name: load_generator.failures(mine) for name, mine in figures.items()}
    return "; ".join(f"{name}: {', '.join(f'{count} {kind}' for kind, count in mine.items())}"
                     for name, mine in met.items() if mine) or "none"


def incidents(figures: dict[str, dict]) -> str:
    """What was held against a system, a line each; the tool keeps the first ones."""
    lines = [f"- {name}: {line}" for name, mine in figures.items() for line in mine["incidents"]]
    return "\n\n" + "\n".join(lines) if lines else ""


def chapter(figures: dict[str, dict], arguments) -> Section:
    head = ["", "page views", "requests", "false logouts", "per million page views", "inconclusive", "thefts",
            "detected", "s from first use until detected, median (most)"]
    thieves = math.ceil(arguments.thieves * arguments.people)
    return Section(f"""{table(head, [row(name, mine) for name, mine in figures.items()])}

{arguments.people} people with one to three tabs, {thieves} of whom are stolen from, by `rotagate-bench people` over
HTTP/1.1 and TLS; one system after the other, and the same seed decides the same for all. The grace is {arguments.grace}, and
requests and answers take up to half of it. rotagate-redis is two gateways on one Redis; new connections go to them in
turn. With nginx-lua ([lua_session.lua](templates/lua_session.lua)) an old session id stays good, so that it neither
logs people out nor notices a thief. Requests that failed for other reasons: {failed(figures)}.{incidents(figures)}

What this cannot tell: the people are a model; its network keeps to the grace, and victims go on browsing. Where there
was no false logout, the figure per million is the upper bound at 95 % confidence (3 / page views), as if page views
were independent of each other. A logout is inconclusive where the site or this machine took longer than the grace.
express-session is not in Debian 12, and so not here.""")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench people", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(systems(ROOT))
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release", help="where the programs are")
    parser.add_argument("--systems", nargs="+", choices=names, default=names, metavar="SYSTEM",
                        help=f"leave the others out: {', '.join(names)}")
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--views", type=int, default=16_600, help="page views of all people together")
    parser.add_argument("--grace", default="1s", help="rotation.grace, of which all that people take is a multiple")
    parser.add_argument("--thieves", type=float, default=0.1, help="share of the people who are stolen from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the table into bench/RESULTS.md")
    return parser.parse_args()


def main() -> None:
    arguments, commit = parse_arguments(), report.commit()
    figures, chosen = {}, systems(arguments.build, arguments.grace)
    for name in arguments.systems:
        print(f"\n==== {name}: {arguments.people} people, {arguments.views} page views", file=sys.stderr, flush=True)
        figures[name] = watch(name, chosen[name], arguments)
    section = chapter(figures, arguments)
    print("\n" + section.text)
    if arguments.write:
        command = (f"./dev bench people --write --systems {' '.join(arguments.systems)} --people {arguments.people} "
                   f"--views {arguments.views} --grace {arguments.grace} --thieves {arguments.thieves:g} "
                   f"--seed {arguments.seed}")
        report.write_section("False logouts and thieves", section, report.made_by(command, commit))


if __name__ == "__main__":
    main()
