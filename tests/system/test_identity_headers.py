"""SECURITY.md section 2: nobody but the gateway tells the app who the user is, and through whom she came."""

import itertools
import random
import re

import pytest

from harness import http1
from harness.browser import app_saw, asked
from harness.deadlines import poll
from harness.gateway import route
from harness.http1 import crlf

SEPARATORS = "-_.~!#$%&'*+^|`"  # every tchar that is neither letter nor digit


def fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "-", name.lower())


def spellings(name: str, count: int) -> list[str]:
    """Names that fold to this one: every separator, then mixtures, in several cases. The same in every run."""
    words = name.split("-")
    gaps = len(words) - 1
    mixtures = [separators for separators in itertools.product(SEPARATORS, repeat=gaps)
                if len(set(separators)) > 1 or gaps == 1]
    random.Random(1).shuffle(mixtures)
    chosen = [(separator,) * gaps for separator in SEPARATORS] + mixtures
    cases = itertools.cycle([str.title, str.lower, str.upper, str.swapcase])
    return [next(cases)("".join(itertools.chain(*zip(words, separators + ("",))))) for separators in chosen[:count]]


@pytest.fixture(scope="module")
def alice(site):
    return site.browser("alice")


def as_alice(site, alice, lines: str) -> http1.Request:
    """A request with alice's cookie and these header lines, as the app saw it."""
    with site.client() as client:
        client.send(crlf(f"GET /x HTTP/1.1⏎Host: example.test⏎{lines}⏎Cookie: {alice.cookie_header}⏎⏎"))
        response = client.read_response()
    assert response.status == 200, response
    alice.receive(response)
    return app_saw(response)


def as_nobody(site, lines: str) -> http1.Request:
    return site.accepted(crlf(f"GET /public/x HTTP/1.1⏎Host: example.test⏎{lines}⏎⏎"))


# ---- I1 -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [pytest.param(name, id=f"I1-{name}") for name in spellings("X-User-Id", 100)])
def test_a_client_cannot_say_who_it_is(site, alice, name):
    seen = as_alice(site, alice, f"{name}: admin")
    assert [(field, value) for field, value in seen.headers if fold(field) == "x-user-id"] == [("X-User-Id", "alice")]
    assert not [field for field, _ in as_nobody(site, f"{name}: admin").headers if fold(field) == "x-user-id"]


@pytest.mark.parametrize("name", [pytest.param(name, id=f"I1-{name}") for name in [
    *spellings("X-User-Org", 17), *spellings("X-Session-User", 17), *spellings("X-Session-Data", 17),
    *spellings("X-Session-End", 17), "X-Session-Anything", "X-Session-", "x_session_anything"]])
def test_a_client_cannot_speak_for_the_gateway_or_the_app(site, alice, name):
    ours = {fold(name)}
    for seen in (as_alice(site, alice, f"{name}: admin"), as_nobody(site, f"{name}: admin")):
        assert not [field for field, _ in seen.headers if fold(field) in ours]


@pytest.mark.parametrize("lines", [
    pytest.param("X-User-Id: admin⏎X-User-Id: root", id="I1-twice"),
    pytest.param("X-User-Id: admin⏎x_user_id: root⏎X.User.Id: guest", id="I1-three-spellings"),
    pytest.param("X-User-Id:", id="I1-empty"),
    pytest.param("X-User-Id: alice", id="I1-the-true-one"),
])
def test_the_app_sees_exactly_one_user(site, alice, lines):
    assert as_alice(site, alice, lines).all("X-User-Id") == ["alice"]


@pytest.mark.parametrize("line", [
    pytest.param("X-User-Id : admin", id="I1-space"), pytest.param("X-User-Id\0: admin", id="I1-nul"),
    pytest.param(" X-User-Id: admin", id="I1-fold"), pytest.param("X-User-Id\xa0: admin", id="I1-no-break-space"),
    pytest.param("X-User-Id\t: admin", id="I1-tab"), pytest.param("X-User-Id\x0b: admin", id="I1-vertical-tab"),
    pytest.param("X-User-\xcf\x81d: admin", id="I1-greek"), pytest.param("X\rX-User-Id: admin", id="I1-cr"),
])
def test_a_name_that_is_none_is_refused(site, line):
    site.refused(crlf(f"GET /public/x HTTP/1.1⏎Host: example.test⏎A: b⏎{line}⏎⏎"), 400)


