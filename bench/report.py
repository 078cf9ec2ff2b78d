"""How figures become the text and the pictures of RESULTS.md, and what that says of how they were made."""

import datetime
import pathlib
import statistics
import subprocess
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
MACHINE = "Machine and versions"  # the title of the last section


@dataclass
class Section:
    """What one measurement has to say."""
    text: str  # Markdown
    charts: dict[str, str] = field(default_factory=dict)  # SVG by file name


def spread(values: list[float], digits: int = 1) -> str:
    """The median, and the least and the most."""
    if not values:
        return "–"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def middle_half(values: list[float]) -> list[float]:
    """Without the least quarter and the most: for figures that single disturbances throw far out."""
    quarter = len(values) // 4
    return sorted(values)[quarter:len(values) - quarter]


def ratios(mine: list[float], others: list[float]) -> list[float]:
    """Round by round, since a machine gets faster and slower from round to round."""
    return [value / other for value, other in zip(mine, others)]


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def git(*arguments: str) -> str:
    """Errors: OSError, there is no git; CalledProcessError, it is no checkout, or another user's."""
    return subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit() -> str:
    """Of the checkout, short, with "+ changes" where files differ from it; "unknown" outside of git.
    To be asked before a measurement: that takes minutes, and files may change meanwhile."""
    # What is written here is no change of what was measured.
    results = [":(exclude)bench/RESULTS.md", ":(exclude)bench/*.svg"]
    try:
        name, changes = git("rev-parse", "--short", "HEAD"), git("status", "--porcelain", "--", ".", *results)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + (" + changes" if changes else "")


def made_by(command: str, at: str) -> str:
    """The last line of a section. @param at  what commit() said"""
    return f"Made on {datetime.date.today()} by `{command}` at commit {at}."


def write_section(title: str, section: Section, made: str) -> None:
    """Puts it under its heading in RESULTS.md, in place of what is there, and its charts beside that file; the machine
    comes last.
    @param made  what made_by() said"""
    path = BENCH / "RESULTS.md"
    head, *rest = path.read_text().split("\n## ")
    sections = dict(one.split("\n", 1) for one in rest)
    last = sections.pop(MACHINE, "")
    sections[title] = f"\n{section.text.strip()}\n\n{made}\n"
    sections.setdefault(MACHINE, last)
    path.write_text("\n## ".join([head, *(f"{name}\n{body}" for name, body in sections.items())]))
    for name, svg in section.charts.items():
        (BENCH / name).write_text(svg)
