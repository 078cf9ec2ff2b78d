"""What a request costs when many connections are busy instead of few."""

import slices
from peers import Site
from report import Section, ratios, spread, table

FEW, MANY, SIZE = 64, 5_000, 1024
# A load of 5,000 connections wakes to thousands of answers at once. Longer slices let that settle.
SLICE, DROWSY = 1, 0.25


def measure(site: Site, rounds: int, seconds: float) -> Section:
    rows, awake = [], max(SLICE, seconds / 2)
    with site.twins("busy") as twins:
        loads = [slices.browse(site.folder, peer, SIZE, FEW) for peer in site.peers]
        loads += [slices.browse(site.folder, twin, SIZE, MANY, warm_up=4 * MANY) for twin in twins]
        cpu = {name: slices.cpu(samples)
               for name, samples in slices.run_rounds(loads, rounds, awake, SLICE, DROWSY).items()}
        for peer, twin in zip(site.peers, twins):
            few, many = cpu[peer.name], cpu[twin.name]
            rows.append([peer.name, spread(few), spread(many), spread(ratios(many, few), 2),
                         spread(ratios(many, cpu["nginx-busy"]), 2)])
    head = ["", f"{FEW} connections: CPU µs/request", f"{MANY}: CPU µs/request", "growth", f"to nginx at {MANY}"]
    return Section(f"""{table(head, rows)}

Answers of {SIZE} bytes; two of each proxy, one with few connections and one with many, all side by side. {rounds} rounds
of {awake:g} s for each in slices of {SLICE} s; handshakes are not counted. All may keep as many connections to the app.
wrk sends on all {MANY} connections at once after each of its pauses, which is harder than what as many people do.""")
