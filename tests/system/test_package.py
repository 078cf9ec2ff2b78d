"""The Debian package: what is in it, and what its scripts do to a machine."""

import os
import pathlib
import re
import subprocess
import tempfile

import pytest

from harness.deadlines import PATIENCE
from harness.gateway import BUILD, ROOT

VERSION = re.search(r"project\(rotagate VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
UNIT = "usr/lib/systemd/system/rotagate.service"
SERVICE = {  # beside what cmake --install leaves
    UNIT: "-rw-r--r--",
    "etc/logrotate.d/rotagate": "-rw-r--r--",
    "etc/rotagate/rotagate.yaml": "-rw-r-----",
    "etc/rotagate/keys/": "drwxr-x---",
    "etc/rotagate/tls/": "drwxr-x---",
}


def run(*command, patience: float = PATIENCE, **options) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=patience, **options)


def output(*command, **options) -> str:
    done = run(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("package")
    output("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", folder, cwd=folder, umask=0o022, patience=12 * PATIENCE)
    [made] = folder.glob("*.deb")
    return made


def extracted(package: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    output("dpkg-deb", "--extract", package, folder)
    return folder


@pytest.fixture(scope="module")
def root(package, tmp_path_factory) -> pathlib.Path:
    """The package's files, for tests that only read them."""
    return extracted(package, tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def scripts(package, tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("control") / "DEBIAN"
    output("dpkg-deb", "--control", package, folder)
    return folder


# ---- what is in it --------------------------------------------------------------------------------------------------

def test_it_is_named_as_debian_names_packages(package):
    architecture = output("dpkg", "--print-architecture").strip()
    assert package.name == f"rotagate_{VERSION}_{architecture}.deb"
    fields = output("dpkg-deb", "--field", package, "Package", "Version", "Architecture", "Section")
    assert fields.splitlines() == ["Package: rotagate", f"Version: {VERSION}", f"Architecture: {architecture}",
                                   "Section: httpd"]
    description = output("dpkg-deb", "--field", package, "Description").splitlines()
    assert description[0] == "reverse proxy that owns the login session"
    assert all(re.match(r" \S", line) for line in description[1:]), description


def test_it_depends_on_what_the_programs_are_linked_with(package):
    depends = output("dpkg-deb", "--field", package, "Depends").split(", ")
    names = {depend.split()[0] for depend in depends}
    assert {"adduser", "procps", "libc6", "libstdc++6", "libssl3", "liblmdb0", "libnghttp2-14", "libhiredis0.14",
            "libyaml-cpp0.7", "libspdlog1.10-fmt9"} <= names
    assert "libssl3 (>= 3.0.0)" in depends


def test_it_has_what_is_installed_anyway_and_the_service(package, tmp_path):
    output("cmake", "--install", BUILD, "--prefix", "/usr", env=os.environ | {"DESTDIR": str(tmp_path)})
    installed = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    lines = [line.split(maxsplit=5) for line in output("dpkg-deb", "--contents", package).splitlines()]
    modes = {path.removeprefix("./"): mode for mode, _, _, _, _, path in lines}
    assert {owner for _, owner, *_ in lines} == {"root/root"}
    assert {path for path in modes if not path.endswith("/")} | set(SERVICE) == installed | set(SERVICE)
    assert {path: modes[path] for path in SERVICE} == SERVICE
    for path, mode in modes.items():
        usual = "drwxr-xr-x" if path.endswith("/") else "-rwxr-xr-x" if path.startswith("usr/bin/") else "-rw-r--r--"
        assert mode == SERVICE.get(path, usual), path


def test_what_operators_edit_is_a_conffile(root, scripts):
    conffiles = {path.removeprefix("/") for path in (scripts / "conffiles").read_text().split()}
    assert conffiles == {str(path.relative_to(root)) for path in (root / "etc").rglob("*") if path.is_file()}


# ---- the service ----------------------------------------------------------------------------------------------------

def test_systemd_understands_the_unit(root, tmp_path):
    unit = tmp_path / "rotagate.service"
    unit.write_text((root / UNIT).read_text().replace("/usr/bin/rotagate", str(root / "usr/bin/rotagate")))
    verified = run("systemd-analyze", "verify", "--recursive-errors=no", unit)
    assert verified.returncode == 0 and "rotagate" not in verified.stderr, verified.stderr
    exposure = run("systemd-analyze", "security", "--offline=yes", "--threshold=20", unit)
    assert exposure.returncode == 0, exposure.stdout[-200:] + exposure.stderr


def test_a_drain_ends_before_systemd_kills(root):
    drain = re.search(r"^  drain_timeout: (\d+)s", (root / "etc/rotagate/rotagate.yaml").read_text(), re.M)
    stop = re.search(r"^TimeoutStopSec=(\d+)s$", (root / UNIT).read_text(), re.M)
    assert 0 < int(drain[1]) < int(stop[1])


# ---- the scripts ----------------------------------------------------------------------------------------------------

class Machine:
    """A root for the package's scripts, as dpkg's --root is. What would change the system is only noted."""

    def __init__(self, package: pathlib.Path, scripts: pathlib.Path, folder: pathlib.Path):
        self.root, self._scripts = extracted(package, folder / "root"), scripts
        self._calls, self._stand_ins = folder / "calls", folder / "stand-ins"
        self._stand_ins.mkdir()
        for name in ("adduser", "chgrp", "systemctl", "deb-systemd-invoke", "runuser"):
            self.stand_in(name)

    def stand_in(self, name: str, status: int = 0) -> None:
        file = self._stand_ins / name
        file.write_text(f'#!/bin/sh\necho {name} "$@" >> "{self._calls}"\nexit {status}\n')
        file.chmod(0o755)

    def boot(self) -> None:
        """systemd runs from here on."""
        (self.root / "run/systemd/system").mkdir(parents=True)

    def __call__(self, script: str, *arguments: str) -> list[str]:
        """Runs one of the scripts; returns what it has called."""
        self._calls.write_text("")
        output(self._scripts / script, *arguments,
               env=os.environ | {"DPKG_ROOT": str(self.root), "PATH": f"{self._stand_ins}:{os.environ['PATH']}"})
        return [call.replace(str(self.root), "") for call in self._calls.read_text().splitlines()]

    def file(self, path: str) -> pathlib.Path:
        return self.root / path

    def add(self, path: str) -> pathlib.Path:
        self.file(path).parent.mkdir(parents=True, exist_ok=True)
        self.file(path).write_text("something")
        return self.file(path)


@pytest.fixture
def machine(package, scripts) -> Machine:
    with tempfile.TemporaryDirectory() as folder:  # with a short name: the path of a socket has 107 bytes at most
        yield Machine(package, scripts, pathlib.Path(folder))


def test_the_installation_makes_a_user_and_a_key_and_starts_nothing(machine):
    machine.boot()
    calls = machine("postinst", "configure", "")
    assert [call for call in calls if call.startswith("adduser") and call.endswith(" rotagate")]
    assert [call for call in calls if "systemctl" in call or "invoke" in call] == ["systemctl --system daemon-reload"]
    assert "chgrp rotagate /etc/rotagate/keys/cookie.key" in calls
    assert machine.file("etc/rotagate/keys/cookie.key").stat().st_mode & 0o777 == 0o640


def test_the_installation_takes_a_key_that_is_there(machine):
    key = machine.add("etc/rotagate/keys/cookie.key")
    machine("postinst", "configure", "")
    assert key.read_text() == "something"


def test_without_systemd_none_is_asked(machine):
    calls = machine("postinst", "configure", "") + machine("prerm", "remove") + machine("postrm", "purge")
    assert not [call for call in calls if "systemctl" in call or "invoke" in call]


def test_an_upgrade_restarts_a_service_that_runs(machine):
    machine.boot()
    assert machine("postinst", "configure", "0.0.1")[-1] == "deb-systemd-invoke try-restart rotagate.service"
    assert not machine.file("etc/rotagate/keys/cookie.key").exists(), "keys are the operator's by then"
    machine.stand_in("systemctl", 3)
    assert not [call for call in machine("postinst", "configure", "0.0.1") if "restart" in call]


def test_an_upgrade_leaves_the_service_alone_where_the_new_version_refuses_the_configuration(machine):
    machine.boot()
    machine.stand_in("runuser", 1)
    calls = machine("postinst", "configure", "0.0.1")
    assert calls[-1] == "runuser -u rotagate -- /usr/bin/rotagate check --config /etc/rotagate/rotagate.yaml"


def test_what_goes_when_it_is_removed_and_purged(machine):
    machine.boot()
    key, own = machine.add("etc/rotagate/keys/cookie.key"), machine.add("etc/rotagate/tls/server.key")
    data = [machine.add("var/lib/rotagate/sessions/data.mdb"), machine.add("var/log/rotagate/access.log")]
    assert machine("prerm", "upgrade", "9.9") == []
    assert machine("prerm", "remove") == ["deb-systemd-invoke stop rotagate.service"]
    machine("postrm", "remove")
    assert all(path.exists() for path in (key, own, *data)), "removing deletes nothing"
    machine("postrm", "purge")
    assert not any(path.exists() for path in (key, key.parent, *data)) and own.exists()


# ---- the configuration ----------------------------------------------------------------------------------------------

def test_the_configuration_lacks_nothing_but_a_certificate(machine, certificates, tmp_path):
    """Its absolute paths lead into the machine's root."""
    machine("postinst", "configure", "")
    for folder in ("var/lib/rotagate", "var/log/rotagate", "run/rotagate"):  # systemd makes them
        machine.file(folder).mkdir(parents=True)
    config = machine.file("etc/rotagate/rotagate.yaml")
    config.write_text(re.sub(r"(?<=[: ])/(var|run)/", rf"{machine.root}/\1/", config.read_text()).replace("# log:", "log:"))

    def check() -> subprocess.CompletedProcess:
        return run(machine.file("usr/bin/rotagate"), "check", "--config", config, cwd=tmp_path)

    lacking = check()
    assert lacking.returncode == 1
    assert all("tls/server." in line and "cannot be found" in line for line in lacking.stderr.splitlines()), lacking.stderr
    for made, name in ((certificates.example.cert, "server.crt"), (certificates.example.key, "server.key")):
        machine.file(f"etc/rotagate/tls/{name}").write_bytes(made.read_bytes())
        machine.file(f"etc/rotagate/tls/{name}").chmod(0o640)
    checked = check()
    assert checked.returncode == 0 and not checked.stderr, checked.stderr
    assert f"sessions in lmdb:{machine.root}/var/lib/rotagate/sessions" in checked.stdout
