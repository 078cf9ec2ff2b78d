"""HTTP/2 towards clients: cookies and sessions (SPEC section 2, SECURITY.md H7)."""

import threading

import pytest

from harness import http1
from harness.browser import Browser, Http2Browser, app_saw, deletes_cookie, outlive, session_cookie, set_cookies
from harness.cases import cases
from harness.deadlines import PACE, PATIENCE, poll, wait_for_protocol_time
from harness.gateway import COOKIE, rotation
from harness.http2 import Reset
from harness.upstream import HeldAnswer, watched


def test_a_login_begins_a_session_that_rotates(site):
    alice = Http2Browser(site.gateway)
    response = alice.login("alice2")
    cookie = session_cookie(response)
    assert {"secure", "httponly", "path"} <= set(cookie.attributes)
    assert response.all("x-session-user") == []
    seen = [alice.cookie]
    for _ in range(5):
        response = alice.get("/account")
        assert app_saw(response).one("X-User-Id") == "alice2"
        assert "cookie" not in {name.lower() for name, _ in app_saw(response).headers}, "the session cookie is the gateway's"
        seen.append(session_cookie(response).value)
        assert "private" in response.one("cache-control") or "no-store" in response.one("cache-control")
    assert len(set(seen)) == 6
    assert set_cookies(alice.logout())[0].deletes
    assert alice.get("/account").status == 401
    alice.close()


def test_a_session_is_the_same_over_both_protocols(site):
    over_http2 = Http2Browser(site.gateway)
    over_http2.login("both")
    over_http1 = Browser(site.gateway, cookie=over_http2.cookie)
    assert over_http1.user() == "both"
    over_http2.cookie = over_http1.cookie
    assert over_http2.user() == "both"
    for browser in (over_http1, over_http2):
        browser.close()


def test_who_is_not_signed_in_is_refused_or_sent_to_the_login(site):
    with site.http2() as client:
        refusal = client.get("/account")
        assert refusal.status == 401 and refusal.json() and set_cookies(refusal) == []
        page = client.get("/page/x?y=z", {"accept": "text/html", "sec-fetch-mode": "navigate"})
        assert (page.status, page.one("location")) == (302, "/login?next=%2Fpage%2Fx%3Fy%3Dz")
        assert client.get("/page/x", {"sec-fetch-mode": "cors"}).status == 401
        assert client.get("/page/x", {"accept": "text/html"}).status == 302
        upload = client.open("POST", "/account", {"content-length": "100000"}, end=False)
        client.pump_until(lambda: client.answer(upload).over)
        assert client.answer(upload).response.status == 401, "without waiting for the body"
        assert client.get("/public/x").status == 200


def test_a_long_page_that_needs_a_login_is_kept_in_the_redirect(site):
    """Each of its bytes may become three: more than is sent at once, and more than a head may have that comes."""
    query = "&" * 22_000
    for client in (site.client(), site.http2()):
        with client:
            page = client.get(f"/page/x?{query}", {"accept": "text/html"})
            assert (page.status, page.one("location")) == (302, "/login?next=%2Fpage%2Fx%3F" + "%26" * len(query))
            assert client.get("/public/x").status == 200


def test_each_of_thirty_parallel_requests_gets_the_next_cookie(site):
    """C5: no false logout."""
    alice = site.browser("parallel", kind=Http2Browser)
    seen = set()
    for turn in range(5):
        responses = alice.fetch_all([f"/parallel/{turn}/{number}" for number in range(30)])
        for number, response in enumerate(responses):
            assert response.status == 200, f"turn {turn}: {response}"
            assert app_saw(response).path == f"/parallel/{turn}/{number}"
            assert app_saw(response).one("X-User-Id") == "parallel"
            seen.add(session_cookie(response).value)
    assert len(seen) == 150, "every answer carries a cookie of its own"


def test_parallel_requests_do_not_log_out_while_cookies_die(new_site):
    """C5, R1, with a grace that passes again and again."""
    grace = 0.3 * PACE
    site = new_site(session=rotation(grace))
    alice = site.browser("alice", kind=Http2Browser)
    for turn in range(8):
        responses = alice.fetch_all([f"/{turn}/{number}" for number in range(30)])
        assert {response.status for response in responses} == {200}
        wait_for_protocol_time(0.6 * grace)
    assert not site.gateway.security_log("replay")


def test_a_late_answer_brings_a_cookie_that_is_as_good(new_site):
    """SPEC section 2: minted when the answer is sent."""
    grace = 0.3 * PACE
    site = new_site(session=rotation(grace))
    asked_for, go_on = threading.Event(), threading.Event()

    def slow(exchange):
        asked_for.set()
        assert go_on.wait(PATIENCE)
        return http1.response_bytes(200, body=b"late")

    site.app.on("/slow", slow)
    alice = site.browser("alice", kind=Http2Browser)
    with site.http2() as client:
        stream = client.open(path="/slow", headers={"cookie": alice.cookie_header})
        assert asked_for.wait(PATIENCE)
        for _ in range(12):
            assert alice.user() == "alice"
            wait_for_protocol_time(0.3 * grace)
        go_on.set()
        alice.receive(client.read_response(stream))
    assert alice.user() == "alice"