def test_a_longer_or_shorter_name_is_the_apps_own(site):
    names = ["X-User-Identity", "XX-User-Id", "X-User--Id", "X-UserId", "User-Id", "X-User-Id-", "X-Users-Id"]
    seen = as_nobody(site, "⏎".join(f"{name}: 1" for name in names))
    assert [name for name in names if seen.one(name) == "1"] == names


# ---- I2 -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [
    "X-User-Id", "close, x-user-id, Cookie, X-Forwarded-For", "Host", "x-request-id, X-Forwarded-Proto",
    "X-User-Id, X-User-Id",
    ", ,X-User-Id,", "Content-Length, Transfer-Encoding", "X-Session-Data, X-User-Org", "Connection",
], ids=lambda options: f"I2-{options}")
def test_connection_cannot_remove_what_the_gateway_sets(site, alice, options):
    seen = as_alice(site, alice, f"Connection: {options}⏎X-Forwarded-For: 1.2.3.4⏎X-Mine: 1")
    assert seen.one("X-User-Id") == "alice"
    assert seen.one("Host") == "example.test"
    assert seen.one("X-Forwarded-For") == "127.0.0.1"
    assert seen.one("X-Request-Id") and seen.one("X-Forwarded-Proto") == "https"
    assert seen.one("X-Mine") == "1"


def test_what_connection_names_is_for_this_hop_only(site):
    """I2"""
    seen = as_nobody(site, "Connection: X-Hop, keep-alive⏎X-Hop: 1⏎X-End: 2⏎Keep-Alive: 5⏎TE: trailers, deflate⏎"
                           "Trailer: X⏎Proxy-Connection: keep-alive⏎Proxy-Authorization: Basic eDp5⏎Upgrade: foo")
    for name in ("X-Hop", "Keep-Alive", "Trailer", "Proxy-Connection", "Proxy-Authorization", "Upgrade"):
        assert seen.all(name) == [], name
    assert "deflate" not in "".join(seen.all("TE"))
    assert seen.one("X-End") == "2"


def test_hop_by_hop_fields_of_the_app_stay_with_the_gateway(site):
    """I2"""
    with site.client() as client:
        response = client.get(asked("/public/x", {"Connection": "X-Hop", "X-Hop": "1", "Keep-Alive": "timeout=5",
                                                  "Proxy-Authenticate": "Basic", "Upgrade": "h2c", "X-End": "2"}))
        for name in ("X-Hop", "Keep-Alive", "Proxy-Authenticate", "Upgrade"):
            assert response.all(name) == [], name
        assert response.one("X-End") == "2"
        assert client.get("/public/next").status == 200


def test_content_length_survives_being_named_in_connection(site):
    """I2: a body must not turn into a request."""
    body = crlf("GET /public/smuggled HTTP/1.1⏎Host: a⏎⏎")
    request = http1.request_bytes("POST", "/public/x", {"Connection": "Content-Length, Transfer-Encoding"}, body)
    assert site.accepted(request).body == body


