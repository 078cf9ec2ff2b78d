"""SECURITY.md section 1: HTTP/1 framing and smuggling. The ids of its table begin the ids of the cases."""

import threading

import pytest

from harness import http1
from harness.browser import app_saw
from harness.cases import cases
from harness.deadlines import poll
from harness.gateway import route
from harness.http1 import crlf
from harness.upstream import answers_early

POST = "POST /public/x HTTP/1.1⏎Host: example.test⏎"
GET = "GET /public/x HTTP/1.1⏎Host: example.test⏎"
SMUGGLED = "GET /public/smuggled HTTP/1.1⏎Host: example.test⏎⏎"
CHUNKED = POST + "Transfer-Encoding: chunked⏎⏎"


# ---- which framing counts -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("data, statuses", cases({
    "S1-cl-te": (POST + "Content-Length: 6⏎Transfer-Encoding: chunked⏎⏎0⏎⏎G", (400,)),
    "S1-te-cl-order": (POST + "Transfer-Encoding: chunked⏎Content-Length: 6⏎⏎0⏎⏎G", (400,)),
    "S1-cl-zero-te": (POST + "Content-Length: 0⏎Transfer-Encoding: chunked⏎⏎0⏎⏎", (400,)),
    "S1-te-unknown-cl": (POST + "Content-Length: 5⏎Transfer-Encoding: x⏎⏎hello", (400, 501)),
    "S2-te-cl": (POST + "Content-Length: 4⏎Transfer-Encoding: chunked⏎⏎35⏎" + SMUGGLED + "⏎0⏎⏎", (400,)),
    "S3-xchunked": (POST + "Transfer-Encoding: xchunked⏎⏎0⏎⏎" + SMUGGLED, (501,)),
    "S3-gzip": (POST + "Transfer-Encoding: gzip⏎⏎0⏎⏎" + SMUGGLED, (400, 501)),
    "S3-gzip-chunked": (POST + "Transfer-Encoding: gzip, chunked⏎⏎0⏎⏎" + SMUGGLED, (501,)),
    "S3-chunked-identity": (POST + "Transfer-Encoding: chunked, identity⏎⏎0⏎⏎" + SMUGGLED, (400, 501)),
    "S3-identity-chunked": (POST + "Transfer-Encoding: identity, chunked⏎⏎0⏎⏎" + SMUGGLED, (400, 501)),
    "S3-identity": (POST + "Transfer-Encoding: identity⏎Content-Length: 5⏎⏎hello", (400, 501)),
    "S3-chunked-twice": (POST + "Transfer-Encoding: chunked, chunked⏎⏎0⏎⏎" + SMUGGLED, (400,)),
    "S3-vertical-tab": (POST + "Transfer-Encoding:\x0bchunked⏎⏎0⏎⏎" + SMUGGLED, (400, 501)),
    "S3-form-feed": (POST + "Transfer-Encoding: \x0cchunked⏎⏎0⏎⏎" + SMUGGLED, (400, 501)),
    "S3-space-before-colon": (POST + "Transfer-Encoding : chunked⏎⏎0⏎⏎" + SMUGGLED, (400,)),
    "S3-tab-before-colon": (POST + "Transfer-Encoding\t: chunked⏎⏎0⏎⏎" + SMUGGLED, (400,)),
    "S3-leading-space-first": ("POST /public/x HTTP/1.1⏎ Transfer-Encoding: chunked⏎Host: example.test⏎⏎0⏎⏎" + SMUGGLED,
                               (400,)),
    "S3-leading-space-later": (POST + "X: y⏎ Transfer-Encoding: chunked⏎⏎0⏎⏎" + SMUGGLED, (400,)),
    "S3-two-headers": (POST + "Transfer-Encoding: chunked⏎Transfer-Encoding: chunked⏎⏎0⏎⏎" + SMUGGLED, (400,)),
    "S3-two-headers-unknown": (POST + "Transfer-Encoding: chunked⏎Transfer-Encoding: cow⏎⏎0⏎⏎" + SMUGGLED, (400, 501)),
    "S3-quoted": (POST + 'Transfer-Encoding: "chunked"⏎⏎0⏎⏎' + SMUGGLED, (400, 501)),
    "S3-parameter": (POST + "Transfer-Encoding: chunked;q=1⏎⏎0⏎⏎" + SMUGGLED, (400, 501)),
    "S3-nul": (POST + "Transfer-Encoding: chunked\0⏎⏎0⏎⏎" + SMUGGLED, (400,)),
    "S3-empty": (POST + "Transfer-Encoding:⏎⏎0⏎⏎" + SMUGGLED, (400, 501)),
    "S3-leading-comma": (POST + "Transfer-Encoding: ,chunked⏎⏎0⏎⏎" + SMUGGLED, (400, 501)),
    "S3-trailing-comma": (POST + "Transfer-Encoding: chunked,⏎⏎0⏎⏎" + SMUGGLED, (400, 501)),
    "S3-no-break-space": (POST + "Transfer-Encoding: \xa0chunked⏎⏎0⏎⏎" + SMUGGLED, (400, 501)),
    "S3-nameless": (POST + ": chunked⏎⏎0⏎⏎" + SMUGGLED, (400,)),
    "S3-no-colon": (POST + "Transfer-Encoding chunked⏎⏎0⏎⏎" + SMUGGLED, (400,)),
}))
def test_a_request_whose_framing_is_in_doubt_is_refused(site, data, statuses):
    site.refused(crlf(data), *statuses)


