"""CPU time per request over HTTP/2: many streams on few connections."""

import pathlib

import slices
from peers import Peer, Site
from report import Section, ratios, spread, table

CONNECTIONS, STREAMS, SIZE = 32, 16, 1024


class Multiplexed(slices.Load):
    """h2load, which counts no requests while it runs, but writes a line for each: TIME, STATUS and MICROSECONDS."""

    def __init__(self, folder: pathlib.Path, peer: Peer, warm_up: int = 3_000):
        self.log, self.count, self.tail = folder / f"{peer.name}.h2load", 0, b""
        super().__init__(peer, folder / f"{peer.name}.count", warm_up, [
            "h2load", "-t1", f"-c{CONNECTIONS}", f"-m{STREAMS}", "-D", "3600", f"--log-file={self.log}",
            "--header", f"cookie: {peer.cookie()}", f"https://127.0.0.1:{peer.port}/bytes?n={SIZE}"])

    def start(self) -> None:
        self.log.touch()
        self.lines = open(self.log, "rb")
        super().start()

    def requests(self) -> float:
        *lines, self.tail = (self.tail + self.lines.read()).split(b"\n")
        if refused := [line for line in lines if line.split(b"\t")[1] != b"200"]:
            raise SystemExit(f"{self.peer.name} ({self.peer.state()}) has refused requests, the first: {refused[0]}")
        self.count += len(lines)
        return self.count

    def end(self) -> None:
        """h2load says nothing at an interrupt; what was refused has been seen already."""
        self.kill()
        self.requests()
        self.lines.close()


def measure(site: Site, rounds: int, seconds: float) -> Section:
    loads = [Multiplexed(site.folder, peer) for peer in site.peers if peer.http2]
    samples = slices.run_rounds(loads, rounds, seconds)
    cpu = {name: slices.cpu(mine) for name, mine in samples.items()}
    rows = [[name, spread(mine), *(spread(ratios(mine, cpu[other]), 2) for other in ("nginx", "haproxy") if other in cpu),
             spread(slices.redis(samples[name]))] for name, mine in cpu.items()]
    head = ["", "CPU µs/request, median (least–most)",
            *(f"to {other}" for other in ("nginx", "haproxy") if other in cpu), "Redis, µs/request"]
    return Section(f"""{table(head, rows)}

GET over {CONNECTIONS} connections of {STREAMS} streams each, answers of {SIZE} bytes, by h2load; HTTP/1.1 to the app. {rounds} rounds
of {seconds:g} s for each, measured as above. h2load repeats its first cookie, which is legal as long as no newer one is shown: the cookie
is opened, presented and answered with a fresh one each time, but the rotation does not advance.""")