# ---- I3 -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("line", [
    "X-Forwarded-Prefix: /admin", "X-Forwarded-Uri: /admin", "X-Forwarded-User: admin", "X-Forwarded-Email: a@b",
    "X-Forwarded-Groups: root", "X-Forwarded-Port: 1", "X-Forwarded-Server: evil", "X-Forwarded-Anything: 1",
    "X-Original-URL: /admin", "X-Rewrite-URL: /admin", "X_Original_URL: /admin", "X.Rewrite.Url: /admin",
    "SCRIPT_NAME: /static", "Script-Name: /static", "X-Script-Name: /static", "PATH_INFO: /admin",
    "X-Sendfile-Type: X-Accel-Redirect", "X-Accel-Mapping: /=/", "X-Forwarded: for=1.2.3.4", "X-Forward-For: 1.2.3.4",
    "Proxy-Client-IP: 1.2.3.4", "WL-Proxy-Client-IP: 1.2.3.4", "WL_Proxy_SSL: true", "X-Scheme: https",
    "X-Proto: https", "X-Https: on", "X-Proxied-Https: on", "REMOTE_ADDR: 1.2.3.4", "AUTH_USER: admin",
    "X-Auth-User: admin", "X-MS-Client-Principal-Name: admin", "X-MS-CLIENT-PRINCIPAL: e30=",
    "X-Goog-Authenticated-User-Email: a@b", "X-Client-Cert: a", "X-Client-Verify: SUCCESS", "X-Client-DN: CN=admin",
    "X-SSL-Cert: a", "X-ARR-ClientCert: a", "Ssl-Client-Subject-Dn: CN=admin",
    "Client-IP: 1.2.3.4",
    "Proxy: http://evil", "proxy: http://evil", "Remote-User: admin", "Remote_User: admin", "X-Forwarded_For: 1.2.3.4",
    "Remote-Groups: root", "Remote_Email: a@b", "X-Remote-Group: root", "X_Auth_Request_User: admin",
    "X-Auth-Request-Access-Token: a", "X-WebAuth-User: admin", "X-Authenticated-User: admin",
    "X-SSL-Client-Verify: SUCCESS", "SSL-Client-Cert: a", "SSL_CLIENT_S_DN: CN=admin", "Forwarded-For: 1.2.3.4",
    "Fastly-Client-IP: 1.2.3.4", "X-Envoy-External-Address: 1.2.3.4", "Front-End-Https: on", "X-Url-Scheme: https",
    "X-Host: evil", "X-HTTP-Host-Override: evil", "X-Original-Method: PUT",
    "WL-Proxy-Client-Cert: a", "SSL_CLIENT_ESCAPED_CERT: a", "SSL-Client-Issuer-DN: CN=ca", "$WSRU: admin", "$WSCC: a",
    "X-WebAuth-Email: a@b", "X-Authenticated-Userid: 1", "X-Consumer-Username: admin", "X-Credential-Identifier: admin",
    "X-Amzn-Oidc-Identity: admin", "Tailscale-User-Login: a@b", "SM_USER: admin", "iv-user: admin",
    "X-Pomerium-Claim-Email: a@b", "X-Vouch-User: admin", "Cf-Access-Authenticated-User-Email: a@b",
    "X-Middleware-Subrequest: middleware",
    "X_Forwarded_Proto: http", "X_Forwarded_Host: evil", "x.forwarded.user: admin", "True-Client-Ip: 1.2.3.4",
], ids=lambda line: "I3-" + line.partition(":")[0])
def test_forwarding_and_identity_headers_of_strangers_are_dropped(site, alice, line):
    name = line.partition(":")[0]
    for seen in (as_alice(site, alice, line), as_nobody(site, line)):
        assert [field for field, _ in seen.headers if field.lower() == name.lower()] == []


def test_forwarding_headers_of_strangers_are_rebuilt(site):
    """I3"""
    seen = as_nobody(site, 'X-Forwarded-For: 1.2.3.4, 5.6.7.8⏎X-Forwarded-Host: evil⏎X-Forwarded-Proto: http⏎'
                           'Forwarded: for="_x;host=evil"⏎X-Real-IP: 1.2.3.4⏎X-Request-Id: mine')
    assert seen.one("X-Forwarded-For") == "127.0.0.1"
    assert seen.one("X-Forwarded-Host") == "example.test"
    assert seen.one("X-Forwarded-Proto") == "https"
    assert seen.one("X-Request-Id") != "mine"
    assert "evil" not in str(seen.headers) and "1.2.3.4" not in str(seen.headers)


@pytest.mark.parametrize("name", ["Authorization", "X-HTTP-Method-Override", "Origin", "Referer", "User-Agent",
                                  "Accept",
                                  "X-Requested-With", "If-None-Match", "Range", "Sec-Fetch-Mode", "X-CSRF-Token"])