@pytest.mark.parametrize("value", cases({
    "S4-plus": "+5", "S4-minus-zero": "-0", "S4-minus": "-5", "S4-hex": "0x5", "S4-two-numbers": "5 5",
    "S4-list-equal": "5,5", "S4-list-different": "5, 6", "S4-leading-zero": "05", "S4-utf8-digit": "\xd9\xa5",
    "S4-2^64+5": str(2**64 + 5), "S4-2^64": str(2**64), "S4-huge": "9" * 400, "S4-empty": "", "S4-semicolon": "5;",
    "S4-vertical-tab": "5\x0b", "S4-quoted": '"5"', "S4-fraction": "5.0", "S4-exponent": "5e0", "S4-suffix": "5a",
    "S4-nul": "5\0", "S4-two-equal": "5⏎Content-Length: 5", "S4-two-different": "5⏎Content-Length: 6",
    "S4-second-empty": "5⏎Content-Length:", "S4-fold": "⏎ 5", "S4-space-before-colon": "5⏎Content-Length : 6",
}))
def test_a_content_length_that_is_not_one_plain_number_is_refused(site, value):
    site.refused(crlf(POST + f"Content-Length: {value}⏎⏎hello"), 400)


@pytest.mark.parametrize("line", cases({
    "S5-content_length": "Content_Length: 5", "S5-transfer_encoding": "Transfer_Encoding: chunked",
    "S5-content.length": "Content.Length: 5", "S5-content~length": "Content~Length: 5",
    "S5-transfer.encoding": "transfer.encoding: chunked", "S5-upper": "CONTENT_LENGTH: 5",
    "S5-connection": "Proxy_Connection: keep-alive", "S5-expect-free": "Http2_Settings: AAAA",
}))
def test_names_that_fold_to_framing_names_frame_nothing_and_are_not_forwarded(site, line):
    seen = site.accepted(crlf(GET + line + "⏎⏎"))
    assert seen.framing is None
    assert line.partition(":")[0].lower() not in [name.lower() for name, _ in seen.headers]


@pytest.mark.parametrize("line", cases({
    "S3-lower": "Transfer-Encoding: chunked", "S3-mixed-case": "tRANSFER-ENCODING: chunKed",
    "S3-spaces-around": "Transfer-Encoding: \t chunked \t",
}))
def test_chunked_in_any_case_is_understood(site, line):
    assert site.accepted(crlf(POST + line + "⏎⏎5⏎hello⏎0⏎⏎")).body == b"hello"


# ---- chunks ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("body", cases({
    "S6-hex-prefix": "0x5⏎hello⏎0⏎⏎", "S6-plus": "+5⏎hello⏎0⏎⏎", "S6-minus": "-1⏎hello⏎0⏎⏎",
    "S6-space-before": " 5⏎hello⏎0⏎⏎", "S6-space-after": "5 ⏎hello⏎0⏎⏎", "S6-tab-after": "5\t⏎hello⏎0⏎⏎",
    "S6-underscore": "5_0⏎hello⏎0⏎⏎", "S6-empty-size": "⏎hello⏎0⏎⏎", "S6-letter": "g⏎hello⏎0⏎⏎",
    "S6-overflow": "FFFFFFFFFFFFFFFFF⏎hello⏎0⏎⏎", "S6-overflow-to-5": "10000000000000005⏎hello⏎0⏎⏎",
    "S6-many-zeros": "0" * 5000 + "5⏎hello⏎0⏎⏎", "S6-bare-lf": "5\nhello⏎0⏎⏎", "S6-bare-cr": "5\rhello⏎0⏎⏎",
    "S6-cr-cr-lf": "5\r⏎hello⏎0⏎⏎", "S6-lf-in-extension": "5;a\nb⏎hello⏎0⏎⏎", "S6-cr-in-extension": "5;a\rb⏎hello⏎0⏎⏎",
    "S6-nul-in-extension": "5;a\0⏎hello⏎0⏎⏎", "S6-long-extension": "5;" + "x" * 65536 + "⏎hello⏎0⏎⏎",
    "S6-many-extensions": ("1;" + "x" * 4000 + "⏎a⏎") * 40 + "0⏎⏎", "S6-spill": "5⏎helloX⏎0⏎⏎",
    "S6-data-lf-only": "5⏎hello\n0⏎⏎", "S6-data-cr-only": "5⏎hello\r0⏎⏎", "S6-no-crlf-after-data": "5⏎hello0⏎⏎",
    "S6-last-chunk-lf": "5⏎hello⏎0\n\n", "S6-end-not-crlf": "5⏎hello⏎0⏎\n", "S6-end-bare-cr": "5⏎hello⏎0⏎\rX",
    "S6-trailer-without-colon": "5⏎hello⏎0⏎GET /public/smuggled HTTP/1.1⏎⏎", "S6-quoted-size": '"5"⏎hello⏎0⏎⏎',
    "S6-trailer-fold": "0⏎A: b⏎ c⏎⏎", "S6-trailer-nul": "0⏎A: \0⏎⏎", "S6-trailer-64KiB": "0⏎A: " + "x" * 65536 + "⏎⏎",
}))
def test_a_chunked_body_with_a_flaw_never_completes(site, body):
    site.refused(crlf(CHUNKED + body), 400)


