"""The PROXY protocol of haproxy, versions 1 and 2: who the client is, behind a proxy that passes connections on."""

import socket
import subprocess

import pytest

from harness import http1
from harness.browser import app_saw
from harness.cases import cases
from harness.client import RawClient, connect
from harness.deadlines import PACE, PATIENCE, milliseconds, poll
from harness.gateway import free_port

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = b"PROXY TCP4 192.0.2.1 10.0.0.1 12345 443\r\n"
TLS, PLAIN = 1, 2  # the listeners


def binary(command: int, family: int, addresses: bytes, additions: bytes = b"") -> bytes:
    rest = addresses + additions
    return SIGNATURE + bytes([command, family]) + len(rest).to_bytes(2, "big") + rest


def ipv4(client: str) -> bytes:
    return binary(0x21, 0x11, socket.inet_aton(client) + socket.inet_aton("10.0.0.1") + b"\x30\x39\x01\xbb")


def ipv6(client: str, additions: bytes = b"") -> bytes:
    addresses = socket.inet_pton(socket.AF_INET6, client) + socket.inet_pton(socket.AF_INET6, "::1")
    return binary(0x21, 0x21, addresses + b"\x30\x39\x01\xbb", additions)


def listeners(config: dict) -> list[dict]:
    """The standard one, and two behind a proxy."""
    first = config["listen"][0]
    return [first | {"address": "127.0.0.1:0"}, first | {"address": "127.0.0.1:0", "proxy_protocol": True},
            {"address": "127.0.0.1:0", "proxy_protocol": True}]


def behind_a_proxy(new_site, standard, **changes):
    return new_site(listen=listeners(standard.gateway.config), trusted_proxies=["198.51.100.0/24"],
                    log={"level": "debug"}, **changes)


@pytest.fixture(scope="module")
def proxied(module_sites, site):
    return behind_a_proxy(module_sites, site)


def client_of(site, listener: int, header: bytes, **options) -> RawClient:
    trust = site.gateway.trust if listener == TLS else None
    return RawClient(site.gateway.endpoint(listener), trust=trust, ahead=header, **options)


def logged_client(site, response: http1.Response) -> str:
    return site.gateway.access_line(app_saw(response).one("X-Request-Id"))["client"]