def test_what_belongs_to_the_app_passes(site, name):
    """I3"""
    assert as_nobody(site, f"{name}: some value").one(name) == "some value"


def test_the_order_of_repeated_fields_is_kept(site):
    assert as_nobody(site, "X-List: a⏎X-Other: b⏎X-List: c").all("X-List") == ["a", "c"]


def test_each_request_has_an_id_of_its_own(site):
    ids = [as_nobody(site, "X: y").one("X-Request-Id") for _ in range(3)]
    assert len(set(ids)) == 3 and all(ids)


def test_a_trusted_proxy_tells_who_the_client_is(new_site):
    behind = new_site(trusted_proxies=["127.0.0.0/8"])
    alice = behind.browser("alice")
    told = ("X-Forwarded-For: 6.6.6.6, 203.0.113.7, 127.0.0.2⏎X-Forwarded-Proto: https⏎X-Forwarded-Host: example.test⏎"
            "X-Request-Id: from-the-edge")
    seen = as_alice(behind, alice, told)
    assert "203.0.113.7" in seen.one("X-Forwarded-For")
    assert seen.one("X-Forwarded-Host") == "example.test"
    assert seen.one("X-Request-Id") == "from-the-edge"
    assert seen.one("X-User-Id") == "alice"
    assert as_alice(behind, alice, told + "⏎X-User-Id: admin").all("X-User-Id") == ["alice"]
    line = behind.gateway.access_line("from-the-edge")
    assert line["client"] == "203.0.113.7"


@pytest.mark.parametrize("told, kept", [
    ("abc-123_4.5", True), ("x" * 128, True), ("x" * 129, False), ('a"b', False), ("a<b>", False), ("a b", False),
    ("a\\b", False), ("a,b", False), ("caf\xe9", False), ("", False)], ids=lambda value: f"I3-{ascii(value)[:12]}")
def test_a_trusted_proxys_request_id_is_taken_where_it_is_harmless(behind_tls, told, kept):
    """It stands in logs and in the gateway's own JSON and HTML."""
    with behind_tls.client(trust=None) as client:
        seen = app_saw(client.get("/x", {"X-Request-Id": told}))
    assert (seen.all("X-Request-Id") == [told]) == kept
    for accept in ("application/json", "text/html"):
        with behind_tls.client(trust=None) as client:
            refused = client.get("/%ff", {"X-Request-Id": told, "Accept": accept})
        assert refused.status == 400
        assert kept or not told or told.encode("latin-1") not in refused.body


@pytest.fixture(scope="module")
def behind_tls(module_sites):
    """A plain listener behind a trusted proxy that terminates TLS."""
    return module_sites(listen=[{"address": "127.0.0.1:0"}], trusted_proxies=["127.0.0.1"],
                        routes=[route("/old/", "public", rewrite={"strip_prefix": "/old"}), route("/", "public")])


