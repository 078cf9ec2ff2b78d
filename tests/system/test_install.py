"""What `cmake --install` leaves on a machine, as a package would have it."""

import os
import pathlib
import re
import stat
import subprocess

import pytest

from harness.deadlines import PATIENCE
from harness.gateway import BUILD, ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> pathlib.Path:
    """The folder that stands for /usr."""
    root = tmp_path_factory.mktemp("root")
    done = subprocess.run(["cmake", "--install", BUILD, "--prefix", "/usr"], env=os.environ | {"DESTDIR": str(root)},
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in root.iterdir()] == ["usr"], "nothing beside it"
    return root / "usr"


def run(*command, **options) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE, **options)


def test_the_files_are_where_a_system_looks_for_them(installed):
    files = {str(path.relative_to(installed)): path for path in installed.rglob("*") if path.is_file()}
    documents = ({"README.md", "CHANGELOG.md", "config/example.yaml"} | {path.name for path in ROOT.glob("LICENSE")} |
                 {str(path.relative_to(ROOT)) for path in ROOT.glob("[a-z]*/README.md")})
    pages = {path.name for path in ROOT.glob("*/*.1")}
    assert set(files) == ({"bin/rotagate", "bin/rotagate-bench"} | {f"share/man/man1/{page}" for page in pages} |
                          {f"share/doc/rotagate/{document}" for document in documents})
    assert "rotagate-bench.1" in pages
    for name, path in files.items():
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if name.startswith("bin/") else 0o644), name


def test_documents_that_name_each_other_are_there(installed):
    documents = installed / "share/doc/rotagate"
    for page in documents.rglob("README.md"):
        for link in re.findall(r"\]\(([^)#:]+(?:\.md|\.yaml))[)#]", page.read_text()):
            if link != "RESULTS.md":  # of the machine where it was measured
                assert (page.parent / link).is_file(), f"{page.relative_to(documents)}: {link}"


def test_a_manual_page_names_only_pages_that_are_there(installed):
    pages = installed / "share/man/man1"
    for page in pages.iterdir():
        for name, section in re.findall(r"^\.Xr (\S+) (\d)", page.read_text(), re.M):
            assert (pages / f"{name}.{section}").is_file(), f"{page.name}: {name}({section})"


@pytest.mark.parametrize("program", ["rotagate", "rotagate-bench"])
def test_the_programs_run_from_there(installed, program, tmp_path):
    shown = run(installed / "bin" / program, "version", cwd=tmp_path)
    assert shown.returncode == 0 and shown.stdout.startswith(f"{program} "), shown.stderr
    assert run(installed / "bin" / program, "--help", cwd=tmp_path).returncode == 0


def test_the_example_is_read_by_the_program_beside_it(installed, tmp_path):
    """All that it lacks are the files that it names."""
    example = installed / "share/doc/rotagate/config/example.yaml"
    checked = run(installed / "bin/rotagate", "check", "--config", example, cwd=tmp_path)
    problems = [line for line in (checked.stdout + checked.stderr).splitlines() if line.startswith(str(example))]
    assert problems and all("cannot be found" in line for line in problems if "warning" not in line), problems
