"""SECURITY.md section 1 against parsers that disagree: what the gateway passes on is one and the same request to every
server, and what it refuses reaches none.

The ids of SECURITY.md begin the ids of the cases. An innocent request follows each, on the same connection where that
stays open and on the same connection to the server: if any two were out of step, it would not get its own answer.
"""

import itertools
import re

import pytest

from harness.cases import cases
from harness.client import RawClient
from harness.deadlines import SCALE
from harness.gateway import route
from harness.http1 import Response, crlf
from harness.web_servers import SERVERS, WebServer, read

REFUSED, ANSWERED = "refused", "answered"  # by the gateway itself
REFUSALS = (400, 404, 405, 417, 501, 505)  # not 401, 502, 503: those would say nothing of the request's form
FIELDS = "Host: example.test⏎Cookie: {cookie}⏎"
GET = "GET /@/x HTTP/1.1⏎" + FIELDS  # "/@" stands for the server
POST = "POST /@/x HTTP/1.1⏎" + FIELDS
HELLO = POST + "Content-Length: 5⏎"
CODED = POST + "Transfer-Encoding: chunked⏎"
CHUNKED = CODED + "⏎"
SMUGGLED = "GET /smuggled HTTP/1.1⏎Host: example.test⏎X-User-Id: admin⏎⏎"
LENGTH = len(crlf(SMUGGLED))
CHUNK = f"{LENGTH:x}⏎{SMUGGLED}⏎"
END = "0⏎⏎"
BIG = "0123456789abcdef" * 5000
_numbers = itertools.count(1)


def straight_to(server: WebServer) -> RawClient:
    host, _, port = server.address.partition(":")
    return RawClient((host, int(port)))


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    running = {}
    try:
        for name in SERVERS:
            running[name] = WebServer(name, tmp_path_factory.mktemp(name))
        for server in running.values():  # some listen before they are ready
            with straight_to(server) as client:
                assert client.get("/ready").status == 200
            server.seen(), server.complaints()
        yield running
    finally:
        for server in running.values():
            server.close()


@pytest.fixture(scope="module")
def site(module_sites, servers, certificates):
    """The first server is below /0/, and so on; what it gets comes without that prefix, and is all alice's."""
    settings = {"max_idle_connections": 1, "connect_timeout": "2s", "response_timeout": f"{20 * SCALE:.0f}s"}
    listen = [{"address": "127.0.0.1:0", "tls": {"certificates": [certificates.example.listed()]}},
              {"address": "127.0.0.1:0"}]
    return module_sites(
        listen=listen, upstreams={name: {"servers": [server.address]} | settings for name, server in servers.items()},
        routes=[route("/login", "optional", sessions="control")] + [
            route(f"/{number}/", upstream=name, rewrite={"strip_prefix": f"/{number}"})
            for number, name in enumerate(servers)])


@pytest.fixture(scope="module")
def alice(site):
    return site.browser("alice")


def told(case: str, host: str) -> dict[str, str]:
    """As an app tells the request; "POST /x hello" has the body "hello"."""
    method, target, body = (case.split(" ", 2) + [""])[:3]
    return {"method": method, "target": target, "host": host, "user": "alice", "body": crlf(body).decode("latin-1")}


class Talk:
    """With one server, by way of the gateway."""

    def __init__(self, site, alice, name: str):
        self._site, self._alice, self._prefix = site, alice, f"/{list(SERVERS).index(name)}"
        self._connect()

    def _connect(self) -> None:
        self._client = RawClient(self._site.gateway.endpoint(1))  # handshakes would take longer than all else

    def send(self, text: str) -> None:
        text = text.replace("{cookie}", self._alice.cookie_header).replace("/@", self._prefix)
        self._client.send(crlf(text))

    def receive(self, to_head: bool = False) -> Response:
        response = self._client.read_response(to_head)
        self._alice.receive(response)
        return response

    def innocent_request_after(self, last: Response) -> dict[str, str]:
        """By another connection if that answer ended this one; it gets the answer to itself."""
        if last.closes:
            assert self._client.is_closed(), "more than the answers came"
            self._client.close()
            self._connect()
        request = told(f"GET /innocent/{next(_numbers)}", "example.test")
        self.send(f"GET /@{request['target']} HTTP/1.1⏎{FIELDS}⏎")
        assert read(self.receive().body) == request
        return request

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def talk(site, alice, name):
    talk = Talk(site, alice, name)
    yield talk
    talk.close()


