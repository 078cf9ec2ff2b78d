"""Certificates of clients: who must show one, for which hosts, what the app learns, and sessions that they start."""

import pytest

from harness import http1
from harness.browser import Browser, Http2Browser, app_saw, asked, deletes_cookie, session_cookie, set_cookies
from harness.certificates import Authority
from harness.check import GOOD, checked
from harness.client import RawClient
from harness.gateway import COOKIE, ROUTES, route
from harness.tls import VERSIONS, Visitor, refused

versions = pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
by_certificate = [
    route("/cert/optional/", "optional", user_from="certificate"),
    route("/cert/control/", user_from="certificate", sessions="control"),
    route("/cert/data/", user_from="certificate", session_data=True),
    route("/cert/page/", user_from="certificate", on_unauthenticated={"redirect": "/login?next={uri}"}),
    route("/cert/shared/", user_from="certificate", cors={"origins": ["https://app.test"], "credentials": True}),
    route("/cert/", user_from="certificate"),
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("clients"), "clients-ca")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("strangers"), "strangers-ca")


@pytest.fixture(scope="module")
def alice(authority):
    return authority.sign("alice", "/O=Acme/OU=Staff/CN=alice")


@pytest.fixture(scope="module")
def bob(authority):
    return authority.sign("bob", "/O=Acme/CN=bob")


@pytest.fixture(scope="module")
def asking(module_sites, authority, certificates):
    """example.test asks for certificates, api.example.test requires them; a second listener asks for none."""
    listed = [certificates.example.listed(client_certificate="optional"), certificates.api.listed()]
    plain = [certificates.example.listed()]
    return module_sites(routes=by_certificate + ROUTES, listen=[
        {"address": "127.0.0.1:0", "tls": {"client_ca": str(authority.cert), "certificates": listed}},
        {"address": "127.0.0.1:0", "tls": {"certificates": plain}}])


class Shown(Browser):
    """A browser with a certificate."""

    def __init__(self, gateway, certificate=None, host: str = "example.test"):
        super().__init__(gateway, host)
        self.certificate = certificate

    def _connect(self, gateway):
        return gateway.client(server_name=self.host, certificate=self.certificate)


class Http2Shown(Http2Browser):
    def __init__(self, gateway, certificate=None, host: str = "example.test"):
        super().__init__(gateway, host)
        self.certificate = certificate

    def _connect(self, gateway):
        return gateway.http2(server_name=self.host, host=self.host, certificate=self.certificate)


both = pytest.mark.parametrize("kind", [Shown, Http2Shown], ids=["http/1", "http/2"])


def subject(response: http1.Response) -> list[str]:
    return app_saw(response).all("X-Client-Cert-Subject")


@both
@pytest.mark.parametrize("shows", [True, False], ids=["with", "without"])
def test_a_preflight_needs_no_certificate_and_starts_no_session(asking, alice, kind, shows):
    """Browsers send it without any, and nothing of it is anybody's."""
    browser = kind(asking.gateway, alice if shows else None)
    preflight = {"Origin": "https://app.test", "Access-Control-Request-Method": "POST"}
    for extra in ({}, {"Sec-Fetch-Site": "same-site"}):
        answer = browser.fetch("OPTIONS", "/cert/shared/x", preflight | extra)
        assert answer.status == 200 and set_cookies(answer) == [] and app_saw(answer).one("X-User-Id") is None
    assert browser.get("/cert/shared/x").status == (200 if shows else 401)


# ---- who gets in ----------------------------------------------------------------------------------------------------

@versions
def test_a_required_certificate_must_be_shown(asking, alice, version):
    assert refused(lambda: Visitor(version=version)(asking, "api.example.test"))
    assert Visitor(version=version, certificate=alice)(asking, "api.example.test").response.status == 200


@versions
def test_an_optional_certificate_may_be_shown(asking, alice, version):
    assert subject(Visitor(version=version)(asking, "example.test").response) == []
    shown = Visitor(version=version, certificate=alice)(asking, "example.test")
    assert subject(shown.response) == ["CN=alice,OU=Staff,O=Acme"]


