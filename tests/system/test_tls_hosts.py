"""TLS in front: versions, certificates by SNI, what is no TLS at all (SECURITY.md P3, T1, T3)."""

import socket
import ssl

import pytest

from harness import http1
from harness.certificates import Authority
from harness.check import GOOD, checked
from harness.client import RawClient, connect
from harness.deadlines import PATIENCE


def handshake(site, server_name: str | None, **versions) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(site.gateway.trust))
    context.check_hostname = False
    context.set_ciphers("ALL:@SECLEVEL=0")
    for name, version in versions.items():
        setattr(context, name, version)
    return context.wrap_socket(connect(site.gateway.address), server_hostname=server_name)


@pytest.mark.parametrize("server_name, common_name", [
    ("example.test", "example.test"), ("api.example.test", "api.example.test"),
    ("API.example.test", "api.example.test"),
    (None, "example.test"), ("unknown.test", "example.test"), ("localhost", "example.test"),
    ("127.0.0.1", "example.test"),
], ids=lambda name: f"P3-{name}")
def test_the_certificate_is_chosen_by_sni(site, server_name, common_name):
    with handshake(site, server_name) as tls:
        assert dict(pair for names in tls.getpeercert()["subject"] for pair in names)["commonName"] == common_name


@pytest.mark.parametrize("server_name, host, status", [
    ("example.test", "example.test", 200), ("example.test", "localhost", 200), ("api.example.test", "api.example.test", 200),
    ("example.test", "api.example.test", 421), ("api.example.test", "example.test", 421), ("example.test", "evil.test", 421),
    (None, "example.test", 200), (None, "unknown.test", 200), (None, "api.example.test", 421),
    ("unknown.test", "unknown.test", 200), ("unknown.test", "example.test", 200),
    ("unknown.test", "api.example.test", 421),
], ids=lambda name: f"P3-{name}")
def test_a_request_for_a_host_of_another_certificate_is_misdirected(site, server_name, host, status):
    """P3: the connection was made, and perhaps guarded, for another host. Without SNI it was made for none: only a host
    that has a certificate of its own is refused then."""
    before = len(site.requests())
    with handshake(site, server_name) as tls:
        tls.sendall(http1.request_bytes("GET", "/public/x", host=host))
        assert http1.read_response(http1.Reader(tls)).status == status
    assert len(site.requests()) - before == (status == 200)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["T1-1.2", "T1-1.3"])
def test_tls_1_2_and_1_3_are_spoken(site, version):
    with handshake(site, "example.test", minimum_version=version, maximum_version=version) as tls:
        tls.sendall(b"GET /public/x HTTP/1.1\r\nHost: example.test\r\n\r\n")
        assert tls.recv(12) == b"HTTP/1.1 200"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["T1-1.0", "T1-1.1"])
def test_older_versions_are_refused(site, version):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(site, "example.test", minimum_version=version, maximum_version=version)


def test_min_version_1_3_refuses_1_2(new_site, site):
    tls = site.gateway.config["listen"][0]["tls"] | {"min_version": "1.3"}
    strict = new_site(listen=[{"address": "127.0.0.1:0", "tls": tls}])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(strict, "example.test", maximum_version=ssl.TLSVersion.TLSv1_2)
    with handshake(strict, "example.test") as spoken:
        assert spoken.version() == "TLSv1.3"


@pytest.mark.parametrize("offered, chosen", [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)],
                         ids=["http/1.1", "h2-and-http/1.1", "none"])
def test_alpn_agrees_on_what_is_spoken(new_site, site, offered, chosen):
    plain_listener = site.gateway.config["listen"][0] | {"address": "127.0.0.1:0", "http2": False}
    without_http2 = new_site(listen=[plain_listener])
    context = ssl.create_default_context(cafile=str(site.gateway.trust))
    if offered:
        context.set_alpn_protocols(offered)
    with context.wrap_socket(connect(without_http2.gateway.address), server_hostname="example.test") as tls:
        assert tls.selected_alpn_protocol() == chosen
        tls.sendall(b"GET /public/x HTTP/1.1\r\nHost: example.test\r\n\r\n")
        assert tls.recv(12) == b"HTTP/1.1 200"


def test_sessions_resume(site):
    context = ssl.create_default_context(cafile=str(site.gateway.trust))
    with context.wrap_socket(connect(site.gateway.address), server_hostname="example.test") as first:
        first.sendall(b"GET /public/x HTTP/1.1\r\nHost: example.test\r\n\r\n")
        assert first.recv(12) == b"HTTP/1.1 200"  # TLS 1.3 sends its tickets by then
        ticket = first.session
    with context.wrap_socket(connect(site.gateway.address), server_hostname="example.test", session=ticket) as second:
        second.sendall(b"GET /public/x HTTP/1.1\r\nHost: example.test\r\n\r\n")
        assert second.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("data", [
    pytest.param(b"GET /public/x HTTP/1.1\r\nHost: example.test\r\n\r\n", id="T3-plain-http"),
    pytest.param(b"\x16\x03\x01\xff\xff" + b"\0" * 70_000, id="T3-huge-hello"),
    pytest.param(b"\x16\x03\x01\0\x05hello", id="T3-bad-hello"), pytest.param(b"\0" * 100, id="T3-zeros"),
    pytest.param(b"\x80\x2e\x01\x00\x02", id="T3-ssl2"),
])
def test_what_is_no_handshake_is_ended(site, data):
    sock = connect(site.gateway.address)
    try:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := sock.recv(4096):
            answer += piece
    except OSError:
        pass  # it was ended the rude way
    else:
        assert b" 200 " not in answer
    finally:
        sock.close()
    site.canary()


