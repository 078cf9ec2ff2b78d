"""CPU time per request: small answers over 64 kept-alive connections."""

import bars
import slices
from peers import Site
from report import Section, ratios, spread, table

CONNECTIONS, SIZE = 64, 1024


def measure(site: Site, rounds: int, seconds: float) -> Section:
    loads = [slices.browse(site.folder, peer, SIZE, CONNECTIONS) for peer in site.peers]
    samples = slices.run_rounds(loads, rounds, seconds)
    nginx = slices.cpu(samples["nginx"])
    to_nginx = {name: ratios(slices.cpu(mine), nginx) for name, mine in samples.items()}
    rows = [[name, spread(slices.cpu(mine)), spread(to_nginx[name], 2), spread(slices.redis(mine))]
            for name, mine in samples.items()]
    tls = "; ".join(f"{peer.name}: {peer.tls()}" for peer in site.peers)
    picture = bars.chart(bars.Panel("CPU time per request, to nginx as a plain TLS proxy", to_nginx, reference=1))
    return Section(f"""![CPU time per request, to nginx](cpu-per-request.svg)

{table(["", "CPU µs/request, median (least–most)", "to nginx", "Redis, µs/request"], rows)}

GET over {CONNECTIONS} connections, answers of {SIZE} bytes, HTTP/1.1. {rounds} rounds, in each of which every proxy's
load is awake for {seconds:g} s, in slices of 0.1 s between those of the others; a ratio compares within one round.
rotagate checks and rotates the session's cookie on every request (rotagate-redis by a script in a Redis), nginx-lua makes
a new session on every request, and wrk adopts each new cookie; nginx and haproxy have no session and get a cookie as long
as rotagate's. Access logs are off on all sides; the configurations are in [templates](templates).
Negotiated: {tls}.""", {"cpu-per-request.svg": picture})
