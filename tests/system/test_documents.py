"""What the documents list is what the sources have: names that operators look up."""

import re

from harness.gateway import ROOT

SOURCES = {path.name: path.read_text() for path in (ROOT / "proxy").glob("*.cpp")}
OPERATORS = (ROOT / "proxy" / "README.md").read_text()


def listed(section: str, head: str, column: int) -> set[str]:
    """What a column of the table with that head has in backquotes."""
    table = OPERATORS.split(f"\n## {section}\n")[1].split(f"\n{head}\n")[1].split("\n\n")[0]
    return set(re.findall(r"`(\w+)`", " ".join(row.split(" | ")[column] for row in table.splitlines()[1:])))


def test_the_reasons_of_the_access_log_are_listed():
    """Found by how the sources give one; what is wrong with an app's head is upstream_bad_answer, whatever it is."""
    gives_one = r"\breason = [^;,]*|HeadError\{[^;}]*|\bonce\([^;]*|co_await refuse\([^;]*|\bend\(CloseCode::[^;]*"
    places = [place for name, text in SOURCES.items() if name != "http1_response.cpp"
              for place in re.findall(gives_one, text)]
    given = set(re.findall(r'"(\w+)"', " ".join(places)))
    assert listed("Logs", "| `reason` | status | what it means, what to do |", 0) == given


def test_the_reasons_of_the_security_log_are_listed():
    given = set(re.findall(r'case Reason::\w+:\s+return "(\w+)";', SOURCES["metrics.cpp"]))
    assert listed('"Why was I logged out?"', "| `reason` | what happened | what to do |", 0) == given


def test_the_metrics_are_listed():
    given = set(re.findall(r'"(rotagate_\w+)"', " ".join(SOURCES.values())))
    assert listed("Metrics", "| metric | labels | meaning |", 0) == given
