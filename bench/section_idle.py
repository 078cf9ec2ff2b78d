"""Memory of TLS connections that wait for their next request."""

import pathlib
import subprocess
import sys
import time

import peers
from peers import Peer, Site
from report import Section, ratios, spread, table

CLIENT = pathlib.Path(__file__).parent / "tls_client.py"
CONNECTIONS, REPETITIONS = 5_000, 3
QUIET, PATIENCE = 2, 60  # seconds: for how long memory has to stand still, and by when


def settled_bytes(peer: Peer) -> int:
    """The proxy's resident memory once it stands still: the last answer is out before all that it took is freed."""
    began = since = time.monotonic()
    last = peers.resident_bytes(peer.process)
    while time.monotonic() < since + QUIET:
        if time.monotonic() > began + PATIENCE:
            raise SystemExit(f"{peer.name} ({peer.state()}) has memory that does not stand still: {last} bytes")
        time.sleep(0.1)
        now = peers.resident_bytes(peer.process)
        if now != last:
            last, since = now, time.monotonic()
    return last


def bytes_each(peer: Peer) -> float:
    """Of the proxy's resident memory, per connection that is held open."""
    def hold(count: int) -> subprocess.Popen:
        client = subprocess.Popen(
            ["taskset", "-c", str(peers.LOAD_CPU), sys.executable, CLIENT, "hold", "--port", str(peer.port),
             "--cookie", cookie, "--count", str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if client.stdout.readline() != "open\n":
            raise SystemExit(f"{peer.name} does not hold {count} connections")
        return client

    cookie = peer.cookie()
    with hold(100) as few:  # what the first connections bring along does not count
        before = settled_bytes(peer)
        with hold(CONNECTIONS) as many:
            after = settled_bytes(peer)
            many.communicate()
        few.communicate()
    return (after - before) / CONNECTIONS


def measure(site: Site, rounds: int, seconds: float) -> Section:
    memory = {peer.name: [] for peer in site.peers}
    for _ in range(min(rounds, REPETITIONS)):
        with site.twins("idle") as twins:
            for peer, twin in zip(site.peers, twins):
                memory[peer.name].append(bytes_each(twin) / 1024)
                print(f"{peer.name}: {memory[peer.name][-1]:.1f} KiB", flush=True)
    rows = [[name, spread(mine), spread(ratios(mine, memory["nginx"]), 2)] for name, mine in memory.items()]
    return Section(f"""{table(["", "KiB per connection, median (least–most)", "to nginx"], rows)}

What the resident memory of a fresh proxy grows by, over {CONNECTIONS} connections that have made one request each and are
kept alive, read once it has not changed for {QUIET} s; what the kernel holds for the sockets is not in it.
{len(memory["nginx"])} repetitions.""")