@pytest.mark.parametrize("body", cases({
    "S6-extension": "5;a=b⏎hello⏎0;c⏎⏎", "S6-quoted-extension": '5;a="b c"⏎hello⏎0⏎⏎',
    "S6-leading-zeros": "0005⏎hello⏎00⏎⏎",
    "S6-one-byte-chunks": "1⏎h⏎1⏎e⏎1⏎l⏎1⏎l⏎1⏎o⏎0⏎⏎", "S6-extension-of-a-chunk": "2⏎he⏎3;x⏎llo⏎0⏎⏎",
}))
def test_extensions_are_dropped(site, body):
    assert site.accepted(crlf(CHUNKED + body)).body == b"hello"


def test_a_chunked_body_arrives_whole_however_it_is_cut_into_records(site):
    with site.client() as client:
        for byte in crlf(CHUNKED + "5;x=y⏎hello⏎A⏎0123456789⏎0⏎T: x⏎⏎"):
            client.send(bytes([byte]))
        assert app_saw(client.read_response()).body == b"hello0123456789"


@pytest.mark.parametrize("trailer", cases({
    "S7-user": "X-User-Id: admin", "S7-length": "Content-Length: 5", "S7-host": "Host: evil",
    "S7-cookie": "Cookie: a=b",
    "S7-authorization": "Authorization: Basic eDp5", "S7-coding": "Transfer-Encoding: chunked",
    "S7-session": "X-Session-User: admin", "S7-plain": "X-Checksum: 1",
}))
def test_trailers_are_dropped_and_never_merged(site, trailer):
    alice = site.browser("alice")
    name, _, value = trailer.partition(": ")
    with site.client() as client:
        request = f"POST /x HTTP/1.1⏎Host: example.test⏎Cookie: {alice.cookie_header}⏎Trailer: {name}⏎"
        client.send(crlf(request + f"Transfer-Encoding: chunked⏎⏎5⏎hello⏎0⏎{trailer}⏎⏎"))
        response = client.read_response()
        seen = app_saw(response)
        assert (seen.body, seen.all("X-User-Id")) == (b"hello", ["alice"])
        assert value not in seen.all(name) or name == "Transfer-Encoding"
        assert client.get("/public/next").status == 200
    alice.receive(response)
    site.canary()


# ---- lines and characters -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("data", cases({
    "S8-lf-everywhere": "GET /public/x HTTP/1.1\nHost: example.test\n\n",
    "S8-lf-in-request-line": "GET /public/x HTTP/1.1\nHost: example.test⏎⏎",
    "S8-lf-in-field": GET + "X: y\nZ: z⏎⏎", "S8-lf-at-the-end": GET + "\n",
    "S8-lf-smuggles": GET + "X: y\n\n" + SMUGGLED,
    "S8-cr-in-value": GET + "X: a\rb⏎⏎", "S8-cr-then-header": GET + "X: a\rTransfer-Encoding: chunked⏎⏎",
    "S8-cr-cr-lf": GET + "X: a\r⏎⏎", "S8-cr-in-target": "GET /public/\rx HTTP/1.1⏎Host: example.test⏎⏎",
    "S8-fold-tab": GET + "X: y⏎\tz⏎⏎", "S8-fold-space": GET + "X: y⏎ z⏎⏎",
    "S8-fold-first": "GET / HTTP/1.1⏎ X: y⏎Host: a⏎⏎",
    "S8-fold-empty": GET + "X: y⏎ ⏎⏎", "S8-two-blank-lines": "⏎⏎" + GET + "⏎",
    "S8-many-blank-lines": "⏎" * 100 + GET + "⏎",
    "S8-blank-lf": "\n" + GET + "⏎", "S8-nul-in-name": GET + "X\0: y⏎⏎", "S8-nul-in-value": GET + "X: a\0b⏎⏎",
    "S8-nul-in-target": "GET /public/\0 HTTP/1.1⏎Host: example.test⏎⏎", "S8-control-in-value": GET + "X: a\x01b⏎⏎",
    "S8-delete-in-value": GET + "X: a\x7fb⏎⏎", "S8-space-in-name": GET + "X Y: z⏎⏎", "S8-empty-name": GET + ": z⏎⏎",
    "S8-bracket-in-name": GET + "X(y): z⏎⏎", "S8-latin1-in-name": GET + "X\xe9: z⏎⏎",
    "S8-space-after-name": GET + "X : z⏎⏎",
    "S8-no-colon": GET + "nonsense⏎⏎", "S8-two-spaces": "GET  /public/x HTTP/1.1⏎Host: example.test⏎⏎",
    "S8-tab-separates": "GET\t/public/x\tHTTP/1.1⏎Host: example.test⏎⏎",
    "S8-space-in-target": "GET /public/x y HTTP/1.1⏎Host: example.test⏎⏎",
    "S8-leading-space": " GET /public/x HTTP/1.1⏎Host: example.test⏎⏎",
    "S8-method-with-separator": "GE(T /public/x HTTP/1.1⏎Host: example.test⏎⏎",
    "S8-no-method": " /public/x HTTP/1.1⏎Host: example.test⏎⏎", "S8-no-target": "GET HTTP/1.1⏎Host: example.test⏎⏎",
    "S8-relative-target": "GET public/x HTTP/1.1⏎Host: example.test⏎⏎", "S8-query-target": "GET ?x HTTP/1.1⏎Host: a⏎⏎",
    "S8-tls-on-tls": "\x16\x03\x01\x02\0\x01⏎⏎", "S8-binary": "\x80\x81\x82⏎⏎",
    "S8-http2-preface": "PRI * HTTP/2.0⏎⏎SM⏎⏎",
}))
def test_lines_and_characters_that_rfc_9112_forbids_are_refused(site, data):
    site.refused(crlf(data), *((400, 505) if "HTTP/2.0" in data else (400,)))