@versions
@pytest.mark.parametrize("host", ["example.test", "api.example.test"])
def test_what_does_not_verify_is_refused_with_optional_too(asking, authority, stranger, version, host):
    name = f"{version.name}-{host}"
    for certificate in (stranger.sign(f"mallory-{name}"), authority.sign(f"late-{name}", days=-1),
                        authority.sign(f"server-{name}", purpose="serverAuth"), stranger.own):
        visitor = Visitor(version=version, certificate=certificate)
        assert refused(lambda: visitor(asking, host))
    asking.canary()


def test_a_listener_without_client_ca_asks_nobody(asking, alice):
    visit = Visitor(certificate=alice)(asking, "example.test", listener=1)
    assert subject(visit.response) == []


@pytest.mark.parametrize("server_name", ["example.test", "unknown.test", None])
def test_a_host_is_guarded_whatever_the_connection_was_made_for(asking, alice, server_name):
    """P3: a certificate that was optional, or for another host, does not open one that requires it."""
    before = len(asking.requests())
    for certificate in (None, alice):
        visit = Visitor(certificate=certificate)(asking, server_name, host="api.example.test")
        assert visit.response.status == 421
    assert len(asking.requests()) == before


def test_no_other_listener_leads_around_the_guard(new_site, authority, alice, tmp_path):
    """P3: routes belong to all listeners, and so a host's guard does: on one that has no certificate for it, nobody was
    asked, or for a certificate of others."""
    servers, partners = Authority(tmp_path, "servers-ca"), Authority(tmp_path, "partners-ca")
    guarded, public, extranet = (servers.serve(name, f"{name}.test") for name in ("guarded", "public", "extranet"))
    site = new_site(listen=[
        {"address": "127.0.0.1:0", "tls": {"certificates": [guarded.listed(client_ca=str(authority.cert))]}},
        {"address": "127.0.0.1:0", "tls": {"certificates": [public.listed()]}},
        {"address": "127.0.0.1:0", "tls": {"certificates": [extranet.listed(client_ca=str(partners.cert))]}},
        {"address": "127.0.0.1:0"},
        {"address": "127.0.0.1:0", "tls": {"certificates": [servers.serve("all", "*.test").listed()]}}])
    partner = partners.sign("partner")
    visitor = Visitor()
    for server_name in ("guarded.test", None):
        for listener in (1, 4):
            assert visitor(site, server_name, host="guarded.test", listener=listener).response.status == 421
    assert Visitor(certificate=partner)(site, "guarded.test", listener=2).response.status == 421
    plain = RawClient(site.gateway.endpoint(3))
    assert plain.get("/public/x", host="guarded.test").status == 421
    assert site.requests() == []
    assert visitor(site, "public.test", listener=1).response.status == 200
    assert Visitor(certificate=alice)(site, "guarded.test").response.status == 200
    assert plain.get("/public/x", host="public.test").status == 200
    assert visitor(site, "public.test", listener=4).response.status == 200


def test_a_wildcard_does_not_lead_around_the_guard(new_site, authority, tmp_path):
    """P3: the certificate covers the guarded host, but the connection's clients were asked for nothing; HTTP/2 clients
    would send requests for both hosts on it."""
    servers = Authority(tmp_path, "servers-ca")
    everything = servers.serve("all", "*.shop.test", "shop.test", "guarded.shop.test")
    guarded = servers.serve("guarded", "guarded.shop.test")
    site = new_site(listen=[{"address": "127.0.0.1:0", "tls": {"certificates": [
        guarded.listed(client_ca=str(authority.cert)), everything.listed(client_certificate="none")]}}])
    visitor = Visitor()
    assert visitor(site, "www.shop.test", host="shop.test").response.status == 200
    assert visitor(site, "www.shop.test", host="other.shop.test").response.status == 200
    assert visitor(site, "www.shop.test", host="guarded.shop.test").response.status == 421
    # What has no certificate of its own is the first's, and that one is guarded.
    assert visitor(site, "www.shop.test", host="unknown.test").response.status == 421
    with site.http2(trust=servers.cert, server_name="www.shop.test") as client:
        assert client.get("/public/x", host="www.shop.test").status == 200
        assert client.get("/public/x", host="guarded.shop.test").status == 421
        client.open_fields([(":method", "GET"), (":scheme", "https"), (":path", "/public/x"), ("host", "guarded.shop.test")])
    assert not [request for request in site.requests() if request.one("Host") == "guarded.shop.test"]


