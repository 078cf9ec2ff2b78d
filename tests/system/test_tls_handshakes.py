"""Handshakes as hostile or clumsy peers make them (SECURITY.md T1, T3), and what scanners say."""

import json
import re
import socket
import ssl
import struct
import subprocess
import xml.etree.ElementTree as xml

import pytest

from harness.certificates import Authority
from harness.cases import cases
from harness.client import connect
from harness.deadlines import PATIENCE, SCALE, poll
from harness.full_send_buffers import FullSendBuffers
from harness.tls import KeyUpdater, Visitor

HANDSHAKE, ALERT = 22, 21
SANITIZED = SCALE > 1  # its allocators keep what is freed
ALLOWANCE = 2**30 if SANITIZED else 64 * 2**20  # bytes of memory that half-open handshakes may take


def records(data: bytes) -> list[tuple[int, bytes]]:
    """The records of what a TLS peer has sent: type and content."""
    found = []
    while data:
        kind, _, length = struct.unpack(">BHH", data[:5])
        found.append((kind, data[5:5 + length]))
        data = data[5 + length:]
    return found


def record(content: bytes, kind: int = HANDSHAKE) -> bytes:
    return struct.pack(">BHH", kind, 0x0301, len(content)) + content


class Hands:
    """A client whose every record passes through the test's hands."""

    def __init__(self, site, server_name: str = "example.test"):
        self.site, self.sock = site, connect(site.gateway.address)
        self.arrived, self.leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=str(site.gateway.trust))
        self.tls = context.wrap_bio(self.arrived, self.leaving, server_hostname=server_name)

    def hello(self) -> bytes:
        """The handshake message of the first flight, without its record."""
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        (kind, content), = records(self.leaving.read())
        assert kind == HANDSHAKE
        return content

    def finish(self, cut=lambda data: [data]) -> None:
        """Goes on with the handshake, to its end."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.send(cut)
                piece = self.sock.recv(65536)
                assert piece, "the gateway has closed"
                self.arrived.write(piece)
        self.send(cut)

    def send(self, cut) -> None:
        for piece in cut(self.leaving.read()):
            self.sock.sendall(piece)

    def get(self, cut=lambda data: [data]) -> bytes:
        self.tls.write(b"GET /public/x HTTP/1.1\r\nHost: example.test\r\n\r\n")
        self.send(cut)
        while True:
            try:
                return self.tls.read(12)
            except ssl.SSLWantReadError:
                self.arrived.write(self.sock.recv(65536))


def ended(sock: socket.socket) -> bytes:
    """What comes until the gateway closes, or drops the connection."""
    received = b""
    try:
        while piece := sock.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return received


# ---- T3: in pieces --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_hello_in_many_small_records_is_understood(site, size):
    """T3: every record carries a piece of it."""
    client = Hands(site)
    hello = client.hello()
    client.sock.sendall(b"".join(record(hello[at:at + size]) for at in range(0, len(hello), size)))
    client.finish()
    assert client.get() == b"HTTP/1.1 200"
    client.sock.close()


def test_everything_in_single_bytes_is_understood(site):
    """T3: every segment carries one."""
    def one_by_one(data):
        return [bytes([byte]) for byte in data]

    client = Hands(site)
    client.finish(one_by_one)
    assert client.get(one_by_one) == b"HTTP/1.1 200"
    client.sock.close()


def with_extension(hello: bytes, *extensions: tuple[int, bytes]) -> bytes:
    """A ClientHello with more extensions, ahead of its own: pre_shared_key has to be the last."""
    at = 4 + 2 + 32
    at += 1 + hello[at]                                         # session id
    at += 2 + struct.unpack(">H", hello[at:at + 2])[0]          # cipher suites
    at += 1 + hello[at]                                         # compression methods
    added = b"".join(struct.pack(">HH", kind, len(content)) + content for kind, content in extensions)
    rest = added + hello[at + 2:]
    body = hello[4:at] + struct.pack(">H", min(len(rest), 0xffff)) + rest
    return hello[:1] + struct.pack(">I", len(body))[1:] + body


def in_records(message: bytes, size: int = 16384) -> bytes:
    return b"".join(record(message[at:at + size]) for at in range(0, len(message), size))


@pytest.mark.parametrize("extensions", [
    [(0x1a1a, b"\0" * 50_000)], [(0x2000 + number, b"") for number in range(2000)],
    [(0x2000 + number, b"x" * 28) for number in range(2000)], [(21, b"\0" * 65_000)],
], ids=["T3-50-KB", "T3-2000-extensions", "T3-64-KB-of-extensions", "T3-padding"])
def test_a_huge_hello_is_understood_or_refused(site, extensions):
    """Nothing of it stays behind, and others are served."""
    with site.gateway.flat_memory(ALLOWANCE // 2):
        for _ in range(20):
            client = Hands(site)
            client.sock.sendall(in_records(with_extension(client.hello(), *extensions)))
            answer = client.sock.recv(5)
            assert not answer or answer[0] in (HANDSHAKE, ALERT)
            client.sock.close()
    site.canary()


@pytest.mark.parametrize("data", [
    pytest.param(record(b"\x01\xff\xff\xff" + b"\0" * 1000), id="T3-16-MB-announced"),
    pytest.param(record(b"") * 100, id="T3-empty-records"),
    pytest.param(record(b"\x01\0\0\x02\x03\x03"), id="T3-short-hello"),
    pytest.param(record(b"\x02\0\0\x02\x03\x03"), id="T3-server-hello"),
    pytest.param(record(b"\x01", ALERT), id="T3-half-an-alert"),
    pytest.param(record(b"\x01\0", 23) * 3, id="T3-data-before-the-handshake"),
    pytest.param(record(b"\x18\x03\x01", 24), id="T1-heartbeat"),
    pytest.param(b"\x16\x03\x01\x48\x01" + b"\0" * 0x4801, id="T3-record-over-16-KB"),
])
def test_what_is_no_hello_ends_the_connection(site, data):
    sock = connect(site.gateway.address)
    try:
        sock.sendall(data)
        answer = ended(sock)
    except BrokenPipeError:
        answer = b""
    assert all(kind == ALERT for kind, _ in records(answer))
    sock.close()
    site.canary()


def test_half_open_handshakes_end_and_keep_nobody_from_the_gateway(new_site):
    """T3: those that say nothing, and those that stop in the middle."""
    site = new_site(limits={"header_timeout": "1s"})
    hello = Hands(site).hello()
    with site.gateway.flat_memory(ALLOWANCE):
        halves = [connect(site.gateway.address) for _ in range(600)]
        for number, sock in enumerate(halves):
            sock.sendall((b"", record(hello)[:20], record(hello))[number % 3])
        site.canary()
        for sock in halves:
            ended(sock)  # TimeoutError if the gateway keeps it open
            sock.close()
    poll(lambda: site.gateway.metrics()["rotagate_tls_handshakes_failed_total"] >= 600, "failures that were counted")
    site.canary()


def test_who_renews_the_keys_now_and_then_is_served(site):
    with KeyUpdater(site.gateway.address) as client:
        for _ in range(100):
            assert client.update()
            assert client.get("/public/x").status == 200


@pytest.mark.parametrize("begun", cases({
    "T3-nothing": b"", "T3-head": b"GET /public/x HTTP/1.1\r\nHost: exam",
    "T3-body": b"POST /public/x HTTP/1.1\r\nHost: example.test\r\nContent-Length: 1000\r\n\r\n"}))
def test_key_updates_without_end_whose_answers_nobody_takes_end_the_connection(new_site, tmp_path, begun):
    """T3: a few bytes have the gateway say something, too, which it would have to keep."""
    buffers = FullSendBuffers(tmp_path)
    site = new_site(environment=buffers.environment)
    with KeyUpdater(site.gateway.address) as slow, KeyUpdater(site.gateway.address) as flooding:
        for client in (slow, flooding):
            assert client.get("/public/x").status == 200
        buffers.fill(site.gateway.address)
        slow.update_times(50)
        if begun:
            flooding.send(begun)
        flooding.update_times(5000)
        flooding.sock.settimeout(PATIENCE)
        ended(flooding.sock)  # TimeoutError if the gateway keeps it open
        buffers.clear()
        assert slow.get("/public/x").status == 200, "who is late only is waited for"
    site.canary()


@pytest.mark.parametrize("request_line", [
    "GET / HTTP/1.1", "POST /login HTTP/1.1", "HEAD / HTTP/1.0", "PUT /x HTTP/1.1"])
def test_plain_http_is_told_that_this_is_https(site, request_line):
    sock = connect(site.gateway.address)
    sock.sendall(f"{request_line}\r\nHost: example.test\r\n\r\n".encode())
    answer = ended(sock).decode()
    assert answer.startswith("HTTP/1.1 400 ") and "\r\nConnection: close\r\n" in answer and "https" in answer
    head, _, body = answer.partition("\r\n\r\n")
    assert f"Content-Length: {len(body)}" in head
    sock.close()


@pytest.mark.parametrize("protocols", [["spdy/3"], ["h3", "acme-tls/1"]])
def test_a_protocol_that_is_not_spoken_is_refused(site, protocols):
    """T3; RFC 7301 section 3.2, and ALPACA: no other protocol is ever taken for HTTP."""
    context = ssl.create_default_context(cafile=str(site.gateway.trust))
    context.set_alpn_protocols(protocols)
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        context.wrap_socket(connect(site.gateway.address), server_hostname="example.test")


# ---- T1 -------------------------------------------------------------------------------------------------------------

def s_client(site, *options, say: bytes = b"") -> str:
    host, port = site.gateway.address
    shown = subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", "example.test", *options],
                           input=say, capture_output=True, timeout=PATIENCE)
    return (shown.stdout + shown.stderr).decode(errors="replace")


@pytest.mark.parametrize("cipher", [
    "AES128-GCM-SHA256", "AES256-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM",
    "aNULL", "eNULL", "PSK", "DHE"])
def test_ciphers_without_forward_secrecy_or_authenticated_encryption_are_refused(site, cipher):
    said = s_client(site, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
    assert "Cipher is (NONE)" in said or "no cipher" in said or "Error" in said, said


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
                                    "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_ciphers_with_both_are_spoken(site, cipher):
    assert f"Cipher is {cipher}" in s_client(site, "-tls1_2", "-cipher", cipher)


@pytest.mark.parametrize("group, spoken", [("X25519", True), ("P-256", True), ("P-384", True), ("P-521", False),
                                           ("ffdhe2048", False), ("P-521:P-256", True)])
def test_curves(site, group, spoken):
    """The last needs a second hello: its key share is for what is not spoken."""
    assert ("Cipher is TLS_" in s_client(site, "-tls1_3", "-groups", group)) == spoken


def test_a_client_cannot_renegotiate(site):
    """CVE-2009-3555, and the load that renegotiation allows."""
    said = s_client(site, "-tls1_2", say=b"R\n")
    assert "RENEGOTIATING" in said and "no renegotiation" in said, said
    assert "Secure Renegotiation IS supported" in said


def test_compression_and_early_data_are_not_offered(site):
    said = s_client(site, "-tls1_3", "-comp", say=b"GET /public/x HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n")
    assert "Compression: NONE" in said and "Early data was not sent" in said
    assert re.findall(r"Max Early Data: (\d+)", said) in ([], ["0"], ["0", "0"])


def test_early_data_is_not_taken(site, tmp_path):
    """T1: what is replayed never reaches the app."""
    session, early = tmp_path / "session", tmp_path / "early"
    early.write_bytes(b"POST /public/early HTTP/1.1\r\nHost: example.test\r\nContent-Length: 0\r\n\r\n")
    s_client(site, "-tls1_3", "-sess_out", session, say=b"GET /public/x HTTP/1.1\r\nHost: example.test\r\n\r\n")
    said = s_client(site, "-tls1_3", "-sess_in", session, "-early_data", early)
    assert "Early data was accepted" not in said
    assert not site.app.requests("/public/early")


def test_a_fallback_by_a_client_that_could_do_better_is_refused(site):
    """RFC 7507"""
    assert "inappropriate fallback" in s_client(site, "-fallback_scsv", "-tls1_2")


# ---- wildcards ------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def wild(module_sites, tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"), "wild-ca")
    listed = [authority.serve(name, *names).listed() for name, names in {
        "first": ["first.test"], "wild": ["*.wild.test"], "exact": ["exact.wild.test"], "deep": ["*.deep.wild.test"],
        "odd": ["w*.partial.test"]}.items()]
    site = module_sites(listen=[{"address": "127.0.0.1:0", "tls": {"certificates": listed}}])
    site.trust = authority.cert
    return site


@pytest.mark.parametrize("name, chosen", [
    ("a.wild.test", "wild"), ("A.WILD.test", "wild"), ("exact.wild.test", "exact"), ("x.deep.wild.test", "deep"),
    ("wild.test", "first"), ("deep.wild.test", "wild"), ("a.b.wild.test", "first"), ("x.exact.wild.test", "first"),
    ("www.partial.test", "first"), ("test", "first"), ("xwild.test", "first"),
])
def test_a_wildcard_stands_for_one_label(wild, name, chosen):
    assert Visitor(trust=wild.trust)(wild, name).common_name == chosen


@pytest.mark.parametrize("server_name, host, status", [
    ("a.wild.test", "a.wild.test", 200), ("a.wild.test", "b.wild.test", 200), ("a.wild.test", "exact.wild.test", 200),
    ("a.wild.test", "wild.test", 421), ("a.wild.test", "a.b.wild.test", 421), ("exact.wild.test", "a.wild.test", 421),
    ("a.wild.test", "*.wild.test", 400), (None, "a.wild.test", 421), (None, "a.b.wild.test", 200),
])
def test_hosts_of_a_wildcard(wild, server_name, host, status):
    """P3"""
    assert Visitor(trust=wild.trust)(wild, server_name, host=host).response.status == status


# ---- scanners -------------------------------------------------------------------------------------------------------

def test_sslscan_finds_nothing(site):
    host, port = site.gateway.address
    shown = subprocess.run(["sslscan", "--xml=-", "--no-colour", "--sni-name=example.test", f"{host}:{port}"],
                           capture_output=True, timeout=6 * PATIENCE)
    scan = xml.fromstring(shown.stdout).find("ssltest")
    enabled = {kind.get("type") + kind.get("version") for kind in scan.findall("protocol") if kind.get("enabled") == "1"}
    assert enabled == {"tls1.2", "tls1.3"}
    assert scan.find("renegotiation").get("supported") == "0"
    assert {found.get("vulnerable") for found in scan.findall("heartbleed")} == {"0"}
    ciphers = scan.findall("cipher")
    # "acceptable" is what it calls the names of TLS 1.3.
    assert {(found.get("sslversion"), found.get("strength")) for found in ciphers} == {
        ("TLSv1.2", "strong"), ("TLSv1.3", "acceptable")}
    assert all(re.search("GCM|CHACHA20", found.get("cipher")) for found in ciphers)
    groups = {found.get("name").split()[0] for found in scan.findall("group") if found.get("sslversion") == "TLSv1.3"}
    assert groups == {"x25519", "secp256r1", "secp384r1"}


def test_testssl_finds_nothing(site, tmp_path):
    """Protocols, kinds of ciphers, the server's preferences, and all the attacks that it knows; the certificate is a
    test's own. It takes most of a minute."""
    host, port = site.gateway.address
    found = tmp_path / "found.json"
    subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "one", "--jsonfile", found,
                    "-p", "-s", "-P", "-U", "--sneaky", f"localhost:{port}"],
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=60 * PATIENCE)
    findings = {entry["id"]: (entry["severity"], entry["finding"]) for entry in json.loads(found.read_text())}
    for looked_at in ("TLS1_2", "TLS1_3", "cipherlist_NULL", "cipher_order", "heartbleed", "secure_client_renego",
                      "CRIME_TLS", "RC4"):
        assert looked_at in findings, sorted(findings)
    assert not {name: entry for name, entry in findings.items()
                if entry[0] not in ("OK", "INFO") and name != "engine_problem"}