def test_one_blank_line_before_a_request_is_skipped(site):
    site.accepted(crlf("⏎" + GET + "⏎"))


def test_bytes_above_ascii_in_a_value_pass_unchanged(site):
    assert site.accepted(crlf(GET + "X-Name: caf\xe9 \xc3\xa9⏎⏎")).one("X-Name") == "caf\xe9 \xc3\xa9"


@pytest.mark.parametrize("method", cases({"S9-get": "GET", "S9-delete": "DELETE", "S9-options": "OPTIONS"}))
def test_a_body_is_framed_as_a_body_whatever_the_method(site, method):
    body = crlf(SMUGGLED)
    request = http1.request_bytes(method, "/public/x", body=body)
    assert site.accepted(request).body == body


def test_a_post_without_framing_has_no_body(site):
    """S9: the bytes after its head are the next request."""
    before = len(site.requests())
    with site.client() as client:
        client.send(crlf(POST + "⏎" + SMUGGLED))
        assert app_saw(client.read_response()).body == b""
        assert app_saw(client.read_response()).path == "/public/smuggled"
    assert len(site.requests()) - before == 2


@pytest.mark.parametrize("data, statuses", cases({
    "S10-te-on-1.0": ("POST /public/x HTTP/1.0⏎Host: example.test⏎Transfer-Encoding: chunked⏎⏎0⏎⏎", (400,)),
    "S10-0.9": ("GET /public/x⏎⏎", (400, 505)), "S10-0.9-version": ("GET /public/x HTTP/0.9⏎⏎", (400, 505)),
    "S10-1.2": ("GET /public/x HTTP/1.2⏎Host: example.test⏎⏎", (400, 505)),
    "S10-2.0": ("GET /public/x HTTP/2.0⏎Host: example.test⏎⏎", (400, 505)),
    "S10-3": ("GET /public/x HTTP/3⏎Host: example.test⏎⏎", (400, 505)),
    "S10-lower-case": ("GET /public/x http/1.1⏎Host: example.test⏎⏎", (400,)),
    "S10-trailing-space": ("GET /public/x HTTP/1.1 ⏎Host: example.test⏎⏎", (400,)),
    "S10-two-digits": ("GET /public/x HTTP/1.10⏎Host: example.test⏎⏎", (400, 505)),
    "S10-leading-zero": ("GET /public/x HTTP/01.1⏎Host: example.test⏎⏎", (400, 505)),
    "S10-no-minor": ("GET /public/x HTTP/1⏎Host: example.test⏎⏎", (400, 505)),
    "S10-other-protocol": ("GET /public/x RTSP/1.0⏎Host: example.test⏎⏎", (400, 505)),
}))
def test_other_versions_are_refused(site, data, statuses):
    site.refused(crlf(data), *statuses)


# ---- Expect ---------------------------------------------------------------------------------------------------------

def test_expect_continue_is_answered_before_the_body(site):
    """S11"""
    with site.client() as client:
        client.send(crlf(POST + "Content-Length: 5⏎Expect: 100-continue⏎⏎"))
        assert client.reader.line() == b"HTTP/1.1 100 Continue"
        http1.read_fields(client.reader)
        client.send(b"hello")
        assert app_saw(client.read_response()).body == b"hello"
    site.canary()