def test_http_1_0_without_a_host_is_the_first_certificates(new_site, authority, tmp_path):
    servers = Authority(tmp_path, "servers-ca")
    site = new_site(listen=[{"address": "127.0.0.1:0", "tls": {"certificates": [
        servers.serve("guarded", "guarded.test").listed(client_ca=str(authority.cert)),
        servers.serve("open", "open.test").listed()]}}])
    with site.client(trust=servers.cert, server_name="open.test") as client:
        assert client.send(b"GET /public/x HTTP/1.0\r\n\r\n").read_response().status == 421


def test_http_1_0_without_a_host_is_served_where_nothing_is_guarded(site):
    """What health checks of load balancers send; apps of today want a Host, and get their server's."""
    before = len(site.app.requests("/public/check"))
    for server_name in (None, "example.test"):
        with site.client(server_name=server_name) as client:
            assert client.send(b"GET /public/check HTTP/1.0\r\n\r\n").read_response().status == 200
    assert [seen.one("Host") for seen in site.app.requests("/public/check")[before:]] == [site.app.address] * 2


# ---- what the app learns --------------------------------------------------------------------------------------------

@both
def test_the_subject_reaches_the_app_on_every_route(asking, alice, kind):
    browser = kind(asking.gateway, alice)
    for path in ("/public/x", "/optional/x", "/cert/x", "/account"):
        response = browser.get(path, {"X-Client-Cert-Subject": "CN=root"})
        assert subject(response) == ["CN=alice,OU=Staff,O=Acme"], path
    browser.close()


@pytest.mark.parametrize("name", [
    "X-Client-Cert-Subject", "x-client-cert-subject", "X_Client_Cert_Subject", "X.Client.Cert.Subject",
    "X-Client_Cert-Subject", "X-Client-Cert-Verify", "X_CLIENT_CERT_DN", "X-Client-Cert-" + "a" * 50,
    "Client-Cert", "client_cert", "Client-Cert-Chain"])
def test_a_client_cannot_say_what_certificate_it_has(asking, site, name):
    for gateway in (asking, site):
        with gateway.client() as client:
            seen = app_saw(client.get("/public/x", {name: "CN=root", "Connection": "X-Client-Cert-Subject"}))
        assert not [field for field, value in seen.headers if "root" in value]


def test_connection_does_not_remove_the_subject(asking, alice):
    with asking.client(certificate=alice) as client:
        seen = client.get("/public/x", {"Connection": "close, x-client-cert-subject"})
    assert subject(seen) == ["CN=alice,OU=Staff,O=Acme"]


@pytest.mark.parametrize("given, told", [
    ("/O=Acme, Inc./CN=al+ice", r"CN=al\+ice,O=Acme\, Inc."), ("/CN=Zoë", "CN=Zo%C3%AB"),
    ("/CN=100%", "CN=100%25"), ("/CN=a\tb", r"CN=a\09b"), ("/CN=x/emailAddress=a@b.test", "emailAddress=a@b.test,CN=x"),
], ids=["separators", "utf-8", "percent", "control-character", "email"])
def test_subjects_are_one_line_by_rfc_2253(asking, authority, given, told):
    certificate = authority.sign(f"odd-{abs(hash(given))}", given.replace("+", r"\+"))
    with asking.client(certificate=certificate) as client:
        assert subject(client.get("/public/x")) == [told]


def test_the_app_cannot_tell_the_client_of_a_certificate(asking):
    with asking.client() as client:
        response = client.get(asked("/public/x", {"X-Client-Cert-Subject": "CN=x"}))
    assert response.all("X-Client-Cert-Subject") == []


# ---- user_from: certificate -----------------------------------------------------------------------------------------

@both
def test_a_certificate_starts_a_session(asking, alice, kind):
    browser = kind(asking.gateway, alice)
    response = browser.get("/cert/x")
    assert app_saw(response).all("X-User-Id") == ["alice"] and app_saw(response).all("X-User-Org") == []
    first = session_cookie(response).value
    line = asking.gateway.await_security("login", "alice")
    assert line["event"] == "session_started" and line["detail"] == "by the client certificate"
    started = len(asking.gateway.security_log("login", "alice"))
    assert browser.user("/cert/x") == "alice" and browser.cookie != first, "the session goes on, and its cookie rotates"
    assert browser.user("/account") == "alice", "it counts on other routes, too"
    assert len(asking.gateway.security_log("login", "alice")) == started
    browser.close()