def test_a_superseded_cookie_ends_the_session(new_site):
    """R2, over HTTP/2."""
    grace = 0.3 * PACE
    site = new_site(session=rotation(grace))
    alice = site.browser("alice", kind=Http2Browser)
    thief = Http2Browser(site.gateway, cookie=outlive(alice, grace))
    refusal = thief.get("/account")
    assert refusal.status == 401 and deletes_cookie(refusal)
    assert site.gateway.await_security("replay", "alice")["client"] == "127.0.0.1"
    assert alice.user() is None
    thief.close()


def test_each_stream_of_a_connection_is_admitted_by_its_own_cookie(site):
    alice, bob = site.browser("alice3"), site.browser("bob3")
    users = [alice, bob, None, bob, alice, None, alice] * 5
    with site.http2() as client:
        streams = [client.open(path=f"/{number}", headers={"cookie": user.cookie_header} if user else {})
                   for number, user in enumerate(users)]
        for number, (stream, user) in enumerate(zip(streams, users)):
            response = client.read_response(stream)
            if user is None:
                assert response.status == 401
                continue
            seen = app_saw(response)
            assert (seen.path, seen.one("X-User-Id")) == (f"/{number}", "alice3" if user is alice else "bob3")


@pytest.mark.parametrize("begun", [True, False], ids=["in-its-answer", "thinking"])
def test_a_revocation_ends_what_the_session_has_open_and_nothing_else(site, begun):
    """R6: streams of that session are closed; another's on the same connection go on."""
    left = watched(site.app, "/watched", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin" if begun else b"")
    bobs = HeldAnswer(site.app, "/bobs", begin=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegin", end=lambda body: b"-end")
    alice, bob = site.browser("alice4"), site.browser("bob4")
    with site.http2() as client:
        asked_before = len(site.app.requests("/watched"))
        stream = client.open(path="/watched", headers={"cookie": alice.cookie_header})
        other = client.open(path="/bobs", headers={"cookie": bob.cookie_header})
        client.read_head(other)
        if begun:
            client.read_head(stream)
        poll(lambda: len(site.app.requests("/watched")) > asked_before, "the app is asked")
        assert site.gateway.revoke("user=alice4") == 1
        if begun:
            with pytest.raises(Reset):
                client.read_response(stream)
            assert left.wait(PATIENCE)
        else:
            client.reset(stream)
        bobs.release()
        assert client.read_response(other).body == b"begin-end"
        assert client.get("/x", {"cookie": alice.cookie_header}).status == 401
    site.gateway.revoke("user=bob4")


def crumbs(*values: str) -> list[tuple[str, str]]:
    return [("cookie", value) for value in values]


@pytest.mark.parametrize("arrange, app_sees", cases({
    "H7-one-field": (lambda own: crumbs(f"a=1; {own}; b=2"), "a=1; b=2"),
    "H7-one-each": (lambda own: crumbs("a=1", own, "b=2"), "a=1; b=2"),
    "H7-first": (lambda own: crumbs(own, "a=1", "b=2"), "a=1; b=2"),
    "H7-last": (lambda own: crumbs("a=1", "b=2", own), "a=1; b=2"),
    "H7-pairs-around": (lambda own: crumbs("a=1; " + own, "b=2; c=3"), "a=1; b=2; c=3"),
    "H7-alone": (lambda own: crumbs(own), None),
    "H7-other-fields-between": (lambda own: [("cookie", "a=1"), ("x", "y"), ("cookie", own), ("x2", "y"), ("cookie", "b=2")],
                                "a=1; b=2"),
    "H7-junk-beside": (lambda own: crumbs(f"{COOKIE}=junk", own, "b=2"), "b=2"),
    "H7-same-twice": (lambda own: crumbs(own, "a=1", own), "a=1"),
}))
def test_crumbs_of_cookies_are_joined(site, arrange, app_sees):
    """H7; RFC 9113 section 8.2.3; SPEC section 2 for several session cookies."""
    alice = site.browser("crumbs")
    with site.http2() as client:
        response = client.read_response(client.open(path="/x", headers=arrange(alice.cookie_header)))
    assert response.status == 200
    seen = app_saw(response)
    assert (seen.one("X-User-Id"), seen.one("Cookie")) == ("crumbs", app_sees)
    session_cookie(response)


def test_a_session_cookie_cut_in_two_is_none(site):
    """H7: joined by "; ", the halves do not open; the session is not harmed."""
    alice = site.browser("halves")
    half = len(alice.cookie_header) // 2
    with site.http2() as client:
        response = client.read_response(client.open(path="/x", headers=crumbs(alice.cookie_header[:half],
                                                                              alice.cookie_header[half:])))
    assert response.status == 401
    assert alice.user() == "halves"


def test_cookies_of_two_sessions_in_crumbs_are_ambiguous_and_harm_neither(site):
    """H7, C2"""
    alice, bob = site.browser("alice5"), site.browser("bob5")
    with site.http2() as client:
        response = client.read_response(client.open(path="/x", headers=crumbs(alice.cookie_header, "a=1",
                                                                              bob.cookie_header)))
    assert response.status == 401 and set_cookies(response) == []
    assert (alice.user(), bob.user()) == ("alice5", "bob5")


def test_a_thousand_crumbs_are_joined(site):
    """H7"""
    alice = site.browser("thousand")
    pairs = [f"{number}=1" for number in range(1000)]
    with site.http2() as client:
        response = client.read_response(client.open(path="/x", headers=crumbs(*pairs[:500], alice.cookie_header,
                                                                              *pairs[500:])))
    assert response.status == 200
    assert app_saw(response).one("Cookie") == "; ".join(pairs)
