"""An app that is a program of its own, in the place of the recording app."""

import pathlib
import subprocess

from harness.client import connect
from harness.deadlines import PATIENCE, poll
from harness.gateway import free_port


class AppProgram:
    """Runs at once; `{port}` in the command stands for the port to listen on.

    @param port  that port, where a file of the program has to name it; 0: a free one
    """

    violations: list[str] = []  # a real app keeps no record of what it received

    def __init__(self, *command, folder: pathlib.Path, port: int = 0):
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._log = folder / f"app-{self.port}.log"
        with open(self._log, "wb") as log:
            arguments = [str(part).replace("{port}", str(self.port)) for part in command]
            self.process = subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT)
        poll(self._listens, f"{command} listens on {self.address}")

    def _listens(self) -> bool:
        assert self.process.poll() is None, f"the app ended at its start:\n{self.output()}"
        try:
            connect(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)