def test_the_session_outlives_the_connection(asking, alice):
    browser = Shown(asking.gateway, alice)
    assert browser.user("/cert/x") == "alice"
    started = len(asking.gateway.security_log("login", "alice"))
    browser.close()
    assert browser.user("/cert/x") == "alice"
    assert len(asking.gateway.security_log("login", "alice")) == started
    browser.close()


@both
def test_a_client_without_a_cookie_jar_has_one_session_a_connection(asking, alice, kind):
    browser = kind(asking.gateway, alice)
    before = len(asking.gateway.security_log("login", "alice"))
    for _ in range(5):
        browser.cookie = None
        response = browser.get("/cert/x")
        assert app_saw(response).one("X-User-Id") == "alice" and session_cookie(response)
    assert len(asking.gateway.security_log("login", "alice")) == before + 1
    browser.close()


@pytest.mark.parametrize("store", ["memory", "redis"])
def test_requests_that_come_at_once_on_a_connection_share_one_session(
        new_site, new_redis, authority, certificates, alice, store):
    """However long the store takes: each with its own would displace what alice has elsewhere."""
    site = new_site(session={"store": new_redis().url if store == "redis" else store, "max_sessions_per_user": 2},
                    listen=[{"address": "127.0.0.1:0", "tls": {"client_ca": str(authority.cert),
                                                               "certificates": [certificates.example.listed()]}}],
                    routes=[route("/", user_from="certificate")])
    with site.http2(certificate=alice) as first, site.http2(certificate=alice) as second:
        for client in (first, second):
            streams = [client.open(path=f"/{n}") for n in range(20)]
            assert [client.read_response(stream).status for stream in streams] == [200] * 20
    assert len(site.gateway.sessions(user="alice")) == 2
    assert not site.gateway.security_log("displaced")


@both
def test_another_users_session_is_refused_and_not_harmed(asking, alice, bob, kind):
    theirs = kind(asking.gateway, bob)
    assert theirs.user("/cert/x") == "bob"
    mine = kind(asking.gateway, alice)
    mine.cookie = theirs.cookie
    for path in ("/cert/x", "/cert/optional/x"):
        response = mine.get(path)
        assert response.status == 403 and set_cookies(response) == []
    line = asking.gateway.await_security("certificate_mismatch", "bob")
    assert line["event"] == "session_refused"
    assert theirs.user("/cert/x") == "bob"
    mine.cookie = None
    assert mine.user("/cert/x") == "alice"
    mine.close(), theirs.close()


def test_the_same_name_in_an_organization_is_another_user(asking, alice):
    browser = Shown(asking.gateway, alice)
    browser.login("alice", org="acme")
    assert browser.get("/cert/x").status == 403
    browser.close()


@both
def test_without_the_certificate_the_session_counts_for_nothing(asking, alice, kind):
    browser = kind(asking.gateway, alice)
    assert browser.user("/cert/x") == "alice"
    thief = kind(asking.gateway)
    thief.cookie = browser.cookie
    response = thief.get("/cert/x")
    assert response.status == 401 and set_cookies(response) == []
    assert app_saw(thief.get("/cert/optional/x")).all("X-User-Id") == []
    page = thief.get("/cert/page/x", {"Accept": "text/html"})
    assert page.status == 302 and page.one("Location") == "/login?next=%2Fcert%2Fpage%2Fx"
    assert browser.user("/cert/x") == "alice"
    browser.close(), thief.close()


def test_a_session_that_was_revoked_is_followed_by_another(asking, alice):
    browser = Shown(asking.gateway, alice)
    assert browser.user("/cert/x") == "alice"
    old = browser.cookie
    assert asking.gateway.revoke("user=alice") >= 1
    assert browser.get("/account").status == 401, "it has ended everywhere"
    browser.cookie = old
    assert browser.user("/cert/x") == "alice" and browser.user("/account") == "alice"
    browser.cookie = None
    assert asking.gateway.revoke("user=alice") >= 1
    assert browser.user("/cert/x") == "alice", "nor does the connection go on with one that has ended"
    browser.close()