TOLD = [{"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "www.example.org"},
        {"Forwarded": "for=203.0.113.5;proto=https;host=www.example.org"},
        {"Forwarded": "for=evil;host=evil, for=203.0.113.5;proto=https;host=www.example.org, for=127.0.0.1;proto=http"}]


@pytest.mark.parametrize("told", TOLD, ids=["x-forwarded", "forwarded", "forwarded-by-two"])
def test_the_app_learns_where_the_client_is_in_either_language(behind_tls, told):
    with behind_tls.client(trust=None) as client:
        seen = app_saw(client.get("/x", told, host="gateway.internal"))
    assert (seen.one("X-Forwarded-Proto"), seen.one("X-Forwarded-Host")) == ("https", "www.example.org")
    assert seen.one("Host") == "gateway.internal"


@pytest.mark.parametrize("told", TOLD, ids=["x-forwarded", "forwarded", "forwarded-by-two"])
@pytest.mark.parametrize("origin", ["http://gateway.internal", "https://www.example.org", "http://www.example.org"])
def test_a_location_leads_where_the_client_is(behind_tls, told, origin):
    with behind_tls.client(trust=None) as client:
        answer = client.get(asked("/old/x", {"Location": f"{origin}/next"}, status=302), told, host="gateway.internal")
    assert answer.one("Location") == "https://www.example.org/old/next"


# ---- I4: what a login may name ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("user, encoded", [
    pytest.param("alice@example.org", "alice@example.org", id="I4-mail"),
    pytest.param("a b", "a b", id="I4-space"),
    pytest.param("a,b", "a,b", id="I4-comma"),
    pytest.param("100%", "100%25", id="I4-percent"),
    pytest.param("Zoë", "Zo%C3%AB", id="I4-utf8"),
    pytest.param("艾丽斯", "%E8%89%BE%E4%B8%BD%E6%96%AF", id="I4-chinese"),
    pytest.param("😀", "%F0%9F%98%80", id="I4-emoji"),
    pytest.param("../../etc", "../../etc", id="I4-dots"),
    pytest.param("*", "*", id="I4-star"), pytest.param("{tag}", "{tag}", id="I4-braces"),
    pytest.param("a:b;c=d\"e'f<g>", "a:b;c=d\"e'f<g>", id="I4-punctuation"),
    pytest.param("x" * 256, "x" * 256, id="I4-256-bytes"),
])
def test_a_user_id_reaches_the_app_as_it_was_named(site, user, encoded):
    browser = site.browser(user)
    seen = app_saw(browser.get("/x"))
    assert seen.one("X-User-Id").upper() == encoded.upper()
    assert seen.one("X-User-Org") is None


@pytest.mark.parametrize("name", ["X-Session-User", "X-Session-Org"])
@pytest.mark.parametrize("value", [
    pytest.param("x" * 257, id="I4-257-bytes"), pytest.param("x" * 4096, id="I4-4-KiB"),
    pytest.param("a\tb", id="I4-tab"),
    pytest.param("a\xffb", id="I4-not-utf8"), pytest.param("a\xc0\x80b", id="I4-overlong-nul"),
    pytest.param("a\xed\xa0\x80b", id="I4-surrogate"), pytest.param("a\xc2\x85b", id="I4-c1-control"),
    pytest.param("a\0b", id="I4-nul"), pytest.param("a\rb", id="I4-cr"), pytest.param("a\x7fb", id="I4-delete"),
    pytest.param("a\nX-Injected: 1", id="I4-lf"),
])
def test_a_user_id_that_is_none_starts_no_session(site, name, value):
    headers = {"X-Session-User": "mallory"} | {name: value}
    users = site.gateway.users()
    with site.client() as client:
        response = client.get(asked("/login", headers))
    assert response.status == 502
    assert response.all("Set-Cookie") == [] and response.all("X-Injected") == []
    assert site.gateway.users() == users
    site.canary()


def test_spaces_around_a_user_id_are_none_of_it(site):
    """I4: HTTP/1 does not count them to the field, so the app cannot have named another user than this."""
    assert site.browser("  alice ").user() == "alice"
    assert site.gateway.sessions(user="%20alice") == []


def test_an_organization_reaches_the_app(site):
    browser = site.browser("alice", org="Café & Co")
    seen = app_saw(browser.get("/x"))
    assert (seen.one("X-User-Id"), seen.one("X-User-Org")) == ("alice", "Caf%C3%A9 & Co")


def test_an_anonymous_route_names_nobody_even_with_a_session(site, alice):
    seen = app_saw(alice.get("/public/x"))
    assert seen.all("X-User-Id") == seen.all("X-User-Org") == []


def test_an_optional_route_names_the_user_if_there_is_one(site, alice):
    assert app_saw(alice.get("/optional/x")).one("X-User-Id") == "alice"
    with site.client() as client:
        assert app_saw(client.get("/optional/x", {"X-User-Id": "admin"})).all("X-User-Id") == []


# ---- the route's own edits --------------------------------------------------------------------------------------------