def test_expect_continue_without_a_body_needs_no_continue(site):
    """S11"""
    with site.client() as client:
        client.send(crlf(GET + "Expect: 100-continue⏎⏎"))
        assert client.read_response().status == 200
    site.canary()


@pytest.mark.parametrize("line", cases({"S11-unknown": "Expect: x", "S11-list": "Expect: 100-continue, x"}))
def test_an_expectation_that_cannot_be_met_is_refused(site, line):
    site.refused(crlf(POST + f"Content-Length: 5⏎{line}⏎⏎hello"), 417, 400)


def test_two_expectations_are_one_request_or_none(site):
    """S11"""
    before = len(site.requests())
    with site.client() as client:
        client.send(crlf(POST + "Content-Length: 5⏎Expect: 100-continue⏎Expect: 100-continue⏎⏎hello"))
        assert client.read_response().status in (200, 400, 417)
    site.canary()
    assert len(site.requests()) - before <= 1


def test_an_app_that_answers_early_is_not_asked_again_on_that_connection(site):
    """S11: the client never sends the body that the app did not wait for."""
    answers_early(site.app, "/public/early")
    with site.client() as client:
        client.send(crlf("POST /public/early HTTP/1.1⏎Host: example.test⏎Content-Length: 44⏎Expect: 100-continue⏎⏎"))
        response = client.read_response()
        assert (response.status, response.body) == (200, b"early")
        site.canary()
        # Whether the client still sends the body or a new request: what comes now must not be read as a request.
        client.send(crlf("GET /public/instead HTTP/1.1⏎Host: example.test⏎⏎"))
        client.read_until_close()
    site.canary()
    assert not site.app.requests("/public/instead")


# ---- the app's side -------------------------------------------------------------------------------------------------

OK = "HTTP/1.1 200 OK⏎"


def outcome(client) -> http1.Response | None:
    """The answer; none where it broke off."""
    try:
        return client.read_response()
    except (http1.Closed, http1.Malformed):
        return None


@pytest.mark.parametrize("answer", cases({
    "S12-cl-te": OK + "Content-Length: 5⏎Transfer-Encoding: chunked⏎⏎0⏎⏎",
    "S12-two-cl": OK + "Content-Length: 5⏎Content-Length: 6⏎⏎hello!",
    "S12-cl-list": OK + "Content-Length: 5, 6⏎⏎hello!", "S12-cl-negative": OK + "Content-Length: -5⏎⏎hello",
    "S12-cl-plus": OK + "Content-Length: +5⏎⏎hello", "S12-cl-hex": OK + "Content-Length: 0x5⏎⏎hello",
    "S12-cl-2^64": OK + f"Content-Length: {2**64 + 5}⏎⏎hello", "S12-cl-empty": OK + "Content-Length:⏎⏎hello",
    "S12-te-unknown": OK + "Transfer-Encoding: xchunked⏎⏎0⏎⏎",
    "S12-te-twice": OK + "Transfer-Encoding: chunked, chunked⏎⏎0⏎⏎",
    "S12-te-on-1.0": "HTTP/1.0 200 OK⏎Transfer-Encoding: chunked⏎⏎0⏎⏎",
    "S12-te-not-last": OK + "Transfer-Encoding: chunked, gzip⏎⏎0⏎⏎",
    "S12-lf-lines": "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "S12-fold": OK + "X: y⏎ z⏎Content-Length: 0⏎⏎",
    "S12-space-before-colon": OK + "Content-Length : 5⏎⏎hello", "S12-nul-in-value": OK + "X: a\0b⏎Content-Length: 0⏎⏎",
    "S12-nul-in-name": OK + "X\0: a⏎Content-Length: 0⏎⏎",
    "S12-cr-in-value": OK + "X: a\rSet-Cookie: b=c⏎Content-Length: 0⏎⏎",
    "S12-empty-name": OK + ": a⏎Content-Length: 0⏎⏎", "S12-no-colon": OK + "nonsense⏎Content-Length: 0⏎⏎",
    "S12-status-4-digits": "HTTP/1.1 2000 OK⏎Content-Length: 0⏎⏎",
    "S12-status-99": "HTTP/1.1 99 OK⏎Content-Length: 0⏎⏎",
    "S12-status-0": "HTTP/1.1 000 OK⏎Content-Length: 0⏎⏎", "S12-status-letters": "HTTP/1.1 abc OK⏎Content-Length: 0⏎⏎",
    "S12-version-2": "HTTP/2.0 200 OK⏎Content-Length: 0⏎⏎", "S12-version-0.9": "hello⏎⏎",
    "S12-other-protocol": "ICY 200 OK⏎Content-Length: 0⏎⏎",
    "S12-nul-in-reason": "HTTP/1.1 200 O\0K⏎Content-Length: 0⏎⏎",
    "S12-head-1MiB": OK + "X: " + "x" * 2**20 + "⏎Content-Length: 0⏎⏎", "S12-binary": "\x16\x03\x01\0\0⏎⏎",
    "S12-closed-at-once": "", "S12-closed-in-head": "HTTP/1.1 200 OK⏎Content-Le",
    "S12-101-unasked": "HTTP/1.1 101 Switching⏎⏎",
    "S12-leading-space": " HTTP/1.1 200 OK⏎Content-Length: 0⏎⏎",
}))
def test_an_answer_that_is_not_http_becomes_502(site, answer):
    def misbehave(exchange):
        exchange.read_body()
        exchange.send(crlf(answer))
        if not answer or answer.endswith("Content-Le"):
            exchange.close()

    site.app.on("/public/bad", misbehave)
    with site.client() as client:
        response = client.request("POST", "/public/bad", body=b"x")
        assert response.status == 502, response
    site.canary()
    assert_dropped(site, "/public/bad")


