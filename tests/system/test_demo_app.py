"""The demo app by itself, and behind the gateway as ./dev demo sets it up."""

import hashlib
import json
import subprocess
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from harness import http1
from harness.client import RawClient
from harness.gateway import BUILD, route
from harness.program import AppProgram

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    program = AppProgram(BUILD / "rotagate-demo-app", "--listen", "127.0.0.1:{port}", folder=tmp_path_factory.mktemp("app"))
    yield program
    program.close()


@pytest.fixture
def client(app):
    with RawClient(("127.0.0.1", app.port)) as client:
        yield client


def login(client, **fields) -> http1.Response:
    body = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())
    return client.request("POST", "/login", FORM, body.encode())


def test_a_free_port_is_taken_and_printed_where_port_0_is_asked_for():
    with subprocess.Popen([BUILD / "rotagate-demo-app", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True) as app:
        said, _, port = app.stdout.readline().strip().rpartition(":")
        assert said == "demo app listening on http://127.0.0.1"
        with RawClient(("127.0.0.1", int(port))) as client:
            assert client.get("/healthz").body == b"ok\n"
        app.terminate()
        assert app.wait(10) == 0


@pytest.mark.parametrize("next", ["/account", "/parallel", "/account?a=b/c%20d", "/%C3%BC", "/a%3Fb?q=//x"])
def test_a_login_leads_back_to_the_page_that_asked_for_it(client, next):
    assert login(client, user="alice", next=next).one("Location") == next


@pytest.mark.parametrize("next", ["", "evil", "//evil", "/\\evil", "https:evil", "/%09/evil", "\t//evil", "/%5cevil",
                                  "/%2fevil", "/..//evil", "javascript:alert(1)", "http://host@evil", "/a\r\nX-Evil: 1",
                                  "/%0d%0aX-Evil:1", "/\x00", "/\u2215evil"])
def test_a_login_never_leads_to_another_site(client, next):
    answer = login(client, user="alice", next=next)
    assert (answer.status, answer.one("Location"), answer.one("X-Evil")) == (303, "/account", None)


def test_a_login_names_the_user_to_the_gateway(client):
    answer = login(client, user=" alice ", org="acme", permanent="true")
    assert answer.one("X-Session-User") == "alice" and answer.one("X-Session-Org") == "acme"
    assert answer.one("X-Session-Permanent") == "true" and json.loads(answer.one("X-Session-Data")) == {"logins": 1}


@pytest.mark.parametrize("user", ["", "  ", "al\r\nX-Session-Org: evil", "x" * 257, "a\x00b"])
def test_a_login_under_an_impossible_name_is_refused(client, user):
    answer = login(client, user=user)
    assert answer.status == 422 and not answer.all("X-Session-User") and not answer.all("X-Session-Org")


@pytest.mark.parametrize("user, shown", [("alice", "alice"), ("a" + "ä" * 20, "a" + "ä" * 7), ("€" * 6, "€" * 5),
                                         ("x" * 17, "x" * 16), ("x" * 15 + "&b", "x" * 15 + "&")])
def test_a_picture_names_the_user_by_whole_characters(client, user, shown):
    picture = ElementTree.fromstring(client.get("/tile/7", {"X-User-Id": quote(user)}).body)
    assert [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")] == ["7", shown]


def test_forms_of_other_sites_are_refused(client):
    for path in ("/login", "/logout"):
        answer = client.request("POST", path, FORM | {"Sec-Fetch-Site": "cross-site"}, b"user=eve")
        assert answer.status == 403 and not answer.all("X-Session-User") and not answer.all("X-Session-End")


def test_bodies_of_any_framing_come_back_and_are_counted(client):
    body = bytes(range(256)) * 1000
    assert client.request("POST", "/echo", body=body).body == body
    assert client.request("POST", "/count", body=body).json() == {
        "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert client.read_response().body == b"abc"


def test_bytes_and_chunks_have_the_wanted_size_and_the_same_content(client):
    plain, chunked = client.get("/bytes?n=700001").body, client.get("/chunked?n=700001&chunk=1000").body
    assert len(plain) == 700001 and plain == chunked and plain[64:68] == b"ABCD"
    head = client.request("HEAD", "/bytes?n=5000000000")
    assert head.one("Content-Length") == "5000000000"
    assert client.get("/bytes?n=0").body == b""


# ---- behind the gateway -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(module_sites, tmp_path_factory):
    app = AppProgram(BUILD / "rotagate-demo-app", "--listen", "127.0.0.1:{port}", folder=tmp_path_factory.mktemp("app"))
    routes = [route("/static/", "public"), route("/login", "optional", sessions="control"),
              route("/logout", "optional", sessions="control"),
              route("/account", sessions="control", session_data=True,
                    on_unauthenticated={"redirect": "/login?next={uri}"}),
              route("/tile/"), route("/", "optional")]
    return module_sites(app, routes=routes)


def test_the_account_page_shows_who_is_signed_in_and_how_often_the_cookie_has_changed(site):
    browser = site.browser()
    browser.fetch("POST", "/login", FORM, b"user=alice&org=acme")
    for changes in (1, 2):
        page = browser.get("/account").body.decode()
        assert "Signed in as alice" in page and f'id="changes">{changes}<' in page
    for number in range(3):
        assert browser.get(f"/tile/{number}?format=json").json()["user"] == "alice"
    assert 'id="changes">6<' in browser.get("/account").body.decode()


def test_a_visitor_without_a_session_is_led_to_the_login_and_back(site):
    browser = site.browser()
    away = browser.get("/account?tab=1", {"Sec-Fetch-Mode": "navigate"})
    assert (away.status, away.one("Location")) == (302, "/login?next=%2Faccount%3Ftab%3D1")
    assert 'name="next" value="/account?tab=1"' in browser.get(away.one("Location")).body.decode()
    back = browser.fetch("POST", "/login", FORM, b"user=bob&next=%2Faccount%3Ftab%3D1")
    assert back.one("Location") == "/account?tab=1"


@pytest.mark.parametrize("form, others_stay", [(b"", True), (b"everywhere=true", False)])
def test_logging_out_ends_one_session_or_all_of_the_user(site, form, others_stay):
    here, there = site.browser(), site.browser()
    for browser in (here, there):
        browser.fetch("POST", "/login", FORM, b"user=carol")
    assert here.fetch("POST", "/logout", FORM, form).status == 303
    assert here.get("/tile/1").status == 401
    assert (there.get("/tile/1").status == 200) == others_stay


def test_the_pages_name_only_static_files_that_are_there(site):
    for path in ("/static/demo.css", "/static/parallel.js", "/static/icon.svg"):
        answer = site.browser().get(path)
        assert answer.status == 200 and not answer.all("Set-Cookie")