def test_a_hello_in_single_bytes_is_understood(site):
    """T3"""
    context = ssl.create_default_context(cafile=str(site.gateway.trust))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="example.test")
    sock = connect(site.gateway.address)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            for byte in outgoing.read():
                sock.sendall(bytes([byte]))
            incoming.write(sock.recv(65536))
    assert tls.version() == "TLSv1.3"
    sock.close()
    site.canary()


def test_a_handshake_that_stalls_is_ended(new_site):
    impatient = new_site(limits={"header_timeout": "500ms"})
    sock = connect(impatient.gateway.address, patience=PATIENCE)
    sock.sendall(b"\x16\x03\x01")
    while sock.recv(100):
        pass  # an alert may come first
    sock.close()


def test_plain_http_is_redirected_to_https(new_site, site):
    both = new_site(listen=[site.gateway.config["listen"][0] | {"address": "127.0.0.1:0"},
                            {"address": "127.0.0.1:0", "redirect_to_https": True}])
    origins = ("https://example.test", f"https://example.test:{both.gateway.address[1]}")
    for method, target in (("GET", "/a/b?c=%2f"), ("POST", "/login"), ("HEAD", "/")):
        with RawClient(both.gateway.endpoint(1)) as client:
            response = client.request(method, target, body=b"x" if method == "POST" else b"", host="example.test:8080")
        assert response.status == 308
        assert response.one("Location") in [origin + target for origin in origins]
        assert response.all("Set-Cookie") == []
    assert not both.requests()


@pytest.mark.parametrize("host", ["example.test", "example.test.", "[::1]"])
@pytest.mark.parametrize("port", ["", ":8080"])
def test_the_redirect_leads_to_the_port_for_https_where_the_host_has_one(new_site, site, host, port):
    """Behind port 80 nobody names a port, and 443 is meant. A name may end in a dot, and the dot may be left out."""
    both = new_site(listen=[site.gateway.config["listen"][0] | {"address": "127.0.0.1:0"},
                            {"address": "127.0.0.1:0", "redirect_to_https": True}])
    with RawClient(both.gateway.endpoint(1)) as client:
        response = client.get("/a/b?c=%2f", host=host + port)
    https_port = f":{both.gateway.address[1]}" if port else ""
    assert response.status == 308
    assert response.one("Location") in {f"https://{name}{https_port}/a/b?c=%2f" for name in (host, host.rstrip("."))}


@pytest.mark.parametrize("data", [b"GET /x HTTP/1.1\r\nHost: a b\r\n\r\n", b"GET /x HTTP/1.1\r\n\r\n",
                                  b"GET /x HTTP/1.0\r\n\r\n",
                                  b"GET /x HTTP/1.1\r\nHost: a@b\r\n\r\n", b"nonsense\r\n\r\n"])
def test_the_redirect_never_leads_to_a_host_that_is_none(new_site, data):
    redirecting = new_site(listen=[{"address": "127.0.0.1:0", "redirect_to_https": True}])
    with redirecting.client(trust=None) as client:
        response = client.send(data).read_response()
    assert response.status == 400 and response.all("Location") == []


def test_options_of_the_server_itself_are_not_redirected(new_site):
    """They have no path that could be found elsewhere."""
    redirecting = new_site(listen=[{"address": "127.0.0.1:0", "redirect_to_https": True}])
    with redirecting.client(trust=None) as client:
        response = client.request("OPTIONS", "*")
    assert response.status == 204 and response.all("Location") == []


def test_a_plain_listener_serves_http(new_site):
    plain = new_site(listen=[{"address": "127.0.0.1:0"}])
    with plain.client(trust=None) as client:
        seen = client.get("/public/x")
    assert seen.status == 200
    assert ["X-Forwarded-Proto", "http"] in seen.json()["headers"]


def test_check_warns_of_a_certificate_that_has_expired(tmp_path):
    """It is no error: the other hosts of a gateway have to be served all the same."""
    authority = Authority(tmp_path, "authority")

    def told(certificate):
        return checked(tmp_path, GOOD.replace("127.0.0.1:8080\n", f"""127.0.0.1:8080
    tls: {{ certificates: [{{ cert: {certificate.cert}, key: {certificate.key} }}] }}
"""))

    old = told(authority.serve("old", "old.test", days=-1))
    assert old.status == 0 and "has expired" in old.said and "(warning)" in old.said
    assert "has expired" not in told(authority.serve("young", "young.test")).said
