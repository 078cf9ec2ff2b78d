"""What `rotagate check` says of a configuration."""

import pathlib
from dataclasses import dataclass

from harness.gateway import rotagate

GOOD = """\
listen:
  - address: 127.0.0.1:8080
upstreams:
  app: { servers: [127.0.0.1:9000] }
routes:
  - match: { path: / }
    upstream: app
"""


@dataclass
class Checked:
    status: int
    lines: list[str]  # those that name a place in the file: "LINE:COLUMN: message"
    said: str

    def complains(self, where: str, what: str = "") -> bool:
        return self.status == 1 and any(line.startswith(where) and what in line for line in self.lines)


def checked(folder: pathlib.Path, text: str) -> Checked:
    """Checks the text as rotagate.yaml of that folder."""
    file = folder / "rotagate.yaml"
    file.write_text(text)
    told = rotagate("check", "--config", file)
    said = told.stdout + told.stderr
    places = [line for line in said.splitlines() if line.startswith(f"{file}:")]
    return Checked(told.returncode, [line.removeprefix(f"{file}:") for line in places], said)
