"""Requests per second when the load never rests."""

import slices
from peers import Site
from report import Section, spread, table

CONNECTIONS, SIZE = 64, 1024


def measure(site: Site, rounds: int, seconds: float) -> Section:
    loads = [slices.browse(site.folder, peer, SIZE, CONNECTIONS) for peer in site.peers]
    samples = slices.run_rounds(loads, rounds, seconds, length=seconds)
    rows = [[name, spread([sample.rate for sample in mine], 0), spread([100 * sample.busy for sample in mine], 0)]
            for name, mine in samples.items()]
    return Section(f"""{table(["", "requests/s, median (least–most)", "the proxy's CPU is busy, %"], rows)}

{CONNECTIONS} connections, answers of {SIZE} bytes; wrk of one proxy after the other for {seconds:g} s without a
stop, {rounds} rounds. Where the proxy's CPU is not busy, the figure is not the proxy's: then the other CPU, which wrk, the
app and Redis share, is what limits.""")