def assert_dropped(site, path: str) -> None:
    """The app's connection that carried the latest request for the path is not used again."""
    number = site.app.requests(path)[-1].connection
    poll(site.app.connections[number - 1].closed.is_set, "the app's connection is closed")


@pytest.mark.parametrize("answer, status, body", cases({
    "S12-204-with-length-and-body": ("HTTP/1.1 204 No Content⏎Content-Length: 5⏎⏎hello", (204, 502), b""),
    "S12-204-chunked": ("HTTP/1.1 204 No Content⏎Transfer-Encoding: chunked⏎⏎5⏎hello⏎0⏎⏎", (204, 502), b""),
    "S12-304-with-body": ("HTTP/1.1 304 Not Modified⏎Content-Length: 5⏎⏎hello", (304, 502), b""),
    "S12-extra-answer": (OK + "Content-Length: 2⏎⏎okHTTP/1.1 200 OK⏎Content-Length: 4⏎⏎evil", (200,), b"ok"),
    "S12-extra-bytes": (OK + "Content-Length: 2⏎⏎okextra", (200,), b"ok"),
    "S12-extra-after-chunks": (OK + "Transfer-Encoding: chunked⏎⏎2⏎ok⏎0⏎⏎HTTP/1.1 200 OK⏎Content-Length: 4⏎⏎evil",
                               (200,), b"ok"),
}))
def test_bytes_after_an_answer_reach_nobody(site, answer, status, body):
    site.app.on("/public/extra", lambda exchange: crlf(answer))
    with site.client() as client:
        response = client.get("/public/extra")
        assert response.status in status
        assert response.status == 502 or response.body == body
    site.canary()
    assert_dropped(site, "/public/extra")


@pytest.mark.parametrize("line", cases({
    "S12-length": "Content-Length: 5", "S12-chunked": "Transfer-Encoding: chunked", "S12-close": "Connection: close",
}))
def test_an_interim_answer_that_speaks_of_a_body_or_the_end_is_the_last_on_its_connection(site, line):
    """Whether a body follows is in doubt: what comes behind the answer must not be the next user's."""
    def hint(exchange):
        exchange.send(crlf(f"HTTP/1.1 103 Early Hints⏎{line}⏎⏎"))
        return http1.response_bytes(200, body=b"ok")

    site.app.on("/public/interim", hint)
    with site.client() as client:
        response = client.get("/public/interim")
        assert (response.status, response.body) == (200, b"ok")
        assert_dropped(site, "/public/interim")
        assert app_saw(client.get("/public/next")).connection != site.app.requests("/public/interim")[-1].connection
    site.canary()


def test_an_interim_answer_leaves_the_apps_connection_in_use(site):
    def hint(exchange):
        exchange.send(crlf("HTTP/1.1 103 Early Hints⏎Link: </a>⏎⏎"))
        return http1.response_bytes(200, body=b"ok")

    site.app.on("/public/plain-interim", hint)
    with site.client() as client:
        assert [client.get("/public/plain-interim").body for _ in range(3)] == [b"ok"] * 3
    assert len({request.connection for request in site.app.requests("/public/plain-interim")}) == 1


def test_bytes_that_an_app_sends_while_its_connection_is_idle_reach_nobody(site):
    """S12"""
    def unasked(exchange):
        exchange.send(http1.response_bytes(200, body=b"ok"))
        poll(lambda: got_it.is_set(), "the client has its answer")
        exchange.send(http1.response_bytes(200, body=b"evil"))

    got_it = threading.Event()
    site.app.on("/public/unasked", unasked)
    with site.client() as client:
        assert client.get("/public/unasked").body == b"ok"
        got_it.set()
    assert_dropped(site, "/public/unasked")
    site.canary()


@pytest.mark.parametrize("answer", cases({
    "S12-no-reason": "HTTP/1.1 200⏎Content-Length: 2⏎⏎ok", "S12-empty-reason": "HTTP/1.1 200 ⏎Content-Length: 2⏎⏎ok",
}))
def test_an_answer_without_a_reason_is_clean_or_refused(site, answer):
    site.app.on("/public/reason", lambda exchange: crlf(answer))
    with site.client() as client:
        response = client.get("/public/reason")
    assert response.status == 502 or (response.status, response.body) == (200, b"ok")
    site.canary()


