"""CPU time per MiB of larger answers."""

import slices
from peers import Site
from report import Section, ratios, spread, table

CONNECTIONS = 16
MIB = 1 << 20
SIZES = {"64 KiB": MIB // 16, "1 MiB": MIB}


def per_mib(samples: list[slices.Sample], size: int) -> list[float]:
    return [cpu * MIB / size for cpu in slices.cpu(samples)]


def measure(site: Site, rounds: int, seconds: float) -> Section:
    cells = {peer.name: [peer.name] for peer in site.peers}
    for size in SIZES.values():
        loads = [slices.browse(site.folder, peer, size, CONNECTIONS, warm_up=500) for peer in site.peers]
        samples = slices.run_rounds(loads, rounds, seconds)
        nginx = per_mib(samples["nginx"], size)
        for name, mine in samples.items():
            cells[name] += [spread(per_mib(mine, size), 0), spread(ratios(per_mib(mine, size), nginx), 2)]
    head = ["", *(cell for name in SIZES for cell in (f"{name}: CPU µs/MiB, median (least–most)", "to nginx"))]
    return Section(f"""{table(head, list(cells.values()))}

GET over {CONNECTIONS} connections; measured like the CPU time per request, and divided by the size of the body.
{rounds} rounds of {seconds:g} s for each. Buffers and buffering are as each program has them by default.""")