def test_a_route_edits_headers_in_both_directions(new_site):
    edited = new_site(routes=[route("/", "public", headers={
        "request": {"set": {"X-Env": "production"}, "remove": ["X-Debug", "Authorization"]},
        "response": {"set": {"Strict-Transport-Security": "max-age=31536000"}, "remove": ["Server", "X-Powered-By"]}})])
    with edited.client() as client:
        response = client.get(asked("/x", {"Server": "old", "x-powered-by": "PHP", "X-Kept": "1",
                                           "Strict-Transport-Security": "max-age=0"}),
                              {"X-Env": "test", "x-debug": "1", "Authorization": "Basic eDp5", "X-Also": "2"})
    seen = app_saw(response)
    assert (seen.all("X-Env"), seen.all("X-Debug"), seen.all("Authorization")) == (["production"], [], [])
    assert seen.one("X-Also") == "2"
    assert response.all("Strict-Transport-Security") == ["max-age=31536000"]
    assert response.all("Server") == response.all("X-Powered-By") == []
    assert response.one("X-Kept") == "1"


@pytest.mark.parametrize("name", ["x_env", "X.Env", "X_ENV", "x~env"])
def test_a_header_that_a_route_sets_or_removes_comes_under_no_spelling(new_site, name):
    edited = new_site(routes=[route("/set/", "public", headers={"request": {"set": {"X-Env": "production"}}}),
                              route("/removed/", "public", headers={"request": {"remove": ["X-Env"]}})])
    with edited.client() as client:
        for path, expected in (("/set/x", [("X-Env", "production")]), ("/removed/x", [])):
            seen = app_saw(client.get(path, {name: "evil"}))
            assert [(field, value) for field, value in seen.headers if fold(field) == "x-env"] == expected


def test_the_host_is_preserved_or_the_servers(new_site):
    both = new_site(routes=[route("/upstream/", "public") | {"host": "upstream"},
                            route("/", "public")])
    with both.client() as client:
        assert app_saw(client.get("/x")).one("Host") == "example.test"
        seen = app_saw(client.get("/upstream/x"))
        assert seen.one("Host") == both.app.address
        assert seen.one("X-Forwarded-Host") == "example.test"


def test_each_server_gets_its_own_host_and_may_call_itself_by_it(new_site):
    def redirect(exchange):
        host = exchange.request.one("Host")
        return http1.response_bytes(302, {"Location": f"http://{host}/next", "X-Host": host})

    first, second = new_site.app(handler=redirect), new_site.app(handler=redirect)
    site = new_site(first, upstreams={"app": {"servers": [first.address, second.address]}},
                    routes=[route("/", "public") | {"host": "upstream"}])
    with site.client() as client:
        answers = [client.get("/x") for _ in range(4)]
    assert sorted(answer.one("X-Host") for answer in answers) == sorted(2 * [first.address, second.address])
    assert {answer.one("Location") for answer in answers} == {"https://example.test/next"}


def test_a_server_on_a_unix_socket_is_localhost(new_site, tmp_path):
    app = new_site.app(unix_path=tmp_path / "app.sock")
    site = new_site(app, upstreams={"app": {"health": {"path": "/healthz", "interval": "100ms"}}},
                    routes=[route("/", "public") | {"host": "upstream"}])
    with site.client() as client:
        answer = client.get(asked("/x", {"Location": "http://localhost/next"}, status=302))
    assert app_saw(answer).one("Host") == "localhost"
    assert answer.one("Location") == "https://example.test/next"
    assert poll(lambda: app.requests("/healthz"), "a health check")[0].one("Host") == "localhost"


def test_a_server_with_tls_on_a_unix_socket_has_the_name_that_is_verified(new_site, certificates, tmp_path):
    app = new_site.app(unix_path=tmp_path / "app.sock", certificate=certificates.app)
    tls = {"ca": str(certificates.app.cert), "server_name": "app.internal"}
    site = new_site(app, upstreams={"app": {"tls": tls}}, routes=[route("/", "public") | {"host": "upstream"}])
    with site.client() as client:
        assert app_saw(client.get("/x")).one("Host") == "app.internal"