def test_a_forged_cookie_is_replaced(asking, alice):
    browser = Shown(asking.gateway, alice)
    browser.cookie = "junk"
    response = browser.get("/cert/x")
    assert app_saw(response).one("X-User-Id") == "alice" and session_cookie(response)
    browser.close()


def test_ambiguous_cookies_stay_ambiguous(asking, alice, bob):
    """SPEC section 2: nothing is set or deleted, and neither session is harmed."""
    first, second = Shown(asking.gateway, alice), Shown(asking.gateway, bob)
    assert first.user("/cert/x") == "alice" and second.user("/cert/x") == "bob"
    with asking.client(certificate=alice) as client:
        refused = client.get("/cert/x", {"Cookie": f"{first.cookie_header}; {COOKIE}={second.cookie}"})
    assert refused.status == 401 and set_cookies(refused) == []
    assert first.user("/cert/x") == "alice" and second.user("/cert/x") == "bob"
    first.close(), second.close()


def test_the_app_can_end_it_and_keep_data_with_it(asking, alice):
    browser = Shown(asking.gateway, alice)
    assert app_saw(browser.get("/cert/data/x")).one("X-Session-Data") == "{}"
    browser.get(asked("/cert/control/x", {"X-Session-Data": '{"a":1}'}))
    assert app_saw(browser.get("/cert/data/x")).one("X-Session-Data") == '{"a":1}'
    assert deletes_cookie(browser.get(asked("/cert/control/x", {"X-Session-End": "session"})))
    assert browser.get("/account").status == 401
    browser.close()


@pytest.mark.parametrize("name, subject_of", [
    ("none", "/O=Acme"), ("two", "/CN=alice/CN=bob"), ("long", "/O=x"), ("control", "/CN=a\x01b")])
def test_a_common_name_that_is_no_user_signs_nobody_in(asking, authority, name, subject_of):
    certificate = authority.sign(f"nobody-{name}", subject_of)
    with asking.client(certificate=certificate) as client:
        response = client.get("/cert/x")
        assert response.status == 401 and set_cookies(response) == []
        assert app_saw(client.get("/cert/optional/x")).all("X-User-Id") == []
    assert "client certificate" in asking.gateway.await_security("invalid_login")["detail"]


@pytest.mark.parametrize("common_name, user, told", [
    (" alice", "%20alice", r"CN=\ alice"), ("alice ", "alice%20", r"CN=alice\%20"), ("al ice", "al ice", "CN=al ice"),
    ("  al  ice  ", "%20 al  ice %20", r"CN=\  al  ice \%20")], ids=["begin", "end", "inside", "everywhere"])
def test_a_space_at_either_end_of_a_common_name_makes_another_user(asking, authority, common_name, user, told):
    """HTTP takes spaces at the ends of a field off: the app would take " alice" for alice."""
    certificate = authority.sign(f"spaced-{user.replace(' ', '_')}", f"/CN={common_name}")
    browser = Shown(asking.gateway, certificate)
    response = browser.get("/cert/x")
    assert app_saw(response).one("X-User-Id") == user and subject(response) == [told]
    assert browser.user("/account") == user, "by the session, too"
    assert asking.gateway.await_security("login", common_name)["user"] == common_name
    browser.close()


@pytest.mark.parametrize("headers, signed_in", [
    ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, True),
    ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, True),
    ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, True),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, True),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, False),
    ({"Origin": "https://example.test"}, True), ({"Origin": "https://evil.test"}, False), ({"Origin": "null"}, False),
    ({"Origin": "http://example.test"}, False),
], ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else None)
def test_other_sites_pages_sign_nobody_in(asking, alice, headers, signed_in):
    """A browser shows its certificate to whatever a page asks for; SameSite keeps cookies from that, and here too."""
    with asking.client(certificate=alice) as client:
        response = client.get("/cert/x", headers)
    assert response.status == (200 if signed_in else 401)
    assert bool(set_cookies(response)) == signed_in


def test_a_post_by_another_site_is_nobodys_even_on_a_connection_with_a_session(asking, alice):
    with asking.client(certificate=alice) as client:
        assert client.get("/cert/x").status == 200
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert client.request("POST", "/cert/x", headers, b"a=b").status == 401


@pytest.mark.parametrize("same_site, headers, status", [
    ("strict", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 401),
    ("strict", {"Sec-Fetch-Site": "same-origin"}, 200), ("none", {"Sec-Fetch-Site": "cross-site"}, 200)])