@pytest.mark.parametrize("answer", cases({
    "S12-short": OK + "Content-Length: 10⏎⏎short", "S12-chunk-cut": OK + "Transfer-Encoding: chunked⏎⏎5⏎hel",
    "S12-no-last-chunk": OK + "Transfer-Encoding: chunked⏎⏎5⏎hello⏎",
    "S12-bad-chunk": OK + "Transfer-Encoding: chunked⏎⏎5⏎hello⏎zz⏎",
    "S12-chunk-spill": OK + "Transfer-Encoding: chunked⏎⏎2⏎hello⏎0⏎⏎",
}))
def test_an_answer_that_breaks_off_never_looks_complete(site, answer):
    def cut(exchange):
        exchange.send(crlf(answer))
        exchange.close()

    site.app.on("/public/cut", cut)
    with site.client() as client:
        client.send(http1.request_bytes("GET", "/public/cut"))
        response = outcome(client)
        assert response is None or response.status == 502, f"a broken answer came as {response}"
        assert response or client.is_closed()
    site.canary()


def test_a_storm_of_interim_answers_ends_well(site):
    """S12: 10 000 times 103."""
    def storm(exchange):
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n" * 10_000)
        return http1.response_bytes(200, body=b"at last")

    site.app.on("/public/storm", storm)
    with site.client() as client:
        client.send(http1.request_bytes("GET", "/public/storm"))
        response = outcome(client)
        assert response is None or response.status == 502 or response.body == b"at last"
    site.canary()


# ---- pipelining -----------------------------------------------------------------------------------------------------

def test_after_a_bad_request_nothing_more_is_read(site):
    """S13: good, bad, good."""
    before = len(site.requests())
    with site.client() as client:
        client.send(crlf("GET /public/first HTTP/1.1⏎Host: example.test⏎⏎" + GET + "Bad Name: x⏎⏎" + SMUGGLED))
        assert app_saw(client.read_response()).path == "/public/first"
        response = client.read_response()
        assert response.status == 400 and response.closes
        assert client.is_closed()
    site.canary()
    assert [request.path for request in site.requests()[before:]] == ["/public/first"]


def test_a_bad_request_takes_those_behind_it_along(site):
    """S13: bad, good."""
    site.refused(crlf(GET + "Bad Name: x⏎⏎" + SMUGGLED), 400)


def test_a_thousand_pipelined_requests_are_answered_in_order(site):
    """S13"""
    data = b"".join(http1.request_bytes("GET", f"/public/{number}") for number in range(1000))
    with site.client() as client:
        client.send_and_listen(data)
        assert [app_saw(client.read_response()).path for _ in range(1000)] == [f"/public/{n}" for n in range(1000)]
    site.canary()


def test_each_request_of_a_connection_is_admitted_by_its_own_cookie(site):
    """S13"""
    alice, bob = site.browser("alice"), site.browser("bob")
    users = [alice, bob, None, bob, alice, None, alice]
    with site.client() as client:
        client.send(b"".join(http1.request_bytes("GET", f"/{number}", {"Cookie": user.cookie_header} if user else None)
                             for number, user in enumerate(users)))
        for number, user in enumerate(users):
            response = client.read_response()
            if user is None:
                assert response.status == 401
                continue
            seen = app_saw(response)
            assert (seen.path, seen.one("X-User-Id")) == (f"/{number}", "alice" if user is alice else "bob")
    site.canary()


# ---- methods and targets --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("data, statuses", cases({
    "S14-absolute-other-host": ("GET http://evil/public/x HTTP/1.1⏎Host: example.test⏎⏎", (400,)),
    "S14-absolute-other-port": ("GET https://example.test:1/public/x HTTP/1.1⏎Host: example.test:2⏎⏎", (400,)),
    "S14-absolute-userinfo": ("GET http://example.test@evil/public/x HTTP/1.1⏎Host: example.test⏎⏎", (400,)),
    "S14-absolute-no-host": ("GET http:///public/x HTTP/1.1⏎Host: example.test⏎⏎", (400,)),
    "S14-other-scheme": ("GET ftp://example.test/public/x HTTP/1.1⏎Host: example.test⏎⏎", (400,)),
    "S14-javascript": ("GET javascript:alert(1) HTTP/1.1⏎Host: example.test⏎⏎", (400,)),
    "S14-connect": ("CONNECT example.test:443 HTTP/1.1⏎Host: example.test⏎⏎" + SMUGGLED, (405, 400)),
    "S14-connect-path": ("CONNECT /public/x HTTP/1.1⏎Host: example.test⏎⏎", (405, 400)),
    "S14-trace": ("TRACE /public/x HTTP/1.1⏎Host: example.test⏎Cookie: a=b⏎⏎", (405,)),
    "S14-star-get": ("GET * HTTP/1.1⏎Host: example.test⏎⏎", (400,)),
    "S14-fragment": ("GET /public/x#y HTTP/1.1⏎Host: example.test⏎⏎", (400,)),
}))
def test_methods_and_targets_that_are_not_for_a_gateway_are_refused(site, data, statuses):
    site.refused(crlf(data), *statuses)


