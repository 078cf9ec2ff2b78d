"""CPU time per new TLS connection, with a full handshake and with a resumed session."""

import pathlib
import sys

import slices
from peers import Peer, Site
from report import Section, ratios, spread, table

CLIENT = pathlib.Path(__file__).parent / "tls_client.py"


def connect(folder: pathlib.Path, peer: Peer, *options: str) -> slices.Load:
    counter = folder / f"{peer.name}.count"
    return slices.Load(peer, counter, 100, [sys.executable, CLIENT, "connect", "--port", peer.port,
                                            "--cookie", peer.cookie(), "--counter", counter, *options])


def measure(site: Site, rounds: int, seconds: float) -> Section:
    cells = {peer.name: [peer.name] for peer in site.peers}
    for options in ([], ["--resume"]):
        loads = [connect(site.folder, peer, *options) for peer in site.peers]
        samples = slices.run_rounds(loads, rounds, seconds)
        for name, mine in samples.items():
            cells[name] += [spread(slices.cpu(mine), 0),
                            spread(ratios(slices.cpu(mine), slices.cpu(samples["nginx"])), 2)]
    head = ["", "full handshake: CPU µs/connection, median (least–most)", "to nginx", "resumed: CPU µs/connection",
            "to nginx"]
    return Section(f"""{table(head, list(cells.values()))}

A connection is TCP, TLS 1.3, one request (64 bytes of answer, `Connection: close`) and the end; one at a time, by OpenSSL
in Python, which makes sure that every session was resumed, or none. ECDSA P-256. The request's own part is in the
figure. {rounds} rounds of {seconds:g} s for each, measured like the CPU time per request.""")
