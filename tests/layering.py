"""Keeps the arrow config <- session <- proxy: no module includes one that stands above it.

Run as: layering.py SOURCE_FOLDER
"""

import pathlib
import re
import sys

ALLOWED = {
    "config": {"config"},
    "session": {"session", "config"},
    "proxy": {"proxy", "session", "config"},
    "bench": {"bench", "proxy", "session", "config"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def violations(root: pathlib.Path):
    for module, allowed in ALLOWED.items():
        for source in sorted((root / module).rglob("*.[ch]pp")):
            for included in INCLUDE.findall(source.read_text()):
                if included.split("/")[0] not in allowed:
                    yield f"{source.relative_to(root)}: includes {included}, but {module} may use only {sorted(allowed)}"


found = list(violations(pathlib.Path(sys.argv[1])))
print("\n".join(found) or "layering holds")
sys.exit(bool(found))