FORWARDED = {
    "get": (GET + "⏎", ["GET /x"]),
    "post": (HELLO + "⏎hello", ["POST /x hello"]),
    "post-of-nothing": (POST + "Content-Length: 0⏎⏎", ["POST /x"]),
    "post-big": (POST + f"Content-Length: {len(BIG)}⏎⏎{BIG}", [f"POST /x {BIG}"]),
    "post-form": (HELLO + "Content-Type: application/x-www-form-urlencoded⏎⏎a=b&c", ["POST /x a=b&c"]),
    "chunked": (CHUNKED + "2;a=b⏎he⏎3;c⏎llo⏎0;d⏎T: x⏎⏎", ["POST /x hello"]),
    "chunked-nothing": (CHUNKED + END, ["POST /x"]),
    "chunked-big": (CHUNKED + f"{len(BIG):x}⏎{BIG}⏎" + END, [f"POST /x {BIG}"]),
    "chunked-bytes": (CHUNKED + "3⏎\0\r\xff⏎" + END, ["POST /x \0\r\xff"]),
    "head": ("HEAD /@/x HTTP/1.1⏎" + FIELDS + "⏎", ["HEAD /x"]),
    "options": ("OPTIONS /@/x HTTP/1.1⏎" + FIELDS + "⏎", ["OPTIONS /x"]),
    "propfind": ("PROPFIND /@/x HTTP/1.1⏎" + FIELDS + "Content-Length: 5⏎⏎hello", ["PROPFIND /x hello"]),
    "put-chunked": ("PUT /@/x HTTP/1.1⏎" + FIELDS + "Transfer-Encoding: chunked⏎⏎5⏎hello⏎" + END, ["PUT /x hello"]),
    "S2-smuggled-in-a-chunk": (CHUNKED + CHUNK + END, [f"POST /x {SMUGGLED}"]),
    "S3-mixed-case": (POST + "tRANSFER-ENCODING: \t chunKed \t⏎⏎5⏎hello⏎" + END, ["POST /x hello"]),
    "S5-content_length": (GET + f"Content_Length: {LENGTH}⏎⏎", ["GET /x"]),
    "S5-content_length-differs": (HELLO + "Content_Length: 0⏎⏎hello", ["POST /x hello"]),
    "S5-transfer_encoding": (HELLO + "Transfer_Encoding: chunked⏎⏎" + END, ["POST /x " + END]),
    "S5-content.length": (HELLO + "Content.Length: 3⏎⏎hello", ["POST /x hello"]),
    "S6-leading-zeros": (CHUNKED + "0000000005⏎hello⏎000⏎⏎", ["POST /x hello"]),
    "S6-upper-case-size": (CHUNKED + "A⏎0123456789⏎" + END, ["POST /x 0123456789"]),
    "S6-quoted-extension": (CHUNKED + '5;a="0;b"⏎hello⏎' + END, ["POST /x hello"]),
    "S6-data-like-an-end": (CHUNKED + "5⏎0⏎⏎⏎" + END, ["POST /x 0⏎⏎"]),
    "S7-length": (CODED + "Trailer: Content-Length⏎⏎5⏎hello⏎0⏎Content-Length: 2⏎⏎", ["POST /x hello"]),
    "S7-coding": (CHUNKED + "5⏎hello⏎0⏎Transfer-Encoding: identity⏎⏎", ["POST /x hello"]),
    "S7-user": (CODED + "TE: trailers⏎⏎5⏎hello⏎0⏎X-User-Id: admin⏎Host: evil⏎⏎", ["POST /x hello"]),
    "S8-one-blank-line": ("⏎" + GET + "⏎", ["GET /x"]),
    "S8-bytes-in-a-value": (GET + "X: a\tb\x80\xe9⏎⏎", ["GET /x"]),
    "S8-separators-in-a-name": (GET + "X!#$%&'*+^`|~: y⏎⏎", ["GET /x"]),
    "S9-get-with-a-body": (GET + f"Content-Length: {LENGTH}⏎⏎{SMUGGLED}", [f"GET /x {SMUGGLED}"]),
    "S9-get-chunked": (GET + f"Transfer-Encoding: chunked⏎⏎{CHUNK}{END}", [f"GET /x {SMUGGLED}"]),
    "S9-delete-with-a-body": ("DELETE /@/x HTTP/1.1⏎" + FIELDS + f"Content-Length: {LENGTH}⏎⏎{SMUGGLED}",
                              [f"DELETE /x {SMUGGLED}"]),
    "S9-options-with-a-body": ("OPTIONS /@/x HTTP/1.1⏎" + FIELDS + f"Content-Length: {LENGTH}⏎⏎{SMUGGLED}",
                               [f"OPTIONS /x {SMUGGLED}"]),
    "S9-head-with-a-body": ("HEAD /@/x HTTP/1.1⏎" + FIELDS + f"Content-Length: {LENGTH}⏎⏎{SMUGGLED}",
                            [f"HEAD /x {SMUGGLED}"]),
    "S9-post-without-framing": (POST + "⏎" + GET + "⏎", ["POST /x", "GET /x"]),
    "S10-1.0": ("GET /@/x HTTP/1.0⏎" + FIELDS + "⏎", ["GET /x"]),
    "S10-1.0-keep-alive": ("POST /@/x HTTP/1.0⏎" + FIELDS + "Connection: keep-alive⏎Content-Length: 5⏎⏎hello",
                           ["POST /x hello"]),
    "S11-length": (HELLO + "Expect: 100-continue⏎⏎hello", ["POST /x hello"]),
    "S11-chunked": (CODED + "Expect: 100-continue⏎⏎5⏎hello⏎" + END, ["POST /x hello"]),
    "S11-no-body": (GET + "Expect: 100-continue⏎⏎", ["GET /x"]),
    "S13-two": (GET + "⏎" + GET + "⏎", ["GET /x"] * 2),
    "S13-bodies": (HELLO + "⏎hello" + CHUNKED + CHUNK + END + HELLO + "⏎0⏎⏎" + GET + "⏎",
                   ["POST /x hello", f"POST /x {SMUGGLED}", "POST /x 0⏎⏎", "GET /x"]),
    "S13-head-first": ("HEAD /@/x HTTP/1.1⏎" + FIELDS + "⏎" + HELLO + "⏎hello", ["HEAD /x", "POST /x hello"]),
    "S13-good-bad-good": (HELLO + "⏎hello" + GET + "Bad Name: x⏎⏎" + GET + "⏎", ["POST /x hello", REFUSED]),
    "S13-length-too-short": (HELLO + "⏎hello G" + GET + "⏎", ["POST /x hello", REFUSED]),
    "S14-absolute": ("GET https://example.test/@/x?q HTTP/1.1⏎" + FIELDS + "⏎", ["GET /x?q"]),
    "S14-absolute-upper-case": ("GET HTTPS://EXAMPLE.TEST/@/x HTTP/1.1⏎" + FIELDS + "⏎", ["GET /x"]),
    "S15-port": ("GET /@/x HTTP/1.1⏎" + FIELDS.replace(".test", ".test:8443") + "⏎", ["GET /x"]),
    "S16-h2c": (GET + "Connection: Upgrade, HTTP2-Settings⏎Upgrade: h2c⏎HTTP2-Settings: AAMAAABkAAQAoAAA⏎⏎",
                ["GET /x"]),
    "S16-h2c-body": (HELLO + "Connection: Upgrade⏎Upgrade: h2c, TLS/1.0⏎⏎hello", ["POST /x hello"]),
    "I1-claimed": (GET + "X-User-Id: admin⏎x_user_id: admin⏎X.User.Id: admin⏎X-User_Id: admin⏎⏎", ["GET /x"]),
    "I2-length": (HELLO + "Connection: content-length⏎⏎hello", ["POST /x hello"]),
    "I2-coding": (CODED + "Connection: close, Transfer-Encoding⏎⏎" + CHUNK + END, [f"POST /x {SMUGGLED}"]),
    "I2-user": (HELLO + "Connection: x-user-id, keep-alive⏎⏎hello", ["POST /x hello"]),
    "I2-host": (GET + "Connection: Host, Cookie⏎⏎", ["GET /x"]),
    "I3-override": (HELLO + "X-Original-URL: /y⏎X-Rewrite-URL: /y⏎X-Forwarded-Host: evil⏎⏎hello", ["POST /x hello"]),
} | {f"P1-{sent}": (f"GET /@{sent} HTTP/1.1⏎{FIELDS}⏎", [f"GET {seen}"]) for sent, seen in {
    "//x": "/x", "/./x": "/x", "/y/../x": "/x", "/y/%2e%2e/x": "/x", "/y/.%2E/x": "/x", "/%78": "/x", "/x/": "/x/",
    "/x;a=b": "/x;a=b", "/x%3Bb": "/x%3Bb", "/x%20y": "/x%20y", "/x%23y": "/x%23y", "/x%3Fy": "/x%3Fy", "/%25": "/%25",
    "/caf%C3%A9": "/caf%C3%A9", "/x?a=%2F..;/%0D%0A%00&b": "/x?a=%2F..;/%0D%0A%00&b", "/x?a=//y": "/x?a=//y",
}.items()}