@pytest.mark.parametrize("target", cases({
    "S14-absolute-https": "https://example.test/public/x?q", "S14-absolute-http": "http://example.test/public/x?q",
    "S14-absolute-upper-case": "HTTPS://EXAMPLE.TEST/public/x?q",
}))
def test_the_absolute_form_is_forwarded_as_path_and_query(site, target):
    assert site.accepted(crlf(f"GET {target} HTTP/1.1⏎Host: example.test⏎⏎")).target == "/public/x?q"


def test_options_for_the_server_smuggles_nothing(site):
    """S14"""
    before = len(site.requests())
    with site.client() as client:
        client.send(crlf("OPTIONS * HTTP/1.1⏎Host: example.test⏎⏎"))
        assert client.read_response().status in (200, 204, 400, 401, 404, 405)
    site.canary()
    assert len(site.requests()) - before <= 1


@pytest.mark.parametrize("method", ["get", "post", "Head", "PoST", "pATCH"])
def test_a_method_that_apps_would_take_for_another_is_refused(site, method):
    """P2: gunicorn and others take "post" for POST, which routes do not."""
    site.refused(crlf(f"{method} /public/method HTTP/1.1⏎Host: example.test⏎⏎"), 400)
    with site.http2() as client:
        assert client.request(method, "/public/method").status == 400
    site.canary()


@pytest.mark.parametrize("method", ["PATCH", "PROPFIND", "X-METHOD", "M-SEARCH"])
def test_a_method_passes_as_it_is_spelt(site, method):
    before = len(site.app.requests("/public/method"))
    with site.client() as client:
        client.send(crlf(f"{method} /public/method HTTP/1.1⏎Host: example.test⏎⏎"))
        response = client.read_response()
    seen = [request.method for request in site.app.requests("/public/method")[before:]]
    assert (response.status, seen) == (200, [method])
    site.canary()


@pytest.mark.parametrize("lines", cases({
    "S15-missing": "X: y", "S15-two": "Host: example.test⏎Host: example.test",
    "S15-two-different": "Host: example.test⏎Host: b",
    "S15-empty": "Host:", "S15-list": "Host: a, b", "S15-userinfo": "Host: a@b", "S15-path": "Host: a/b",
    "S15-port-99999": "Host: a:99999", "S15-port-letters": "Host: a:b", "S15-two-ports": "Host: a:1:2",
    "S15-open-bracket": "Host: [::1", "S15-bad-ipv6": "Host: [::g]", "S15-space-before-colon": "Host : a",
    "S15-space-inside": "Host: a b", "S15-query": "Host: a?b", "S15-fragment": "Host: a#b",
    "S15-backslash": "Host: a\\b",
    "S15-percent-nul": "Host: a%00b", "S15-high-byte": "Host: caf\xe9", "S15-scheme": "Host: http://a",
    "S15-quote": "Host: a\"b",
    "S15-angle": "Host: <a>", "S15-only-port": "Host: :443", "S15-negative-port": "Host: a:-1",
}))
def test_a_host_that_is_none_is_refused(site, lines):
    site.refused(crlf(f"GET /public/x HTTP/1.1⏎{lines}⏎⏎"), 400)


@pytest.mark.parametrize("host", ["example.test:8443", "[::1]:8443", "[::1]", "127.0.0.1", "a_b.test",
                                  "xn--caf-dma.test"])
def test_hosts_as_they_occur_pass(site, host):
    assert site.accepted(http1.request_bytes("GET", "/public/x", host=host), server_name=None).one("Host") == host


def test_a_host_that_no_route_names_is_not_found(new_site):
    """S15: never "the first route"."""
    hosts = new_site(routes=[route("/", "public", host="example.test"), route("/", "public", host="shop.example.test")])
    with hosts.client(server_name=None) as client:
        for host, status in {"example.test": 200, "EXAMPLE.TEST": 200, "example.test:8443": 200,
                             "shop.example.test": 200,
                             "evil.test": 404, "test": 404, "www.example.test": 404, "xexample.test": 404,
                             "127.0.0.1": 404}.items():
            assert client.get("/x", host=host).status == status, host
    assert len(hosts.requests()) == 4


def test_an_upgrade_to_cleartext_http2_is_ignored(site):
    """S16"""
    seen = site.accepted(crlf(GET + "Connection: Upgrade, HTTP2-Settings⏎Upgrade: h2c⏎HTTP2-Settings: AAMAAABkAAQAoAAA⏎⏎"))
    assert seen.all("Upgrade") == seen.all("HTTP2-Settings") == []
    assert "settings" not in ", ".join(seen.all("Connection")).lower()