def test_same_site_of_the_cookie_says_what_counts(new_site, authority, certificates, alice, same_site, headers, status):
    site = new_site(routes=by_certificate + ROUTES, session={"cookie": {"same_site": same_site}}, listen=[
        {"address": "127.0.0.1:0", "tls": {"client_ca": str(authority.cert),
                                           "certificates": [certificates.example.listed()]}}])
    with RawClient(site.gateway.address, trust=site.gateway.trust, certificate=alice) as client:
        assert client.get("/cert/x", headers).status == status


def test_sessions_in_redis_and_a_store_that_is_gone(new_redis, new_fleet, authority, certificates, alice):
    """Fail closed: 503, and no cookie of a session that nobody keeps."""
    server = new_redis()
    fleet = new_fleet(server.url, routes=by_certificate + ROUTES, listen=[{"address": "127.0.0.1:0", "tls": {
        "client_ca": str(authority.cert), "client_certificate": "optional",
        "certificates": [certificates.example.listed()]}}])
    browser = Shown(fleet.a, alice)
    assert browser.user("/cert/x") == "alice"
    assert browser.at(fleet.b).user("/cert/x") == "alice", "the session is the fleet's"
    assert len(fleet.b.security_log("login", "alice")) == 0
    server.stop()
    refused = browser.get("/cert/x")
    assert refused.status == 503 and set_cookies(refused) == []
    browser.cookie = None
    refused = browser.get("/cert/x")
    assert refused.status == 503 and set_cookies(refused) == []
    assert browser.get("/public/x").status == 200
    browser.close()


# ---- the configuration ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("tls, where, what", [
    ("client_ca: none.crt", "4:18: ", "cannot be found"), ("client_ca: x.key", "4:18: ", "no authorities"),
    ("client_certificate: required", "4:7: ", "client_ca: is missing"),
    ("client_certificate: maybe", "4:27: ", "not one of none, optional or required"),
    ("client_ca: x.crt\n      client_certificate: none", "4:18: ", "remove one"),
])
def test_check_refuses_settings_that_cannot_be(tmp_path, certificates, tls, where, what):
    (tmp_path / "x.crt").write_bytes(certificates.example.cert.read_bytes())
    (tmp_path / "x.key").write_bytes(certificates.example.key.read_bytes())
    (tmp_path / "x.key").chmod(0o600)
    text = GOOD.replace("127.0.0.1:8080\n", "127.0.0.1:8080\n    tls:\n      " + tls
                        + "\n      certificates: [{ cert: x.crt, key: x.key }]\n")
    told = checked(tmp_path, text)
    assert told.complains(where, what), told.said


def test_check_refuses_a_certificate_whose_demands_nobody_would_meet(tmp_path, certificates, authority):
    (tmp_path / "x.crt").write_bytes(certificates.example.cert.read_bytes())
    (tmp_path / "x.key").write_bytes(certificates.example.key.read_bytes())
    (tmp_path / "x.key").chmod(0o600)
    listed = "\n        - { cert: x.crt, key: x.key"
    text = GOOD.replace("127.0.0.1:8080\n", "127.0.0.1:8080\n    tls:\n      certificates:" + listed + " }"
                        + listed + f", client_ca: {authority.cert} }}\n")
    told = checked(tmp_path, text)
    assert told.complains("6:19: ", "is for example.test like the certificate on line 5"), told.said


@pytest.mark.parametrize("settings, what", [
    ("user_from: certificate", "no listener asks clients for certificates"), ("user_from: header", "not one of"),
    ("access: public\n    user_from: certificate", "public route has no user")])
def test_check_refuses_routes_that_cannot_work(tmp_path, settings, what):
    told = checked(tmp_path, GOOD + f"    {settings}\n")
    assert told.status == 1 and what in told.said, told.said


@pytest.mark.parametrize("name", ["X-Client-Cert-Subject", "X_Client_Cert_Verify"])
def test_check_refuses_to_edit_the_subject(tmp_path, name):
    told = checked(tmp_path, GOOD + f"    headers: {{ request: {{ set: {{ {name}: a }} }} }}\n")
    assert told.status == 1 and "the gateway's own" in told.said, told.said