NOT_FORWARDED = {
    "S1-cl-te": POST + "Content-Length: 6⏎Transfer-Encoding: chunked⏎⏎0⏎⏎G",
    "S1-te-cl": CODED + f"Content-Length: 4⏎⏎{CHUNK}{END}",
    "S1-cl-zero-te": POST + "Content-Length: 0⏎Transfer-Encoding: chunked⏎⏎" + CHUNK + END,
    "S1-te-unknown-cl": HELLO + "Transfer-Encoding: x⏎⏎hello",
    "S4-equal": HELLO + "Content-Length: 5⏎⏎hello", "S4-different": HELLO + f"Content-Length: {LENGTH}⏎⏎{SMUGGLED}",
    "S4-space-before-colon": HELLO + f"Content-Length : {LENGTH}⏎⏎{SMUGGLED}",
    "S4-connection-hides-one": HELLO + "Connection: content-length⏎Content-Length: 0⏎⏎hello",
    "S8-lf": GET.replace("⏎", "\n") + "\n", "S8-lf-ends-the-head": GET + "X: y\n\n" + SMUGGLED,
    "S8-cr-in-a-value": GET + "X: a\rTransfer-Encoding: chunked⏎⏎" + CHUNK + END,
    "S8-cr-in-the-target": "GET /@/\rx HTTP/1.1⏎" + FIELDS + "⏎", "S8-fold": HELLO + "X: y⏎ Content-Length: 0⏎⏎hello",
    "S8-nul-in-a-value": GET + "X: a\0b⏎⏎", "S8-nul-in-a-name": GET + "X\0: b⏎⏎",
    "S8-nul-in-the-target": "GET /@/x\0 HTTP/1.1⏎" + FIELDS + "⏎", "S8-space-in-a-name": GET + "X Y: z⏎⏎",
    "S8-no-colon": GET + "nonsense⏎⏎", "S8-nameless": GET + ": x⏎⏎", "S8-blank-lines": "⏎⏎⏎" + GET + "⏎",
    "S8-tabs": "GET\t/@/x\tHTTP/1.1⏎" + FIELDS + "⏎", "S8-two-spaces": "GET  /@/x HTTP/1.1⏎" + FIELDS + "⏎",
    "S8-space-in-the-target": "GET /@/x HTTP/1.1 HTTP/1.1⏎" + FIELDS + "⏎",
    "S10-te": "POST /@/x HTTP/1.0⏎" + FIELDS + "Connection: keep-alive⏎Transfer-Encoding: chunked⏎⏎" + CHUNK + END,
    "S10-0.9": "GET /@/x⏎⏎", "S10-1.2": GET.replace("1.1", "1.2") + "⏎",
    "S10-lower-case": GET.replace("HTTP", "http") + "⏎",
    "S11-unknown": HELLO + "Expect: x⏎⏎hello",
    "S14-absolute-other-host": "GET http://evil/@/x HTTP/1.1⏎" + FIELDS + "⏎",
    "S14-userinfo": "GET http://example.test@evil/@/x HTTP/1.1⏎" + FIELDS + "⏎",
    "S14-trace": GET.replace("GET", "TRACE") + "⏎",
    "S14-connect": "CONNECT example.test:443 HTTP/1.1⏎" + FIELDS + "⏎" + SMUGGLED,
    "S15-none": "GET /@/x HTTP/1.1⏎⏎", "S15-two": GET + "Host: example.test⏎⏎", "S15-other": GET + "Host: evil⏎⏎",
    "S15-list": GET.replace(".test", ".test, evil") + "⏎", "S15-userinfo": GET.replace(": ex", ": evil@ex") + "⏎",
    "S15-path": GET.replace(".test", ".test/@/y") + "⏎", "I1-space": GET + "X-User-Id : admin⏎⏎",
    "http2-preface": "PRI * HTTP/2.0⏎⏎SM⏎⏎",
} | {f"S3-{name}": POST + line + "⏎⏎" + CHUNK + END for name, line in {
    "unknown": "Transfer-Encoding: xchunked", "identity": "Transfer-Encoding: identity",
    "chunked-identity": "Transfer-Encoding: chunked, identity",
    "identity-chunked": "Transfer-Encoding: identity, chunked",
    "gzip-chunked": "Transfer-Encoding: gzip, chunked", "twice": "Transfer-Encoding: chunked, chunked",
    "two-fields": "Transfer-Encoding: chunked⏎Transfer-Encoding: identity", "quoted": 'Transfer-Encoding: "chunked"',
    "vertical-tab": "Transfer-Encoding: \x0bchunked", "space-before-colon": "Transfer-Encoding : chunked",
    "tab-before-colon": "Transfer-Encoding\t: chunked", "folded-value": "Transfer-Encoding:⏎ chunked",
    "folded-name": "X: y⏎ Transfer-Encoding: chunked", "nul": "Transfer-Encoding: chunked\0",
    "parameter": "Transfer-Encoding: chunked;q=1", "comma": "Transfer-Encoding: ,chunked",
    "empty": "Transfer-Encoding:",
    "lf": "X: y\nTransfer-Encoding: chunked", "no-break-space": "Transfer-Encoding: chunked\xa0",
}.items()} | {f"S4-{value!r}": POST + f"Content-Length: {value}⏎⏎hello" for value in (
    "+5", "-5", "5,5", "5, 6", "0x5", "00005", "5 5", "5;", "5.0", "", "\x0b5", "⏎ 5", str(2**64 + 5))
} | {f"S6-{name}": CHUNKED + body for name, body in {
    "hex-prefix": "0x5⏎hello⏎" + END, "plus": "+5⏎hello⏎" + END, "minus": "-1⏎hello⏎" + END,
    "space": "5 ⏎hello⏎" + END,
    "overflow": "10000000000000005⏎hello⏎" + END, "lf": "5\nhello⏎" + END, "cr": "5\rhello⏎" + END,
    "lf-after-data": "5⏎hello\n" + END, "lf-at-the-end": "5⏎hello⏎0\n\n", "spill": "5⏎helloX⏎" + END,
    "lf-in-an-extension": f"5;\nxx⏎hello⏎{END}", "cr-in-an-extension": f"5;\rxx⏎hello⏎{END}",
    "empty-size": "⏎" + END,
    "many-zeros": "0" * 5000 + "5⏎hello⏎" + END, "trailer-without-colon": "0⏎GET /smuggled HTTP/1.1⏎⏎",
    "trailer-fold": "0⏎A: b⏎ c⏎⏎", "trailer-lf": "0⏎A: b\n\n" + SMUGGLED,
}.items()} | {f"P1-{sent}": f"GET /@{sent} HTTP/1.1⏎{FIELDS}⏎" for sent in (
    "/y/..;/x", "/y/%2e%2e;/x", "/../x", "/%2e%2e/x", "/y%2f..%2fx", "/y\\x", "/y%5cx", "/x%00",
    "/x%0d%0aX-User-Id:admin",
    "/x%0aHTTP/1.1", "/%c0%af", "/%", "/%zz", "/x#y", "/caf\xe9", "/%252e%252e/x")}