HEADERS = cases({
    "v1-tcp4": (LINE, "192.0.2.1"),
    "v1-tcp6": (b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", "2001:db8::1"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v1-unknown-with-more": (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "127.0.0.1"),
    "v2-tcp4": (ipv4("192.0.2.1"), "192.0.2.1"),
    "v2-tcp6": (ipv6("2001:db8::1"), "2001:db8::1"),
    "v2-mapped": (ipv6("::ffff:192.0.2.1"), "192.0.2.1"),
    "v2-additions": (ipv6("2001:db8::1", b"\x02\0\x05hello" * 200), "2001:db8::1"),
    "v2-local": (binary(0x20, 0, b""), "127.0.0.1"),
    "v2-unspecified": (binary(0x21, 0, b"whatever"), "127.0.0.1"),
    "v2-unix": (binary(0x21, 0x31, b"a" * 216), "unix"),
})


@pytest.mark.parametrize("listener", [TLS, PLAIN], ids=["tls", "plain"])
@pytest.mark.parametrize("header, client", HEADERS)
def test_the_header_tells_the_client(proxied, listener, header, client):
    with client_of(proxied, listener, header) as raw:
        for _ in range(2):
            response = raw.get("/public/x", {"X-Forwarded-For": "203.0.113.9"})
            assert app_saw(response).one("X-Forwarded-For") == ("unknown" if client == "unix" else client)
            assert logged_client(proxied, response) == client


@pytest.mark.parametrize("header", [LINE, ipv6("2001:db8::1", b"more")], ids=["v1", "v2"])
def test_it_may_come_byte_by_byte_or_with_all_else(proxied, header):
    request = http1.request_bytes("GET", "/public/x")
    with RawClient(proxied.gateway.endpoint(PLAIN)) as client:
        for byte in header:
            client.send(bytes([byte]))
        assert client.send(request).read_response().status == 200
    with RawClient(proxied.gateway.endpoint(PLAIN)) as client:
        client.send(header + request + request)
        assert client.read_response().status == client.read_response().status == 200


def test_http2_is_spoken_behind_it(proxied):
    told = subprocess.run(["curl", "-sS", "--http2", "--insecure", "--haproxy-protocol", "-w", "%{http_version}",
                           "-o", "/dev/null", "https://127.0.0.1:%d/public/x" % proxied.gateway.endpoint(TLS)[1]],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert told.stdout == "2", told.stderr


@pytest.mark.parametrize("told, trusted_client, untrusted_client", cases({
    "x-forwarded-for": ({"X-Forwarded-For": "203.0.113.9"}, "203.0.113.9", "192.0.2.1"),
    "forwarded": ({"Forwarded": "for=203.0.113.9;proto=http"}, "203.0.113.9", "192.0.2.1"),
    "through-two": ({"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}, "203.0.113.9", "192.0.2.1"),
    "made-up": ({"X-Forwarded-For": "10.0.0.1, 203.0.113.9"}, "203.0.113.9", "192.0.2.1"),
    "none": ({}, "198.51.100.1", "192.0.2.1"),
}))
def test_trusted_proxies_are_asked_about_the_client_that_it_tells(proxied, told, trusted_client, untrusted_client):
    for peer, client in (("198.51.100.1", trusted_client), ("192.0.2.1", untrusted_client)):
        with client_of(proxied, TLS, ipv4(peer)) as raw:
            response = raw.get("/public/x", told)
            assert logged_client(proxied, response) == client
            forwarded = app_saw(response).one("X-Forwarded-For")
            assert forwarded.endswith(peer) and (forwarded == peer) == (client == peer)


BAD = cases({
    "http": b"GET /public/x HTTP/1.1\r\nHost: example.test\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01",
    "lower-case": LINE.lower(),
    "no-address": b"PROXY TCP4 localhost 10.0.0.1 1 2\r\n",
    "no-end": b"PROXY UNKNOWN " + b"x" * 200,
    "line-feed": LINE.replace(b"\r", b""),
    "version-3": binary(0x31, 0x11, b"x" * 12),
    "short": binary(0x21, 0x11, b"x" * 11),
    "huge": binary(0x21, 0x11, b"x" * 5000),
    "family": binary(0x21, 0x51, b"x" * 12),
    "signature": b"\r\n\r\n\0\r\nQUIT\r",
})


@pytest.mark.parametrize("listener", [TLS, PLAIN], ids=["tls", "plain"])
@pytest.mark.parametrize("data", BAD)
def test_anything_else_closes_the_connection(proxied, listener, data):
    before, refused = len(proxied.requests()), proxied.gateway.metrics()["rotagate_proxy_headers_refused_total"]
    with RawClient(proxied.gateway.endpoint(listener)) as raw:
        assert raw.send(data).is_closed()
    poll(lambda: proxied.gateway.metrics()["rotagate_proxy_headers_refused_total"] == refused + 1, "one is counted")
    assert "debug proxy_protocol.refused address=127.0.0.1:%d peer=127.0.0.1 error=" % proxied.gateway.endpoint(
        listener)[1] in proxied.gateway.stderr()
    assert len(proxied.requests()) == before
    with client_of(proxied, listener, LINE) as raw:
        assert raw.get("/public/x").status == 200


def test_a_client_that_leaves_within_it_is_forgotten(proxied):
    open_before = proxied.gateway.metrics()["rotagate_proxy_headers_refused_total"]
    for data in (b"", LINE[:10], SIGNATURE):
        with RawClient(proxied.gateway.endpoint(PLAIN)) as raw:
            raw.send(data)
            raw.finish_sending()
            assert raw.is_closed()
    poll(lambda: proxied.gateway.metrics()["rotagate_proxy_headers_refused_total"] == open_before + 3, "all are counted")


def test_a_header_that_is_late_closes_the_connection(new_site, site):
    late = behind_a_proxy(new_site, site, limits={"header_timeout": milliseconds(0.5 * PACE), "connections": 3})
    for _ in range(2):  # they give their places back
        clients = [RawClient(late.gateway.endpoint(PLAIN)) for _ in range(3)]
        clients[1].send(LINE[:-1])
        clients[2].send(SIGNATURE)
        assert all(client.is_closed() for client in clients)
    with RawClient(late.gateway.endpoint(PLAIN)) as dripping:
        for byte in LINE[:6]:
            dripping.send(bytes([byte]))
        dripping.drip_until_answered(b"x", 0.05 * PACE)
        assert dripping.is_closed()
    assert 'error="Connection timed out"' in late.gateway.stderr()


@pytest.fixture(scope="module")
def two_each(module_sites, site):
    return behind_a_proxy(module_sites, site, limits={"connections_per_client": 2})


@pytest.mark.parametrize("listener", [TLS, PLAIN], ids=["tls", "plain"])
@pytest.mark.parametrize("first, same, other", [
    ("192.0.2.1", "192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1")], ids=["v4", "v6"])
def test_one_client_may_have_so_many_connections(two_each, listener, first, same, other):
    """SECURITY D1: caps per IP; others unaffected. One customer has a /64 network of IPv6."""
    def came(address):
        try:
            client = client_of(two_each, listener, (ipv6 if ":" in address else ipv4)(address))
            client.get("/public/x")
            return client
        except (OSError, http1.Closed):
            return None

    refused = two_each.gateway.metrics()["rotagate_connections_refused_total"]
    kept = [came(address) for address in (first, same)]
    assert all(kept) and not came(first) and not came(same)
    assert two_each.gateway.metrics()["rotagate_connections_refused_total"] >= refused + 2
    told = f"connections.refused client={first} limit=2 "
    poll(lambda: not came(first) and told in two_each.gateway.stderr(), "the log tells of them once a second")
    kept += [came(address) for address in (other, other)]
    assert all(kept)
    kept.pop(0).close()
    kept.append(poll(lambda: came(same), "a place is free again"))
    for client in kept:
        assert client.get("/public/x").status == 200
        client.close()


def test_a_proxys_connections_are_not_one_clients(two_each):
    """What it is trusted to say tells its clients apart, request by request."""
    for header in (ipv4("198.51.100.7"), binary(0x21, 0x31, b"a" * 216)):
        clients = [client_of(two_each, PLAIN, header) for _ in range(4)]
        for client in clients:
            assert client.get("/public/x").status == 200
            client.close()


def test_a_waiting_header_does_not_hold_up_the_end(new_site, site):
    waiting = behind_a_proxy(new_site, site)
    with RawClient(waiting.gateway.endpoint(PLAIN)) as raw:
        raw.send(LINE[:10])
        waiting.gateway.stop()
        assert raw.is_closed()


def test_a_reload_turns_it_on_and_off(new_site, site):
    changing = new_site()
    first = changing.gateway.config["listen"][0]
    with changing.client() as kept:
        assert kept.get("/public/x").status == 200
        changing.gateway.reload(listen=[first | {"proxy_protocol": True}])
        assert kept.get("/public/x").status == 200
        with changing.client(ahead=LINE) as raw:
            assert app_saw(raw.get("/public/x")).one("X-Forwarded-For") == "192.0.2.1"
        with RawClient(changing.gateway.address) as raw:
            assert raw.send(b"GET / HTTP/1.1\r\n\r\n").is_closed()
        changing.gateway.reload(listen=[first])
        with changing.client() as raw:
            assert raw.get("/public/x").status == kept.get("/public/x").status == 200


def test_haproxy_speaks_it(proxied, tmp_path):
    ports = {version: free_port() for version in ("send-proxy", "send-proxy-v2")}
    sections = "".join(f"""
listen {version}
    bind 127.0.0.1:{port}
    server gateway 127.0.0.1:{proxied.gateway.endpoint(TLS)[1]} {version}
""" for version, port in ports.items())
    config = tmp_path / "haproxy.cfg"
    config.write_text("defaults\n    mode tcp\n    timeout connect 10s\n    timeout client 10s\n    timeout server 10s\n"
                      + sections)
    haproxy = subprocess.Popen(["haproxy", "-db", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        for port in ports.values():
            def reached() -> bool:
                try:
                    connect(("127.0.0.1", port)).close()
                    return True
                except OSError:
                    return False

            poll(reached, "haproxy listens")
            with RawClient(("127.0.0.1", port), trust=proxied.gateway.trust, source="127.0.0.7") as raw:
                assert app_saw(raw.get("/public/x")).one("X-Forwarded-For") == "127.0.0.7"
    finally:
        haproxy.terminate()
        haproxy.wait(PATIENCE)