@pytest.mark.parametrize("data, outcomes", cases(FORWARDED | {
    case: (data, [REFUSED]) for case, data in NOT_FORWARDED.items()}))
@pytest.mark.parametrize("name", SERVERS)
def test_every_server_gets_the_same_requests_or_none(servers, talk, name, data, outcomes):
    host = (re.findall("Host: ([^⏎]+)⏎", data) or ["none"])[0]
    expected = [told(case, host) for case in outcomes if case not in (REFUSED, ANSWERED)]
    talk.send(data)
    for request in expected:
        last = talk.receive(to_head=request["method"] == "HEAD")
        assert last.status == 200, last
        assert request["method"] == "HEAD" or read(last.body) == request
    if len(expected) < len(outcomes):
        last = talk.receive()
        assert last.status in (REFUSALS if outcomes[-1] == REFUSED else (204,)), last
    innocent = talk.innocent_request_after(last)
    assert servers[name].seen() == expected + [innocent]
    assert servers[name].complaints() == []


@pytest.mark.parametrize("flaw", cases({"size": "X⏎", "spill": "5⏎helloX⏎", "trailer": "0⏎GET /smuggled HTTP/1.1⏎⏎"}))
@pytest.mark.parametrize("name", SERVERS)
def test_no_server_takes_for_complete_what_breaks_off(servers, talk, name, flaw):
    """S6: the flaw comes when much of the body is at the server."""
    talk.send(CHUNKED + f"{len(BIG):x}⏎{BIG}⏎" * 10)
    talk.send(flaw)
    last = talk.receive()
    assert last.status == 400 and last.closes, last
    innocent = talk.innocent_request_after(last)
    assert servers[name].seen() == [innocent]
    servers[name].complaints()  # of the end


@pytest.mark.parametrize("case", ["S1-te-cl", "S3-vertical-tab", "S8-lf", "S6-lf"])
def test_the_servers_would_disagree_without_the_gateway(servers, case):
    """Else the tests above would prove little."""
    readings = {}
    for name, server in servers.items():
        with straight_to(server) as client:
            client.send(crlf(NOT_FORWARDED[case].replace("/@", ""))).finish_sending()
            client.read_until_close()
        readings[name] = [(request["method"], request["target"], request["body"]) for request in server.seen()]
        server.complaints()
    assert len(set(map(str, readings.values()))) > 1, readings
