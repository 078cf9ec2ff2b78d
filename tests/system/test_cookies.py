"""SECURITY.md section 3: the session and its cookie. The ids of its table begin the ids of the cases."""

import base64
import random
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from harness import http1
from harness.browser import Browser, SetCookie, app_saw, asked, deletes_cookie, outlive, session_cookie, set_cookies
from harness.deadlines import PACE, wait_for_protocol_time
from harness.gateway import COOKIE, rotagate, rotation, route
from harness.http1 import crlf
from harness.load import in_parallel
from harness.upstream import HeldAnswer

GRACE = 0.5  # seconds, of the gateways that show what happens to old cookies
RELAXED_GRACE = 2 * PACE  # of those that show that nothing happens to honest clients


@pytest.fixture(scope="module")
def strict_time(module_sites):
    """A gateway whose cookies grow old fast."""
    return module_sites(session=rotation(GRACE))


# ---- C1: forgery ------------------------------------------------------------------------------------------------------

def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def flipped_sealed_bits(cookie: str, _) -> list[str]:
    key_id, _, sealed = cookie.partition(".")
    data = decoded(sealed)
    number = int.from_bytes(data, "big")
    return [f"{key_id}." + encoded((number ^ 1 << bit).to_bytes(len(data), "big")) for bit in range(8 * len(data))]


def flipped_text_bits(cookie: str, _) -> list[str]:
    flipped = [cookie[:at] + chr(ord(cookie[at]) ^ 1 << bit) + cookie[at + 1:]
               for at in range(len(cookie)) for bit in range(7)]
    return [text for text in flipped if all(" " < character < "\x7f" and character not in ";,\"" for character in text)]


def halves_swapped(cookie: str, other: str) -> list[str]:
    key_id, _, mine = cookie.partition(".")
    theirs = other.partition(".")[2]
    return [f"{key_id}.{mine[:at]}{theirs[at:]}" for at in range(4, min(len(mine), len(theirs)), 4)]


FORGERIES = {
    "sealed-bits": flipped_sealed_bits,
    "text-bits": flipped_text_bits,
    "truncated": lambda cookie, _: [cookie[:length] for length in range(len(cookie))],
    "beheaded": lambda cookie, _: [cookie[start:] for start in range(1, len(cookie))],
    "appended": lambda cookie, _: [cookie + tail for tail in (
        "A", "AA", "AAA", "AAAA", ".", "=", "==", "%20", "\t.", "A" * 3000,
        "A" * 8000, "." + cookie, "&x", ":1", "\xff")],
    "halves": halves_swapped,
    "other-key-id": lambda cookie, _: [prefix + cookie[cookie.index("."):] for prefix in
                                       ("00000000", "ffffffff", "", "x", "*", "../..", cookie[:7],
                                        cookie[:8].upper() + "0", "0")],
    "alphabet": lambda cookie, _: [cookie.replace("-", "+").replace("_", "/") + "=", cookie.upper(), cookie.lower(),
                                   cookie.swapcase(), cookie[::-1]],
    "guessed": lambda cookie, _: ["alice", "{alice}.0000000000000000000000", "s:{alice}.x", "0", "null", "true", "-1",
                                  "'", "{}", "[]",
                                  "a.b", ".", "..", "=", "a=b", "../../etc/passwd", "${jndi:ldap://x}", "A" * 4096,
                                  "%00", "%7b%7d"],
}


def told(response: http1.Response) -> str:
    """What an answer's body and length tell, but for the number of the request."""
    body = response.json()
    return f"{len(response.body)} {body | {'request_id': len(body['request_id'])}}"


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=[f"C1-{name}" for name in FORGERIES])
def test_a_forged_cookie_touches_nothing_and_is_deleted(site, forgery):
    alice, bob = site.browser("alice"), site.browser("bob")
    genuine = alice.cookie
    variants = [text for text in forgery(genuine, bob.cookie) if text not in (genuine, bob.cookie)]
    before = site.gateway.store_calls()
    answers = set()
    with site.client() as client:
        for forged in variants:
            response = client.get("/account", {"Cookie": f"{COOKIE}={forged}"})
            deletions = [cookie.deletes for cookie in set_cookies(response)]
            answers.add((response.status, tuple(deletions), told(response)))
    assert {(status, deletions) for status, deletions, _ in answers} == {(401, (True,))}
    assert len(answers) == 1, "the answers tell the forgeries apart"
    assert site.gateway.store_calls() == before
    assert alice.user() == "alice" and bob.user() == "bob"
    site.canary()


def test_a_forgery_is_one_line_of_the_security_log_and_does_not_name_the_cookie(site):
    forged = encoded(random.Random(2).randbytes(100))
    Browser(site.gateway, cookie=f"00000000.{forged}").get("/account")
    line = site.gateway.await_security("forged")
    assert line["client"] == "127.0.0.1" and line["request_id"]
    assert forged not in site.gateway.logged()


def test_a_cookie_of_another_gateway_is_a_forgery(site, new_site, tmp_path):
    """C1: another key; and the same key, but a store that does not know the session."""
    assert rotagate("keygen", "--out", tmp_path / "other.key").returncode == 0
    other_key = new_site(session={"cookie": {"key_files": [str(tmp_path / "other.key")]}})
    calls = site.gateway.store_calls()
    foreign = Browser(site.gateway, cookie=other_key.browser("alice").cookie).get("/account")
    assert site.gateway.store_calls() == calls
    same_key = new_site()
    unknown = Browser(site.gateway, cookie=same_key.browser("alice").cookie).get("/account")
    for response in (foreign, unknown):
        assert response.status == 401 and deletes_cookie(response)
    assert told(foreign) == told(unknown), "the answers tell an unknown session from a forged cookie"


def test_keys_that_no_longer_seal_still_open(new_site, tmp_path):
    """C1: the first key seals; a cookie of a key that is listed opens (here: up to the store, which is another's)."""
    keys = [str(tmp_path / name) for name in ("new.key", "old.key")]
    for key in keys:
        assert rotagate("keygen", "--out", key).returncode == 0
    old = new_site(session={"cookie": {"key_files": keys[1:]}})
    both = new_site(session={"cookie": {"key_files": keys}})
    assert both.browser("alice").cookie.partition(".")[0] != old.browser("alice").cookie.partition(".")[0]
    calls = both.gateway.store_calls()
    assert Browser(both.gateway, cookie=old.browser("bob").cookie).user() is None
    assert both.gateway.store_calls() == calls + 1


def routes_for(host: str) -> list[dict]:
    return [route("/login", "optional", host=host, sessions="control"), route("/", host=host)]


ANY_HOST = [route("/login", "optional", sessions="control"), route("/")]


@pytest.fixture(scope="module", params=[routes_for("example.test") + routes_for("api.example.test"),
                                        routes_for("api.example.test") + ANY_HOST, ANY_HOST],
                ids=["C1-two-named", "C1-one-named", "C1-none-named"])
def two_hosts(module_sites, request):
    return module_sites(routes=request.param)


def test_a_host_only_cookie_counts_at_its_host_only(two_hosts):
    """C1: the host is part of what the seal covers."""
    alice = two_hosts.browser("alice")
    calls = two_hosts.gateway.store_calls()
    elsewhere = Browser(two_hosts.gateway, host="api.example.test", cookie=alice.cookie)
    assert elsewhere.user() is None
    assert two_hosts.gateway.store_calls() == calls
    assert alice.user() == "alice"


def test_a_domain_cookie_counts_at_all_hosts_of_the_domain(new_site):
    shared = new_site(session={"cookie": {"name": "sid", "domain": "example.test"}})
    with shared.client() as client:
        login = client.get(asked("/login", {"X-Session-User": "alice"}))
        cookie = set_cookies(login, "sid")[0]
        assert cookie.attributes["domain"].lstrip(".") == "example.test"
    with shared.client(server_name="api.example.test") as client:
        response = client.get("/account", {"Cookie": f"sid={cookie.value}"})
        assert app_saw(response).one("X-User-Id") == "alice"
        deleted = set_cookies(client.get(asked("/control/x", {"X-Session-End": "session"}), {
            "Cookie": f"sid={set_cookies(response, 'sid')[0].value}"}), "sid")
    assert [one.deletes and one.attributes["domain"].lstrip(".") == "example.test" for one in deleted] == [True]


# ---- C2: several cookies, strange cookies -------------------------------------------------------------------------------

def with_cookies(site, target: str, *lines: str) -> http1.Response:
    with site.client() as client:
        client.send(crlf(f"GET {target} HTTP/1.1⏎Host: example.test⏎" + "".join(f"Cookie: {line}⏎" for line in lines) + "⏎"))
        return client.read_response()


JUNK = "00000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.mark.parametrize("lines", [
    pytest.param(["{mine}; {name}=" + JUNK], id="C2-valid-junk"),
    pytest.param(["{name}=" + JUNK + "; {mine}"], id="C2-junk-valid"),
    pytest.param(["{name}=; {mine}; {name}=x"], id="C2-empty-valid-junk"),
    pytest.param(["{name}=" + JUNK, "{mine}"], id="C2-two-fields"),
    pytest.param(["a=b", "c=d; {mine}", "e=f"], id="C2-three-fields"),
    pytest.param(["a=b;{mine};c=d"], id="C2-no-spaces"),
    pytest.param(["{mine};"], id="C2-trailing-semicolon"),
    pytest.param([";;; {mine}"], id="C2-leading-semicolons"),
    pytest.param(["{mine}; {mine}"], id="C2-same-twice"),
    pytest.param(["$Version=1; {mine}; $Path=/"], id="C2-rfc2965"),
    pytest.param(["=v; {mine}"], id="C2-nameless"),
    pytest.param(["flag; {mine}"], id="C2-without-equals"),
])
def test_cookies_that_do_not_open_are_ignored_beside_one_that_does(site, lines):
    alice = site.browser("alice")
    mine = alice.cookie
    response = with_cookies(site, "/account", *(line.format(mine=alice.cookie_header, name=COOKIE) for line in lines))
    assert app_saw(response).one("X-User-Id") == "alice"
    assert mine not in str(response.json()) and JUNK not in str(response.json())
    session_cookie(response)
    site.canary()


@pytest.mark.parametrize("order", [("alice", "bob"), ("bob", "alice"), ("alice", "bob", "alice"),
                                   ("alice", "junk", "bob")],
                         ids=lambda order: "C2-" + "-".join(order))
@pytest.mark.parametrize("separate", [False, True], ids=["one-field", "fields"])
def test_cookies_of_two_sessions_are_ambiguous_and_harm_neither(site, order, separate):
    browsers = {"alice": site.browser("alice"), "bob": site.browser("bob"), "junk": Browser(site.gateway, cookie=JUNK)}
    pairs = [browsers[name].cookie_header for name in order]
    lines = pairs if separate else ["; ".join(pairs)]
    refused = with_cookies(site, "/account", *lines)
    assert refused.status == 401 and set_cookies(refused) == []
    anonymous = with_cookies(site, "/optional/x", *lines)
    assert app_saw(anonymous).all("X-User-Id") == [] and set_cookies(anonymous) == []
    assert site.gateway.await_security("ambiguous_cookie")["client"] == "127.0.0.1"
    assert browsers["alice"].user() == "alice" and browsers["bob"].user() == "bob"


def test_two_cookies_of_one_users_two_sessions_are_ambiguous(site):
    """C2"""
    first, second = site.browser("alice"), site.browser("alice")
    assert with_cookies(site, "/account", f"{first.cookie_header}; {second.cookie_header}").status == 401
    assert first.user() == second.user() == "alice"


@pytest.mark.parametrize("newest_first", [True, False])
def test_of_two_cookies_of_one_session_the_newer_counts(strict_time, newest_first):
    """C2: the older alone would be a replay."""
    alice = strict_time.browser("alice")
    old = outlive(alice, GRACE)
    pairs = [alice.cookie_header, f"{COOKIE}={old}"]
    response = with_cookies(strict_time, "/account", "; ".join(pairs if newest_first else pairs[::-1]))
    assert app_saw(response).one("X-User-Id") == "alice"
    alice.receive(response)
    assert alice.user() == "alice"


@pytest.mark.parametrize("cookies, forwarded", [
    pytest.param("a=b", "a=b", id="C2-other"),
    pytest.param("a=b; {s}", "a=b", id="C2-session-last"),
    pytest.param("{s}; a=b", "a=b", id="C2-session-first"),
    pytest.param("a=b; {s}; c=d", "a=b; c=d", id="C2-session-between"),
    pytest.param("{s}", None, id="C2-session-alone"),
    pytest.param('a="b; c"; d=e', 'a="b; c"; d=e', id="C2-quotes-mean-nothing"),
    pytest.param("a=b=c; d==; =e; f; g=", "a=b=c; d==; =e; f; g=", id="C2-strange-pairs"),
    pytest.param("$Version=1; a=b; $Path=/", "$Version=1; a=b; $Path=/", id="C2-rfc2965"),
    pytest.param("a=b;c=d;{s};e=f", "a=b;c=d;e=f", id="C2-no-spaces"),
    pytest.param("a=caf\xe9; {s}", "a=caf\xe9", id="C2-latin1"),
    pytest.param("x{s}; a=b", "x{s}; a=b", id="C2-name-with-prefix"),
    pytest.param("a={s}", "a={s}", id="C2-value-like-a-session"),
])
def test_the_app_gets_all_cookies_but_the_session_byte_for_byte(site, cookies, forwarded):
    pair = f"{COOKIE}=x.y"
    for path in ("/public/x", "/optional/x"):
        seen = app_saw(with_cookies(site, path, cookies.replace("{s}", pair)))
        assert seen.one("Cookie") == (forwarded and forwarded.replace("{s}", pair)), path


def test_180_cookies_pass(site):
    """C2"""
    alice = site.browser("alice")
    others = [f"c{number}=v{number}" for number in range(180)]
    with_session = others[:90] + [alice.cookie_header] + others[90:]
    assert app_saw(with_cookies(site, "/account", "; ".join(with_session))).one("Cookie") == "; ".join(others)


@pytest.mark.parametrize("junk", [16, 200])
@pytest.mark.parametrize("kind", ["junk", JUNK], ids=["malformed", "forged"])
def test_no_number_of_worthless_cookies_hides_the_one_that_opens(site, junk, kind):
    """C2"""
    alice = site.browser("alice")
    response = with_cookies(site, "/account", "; ".join(junk * [f"{COOKIE}={kind}"] + [alice.cookie_header]))
    assert app_saw(response).one("X-User-Id") == "alice"
    session_cookie(response)


def test_a_thousand_session_cookies_cost_no_more_than_a_few(site):
    """C2"""
    before = site.gateway.store_calls()
    response = with_cookies(site, "/account", "; ".join(f"{COOKIE}={number}" for number in range(1000)))
    assert response.status == 401
    assert site.gateway.store_calls() == before


def test_a_cookie_field_of_64_kib_is_too_large(site):
    """C2"""
    site.refused(http1.request_bytes("GET", "/public/x", {"Cookie": "a=" + "b" * 65536}), 431)


@pytest.mark.parametrize("name", [
    "__HOST-session", "__host-session", "__Host-Session", "\xa0__Host-session", "\xe2\x80\x80__Host-session",
    "__Host-session\xa0",
    "__Secure-session", "__Host-session[]", "__Host-sessio\xee", "__Host%2Dsession", "_" + COOKIE, "__Host-session.",
], ids=lambda name: "C2-" + name.encode("unicode_escape").decode())
def test_a_name_that_only_looks_like_the_session_cookies_is_none(site, name):
    alice = site.browser("alice")
    response = with_cookies(site, "/account", f"{name}={alice.cookie}")
    assert response.status == 401
    assert alice.user() == "alice"


@pytest.mark.parametrize("line", [
    "  {s}", "a=b;   {s}", "a=b;\t{s}", "__Host-session ={v}", "__Host-session\t={v}", "__Host-session= {v}",
    '__Host-session="{v}"',
    " __Host-session = {v} ", "=__Host-session={v}", "a=b, {s}", "a=b,{s}",
], ids=lambda line: "C2-" + line)
def test_a_session_cookie_that_an_app_might_find_never_reaches_it(site, line):
    """Parsers differ in what they trim: the value must not reach the app as a session cookie under any reading."""
    alice = site.browser("alice")
    response = with_cookies(site, "/optional/x", line.format(s=alice.cookie_header, v=alice.cookie))
    if response.status == 200:
        cookie = app_saw(response).one("Cookie") or ""
        read = [pair.strip(" \t") for pair in cookie.split(";")]
        assert not [pair for pair in read if pair.partition("=")[0].strip(" \t") == COOKIE]
    else:
        assert response.status == 400
    site.canary()


# ---- C3: fixation -------------------------------------------------------------------------------------------------------

def test_a_login_never_keeps_the_session_that_was_there(site):
    """C3: an attacker's own session, planted in the victim's browser before her login."""
    attacker = site.browser("mallory")
    victim = Browser(site.gateway, cookie=attacker.cookie)
    victim.login("victim")
    assert victim.user() == "victim"
    refused = attacker.get("/account")
    assert refused.status == 401 and set_cookies(refused) == [], "its deletion could overwrite the new cookie"
    assert [one["user"] for one in site.gateway.sessions(user="mallory")] == []


def test_each_login_starts_a_new_session(site):
    """C3"""
    alice = site.browser("carol")
    first = site.gateway.sessions(user="carol")[0]["id"]
    old = alice.copy()
    alice.login("carol")
    assert [one["id"] != first for one in site.gateway.sessions(user="carol")] == [True]
    assert old.user() is None
    assert alice.user() == "carol"


def test_a_login_as_another_user_ends_the_first_ones_session(site):
    """C3"""
    browser = site.browser("dave")
    old = browser.copy()
    browser.login("erin")
    assert browser.user() == "erin"
    assert old.user() is None and not site.gateway.sessions(user="dave")


def test_a_cookie_that_was_planted_counts_for_nothing(site):
    """C3: an anonymous visitor with a made-up cookie gets a session of her own at login."""
    victim = Browser(site.gateway, cookie=JUNK)
    victim.login("frank")
    assert victim.cookie != JUNK and victim.user() == "frank"


# ---- C4: the dead stay dead -----------------------------------------------------------------------------------------------

def end_by_logout(site, browser, user):
    assert browser.copy().logout().status == 200


def end_by_empty_user(site, browser, user):
    browser.copy().get(asked("/control/x", {"X-Session-User": ""}))


def end_by_logout_of_the_user(site, browser, user):
    assert browser.copy().logout("user").status == 200


def end_by_revoking_the_user(site, browser, user):
    assert site.gateway.revoke(f"user={user}") == 1


def end_by_revoking_the_session(site, browser, user):
    name = site.gateway.sessions(user=user)[0]["id"]
    assert site.gateway.admin("DELETE", f"/v1/sessions/{name}").json() == {"revoked": 1}


@pytest.mark.parametrize("end", [end_by_logout, end_by_empty_user, end_by_logout_of_the_user, end_by_revoking_the_user,
                                 end_by_revoking_the_session], ids=lambda end: "C4-" + end.__name__)
def test_a_session_that_has_ended_stays_ended(site, end):
    """Old cookie, a request in flight meanwhile, and its answer: none brings anything back."""
    user = end.__name__
    browser = site.browser(user)
    held = HeldAnswer(site.app, "/control/slow", {"X-Session-Data": '{"late":1}'})
    with site.client() as client:
        held.ask(client, browser.cookie_header)
        end(site, browser, user)
        held.release()
        late = client.read_response()
    assert [cookie for cookie in set_cookies(late) if not cookie.deletes] == [], "R7: a late answer set a cookie"
    for _ in range(3):
        assert browser.copy().get("/account").status == 401
    assert site.gateway.sessions(user=user) == []


# ---- C5: no false logout ----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def lively(module_sites):
    """A gateway as it runs: two threads, several connections to the app."""
    return module_sites(session=rotation(RELAXED_GRACE), threads=2,
                        upstreams={"app": {"max_idle_connections": 16}})


def test_200_requests_in_parallel_log_nobody_out(lively):
    """C5"""
    alice = lively.browser("alice")
    assert set(in_parallel(200, 200, lambda number: alice.user(f"/x/{number}"))) == {"alice"}
    assert alice.user() == "alice"
    alice.close()


def test_twenty_tabs_log_nobody_out(lively):
    """C5"""
    alice = lively.browser("alice")
    tab = lambda number: [alice.user(f"/tab/{number}/{page}") for page in range(20)]
    assert {user for users in in_parallel(20, 20, tab) for user in users} == {"alice"}
    alice.close()


def test_lost_answers_log_nobody_out(lively):
    """C5: every third answer never arrives; the browser goes on with the cookie that it has."""
    alice = lively.browser("alice")
    chance = random.Random(3)
    for number in range(150):
        if chance.random() < 0.3:
            with lively.client() as client:
                client.send(http1.request_bytes("GET", f"/lost/{number}", {"Cookie": alice.cookie_header}))
                client.reset()
        else:
            assert alice.user(f"/x/{number}") == "alice"
        if number % 30 == 0:
            wait_for_protocol_time(RELAXED_GRACE / 4)
    alice.close()


def test_a_client_that_lost_an_answer_and_paused_stays_signed_in(strict_time):
    """C5, R1: it cannot know that a newer cookie was made."""
    alice = strict_time.browser("alice")
    with strict_time.client() as client:
        client.request("GET", "/x", {"Cookie": alice.cookie_header})  # its answer counts as lost
    wait_for_protocol_time(3 * GRACE)
    assert alice.user() == "alice"


def test_repeated_and_reordered_requests_log_nobody_out(lively):
    """C5: one cookie pipelined ten times, its answers applied in reverse."""
    alice = lively.browser("alice")
    for _ in range(5):
        with lively.client() as client:
            client.send(http1.request_bytes("GET", "/x", {"Cookie": alice.cookie_header}) * 10)
            answers = [client.read_response() for _ in range(10)]
        assert {answer.status for answer in answers} == {200}
        for answer in reversed(answers):
            alice.receive(answer)
    assert alice.user() == "alice"


def test_an_app_that_is_slower_than_the_grace_logs_nobody_out(new_site):
    """C5: the cookie of a slow answer is minted when it is sent."""
    def slow(exchange):
        wait_for_protocol_time(4 * grace)
        return http1.response_bytes(200, body=b"slow")

    grace = GRACE * PACE
    timed = new_site(session=rotation(grace))
    timed.app.on("/slow", slow)
    alice = timed.browser("alice")
    with timed.client() as client:
        client.send(http1.request_bytes("GET", "/slow", {"Cookie": alice.cookie_header}))
        for _ in range(8):
            assert alice.user() == "alice"
            wait_for_protocol_time(grace / 2)
        alice.receive(client.read_response())
    wait_for_protocol_time(grace / 2)
    assert alice.user() == "alice"


def test_a_new_connection_for_every_request_changes_nothing(lively):
    """C5"""
    alice = lively.browser("alice")
    for _ in range(30):
        assert alice.user() == "alice"
        alice.close()


# ---- C6: theft ----------------------------------------------------------------------------------------------------------------

def test_a_stolen_cookie_is_worthless_once_the_victim_went_on(strict_time):
    """C6, R2: and its use ends the session for both, with a line that says who came."""
    victim = strict_time.browser("victim-a")
    thief = victim.copy()
    outlive(victim, GRACE)
    refused = thief.get("/account")
    assert refused.status == 401 and thief.cookie is None, "S5: the answer deletes the cookie"
    assert victim.user() is None
    line = strict_time.gateway.await_security("replay", user="victim-a")
    assert line["client"] == "127.0.0.1" and line["request_id"] and line["session"]
    assert not strict_time.gateway.sessions(user="victim-a")


def test_a_thief_who_goes_on_is_found_out_when_the_victim_returns(strict_time):
    """C6, R3"""
    victim = strict_time.browser("victim-b")
    thief = victim.copy()
    outlive(thief, GRACE)
    assert victim.user() is None
    assert thief.user() is None
    strict_time.gateway.await_security("replay", user="victim-b")


def test_a_thief_beside_an_active_victim_is_found_out_after_one_pause(strict_time):
    """C6, R3"""
    victim = strict_time.browser("victim-c")
    thief = victim.copy()
    for _ in range(3):
        assert victim.user() == thief.user() == "victim-c"
    outlive(victim, GRACE)
    assert thief.user() is None and victim.user() is None


def test_within_the_grace_an_old_cookie_still_counts(lively):
    """C6: that is what the grace is for; no event, nobody is logged out."""
    alice = lively.browser("victim-d")
    old = alice.copy()
    assert alice.user() == "victim-d"
    assert old.user() == "victim-d"
    assert alice.user() == "victim-d"
    assert not lively.gateway.security_log("replay", user="victim-d")


# ---- C7: the cookie on every answer ---------------------------------------------------------------------------------------------

def assert_fresh_and_private(response: http1.Response, old: str) -> SetCookie:
    cookie = session_cookie(response)
    assert cookie.value != old
    attributes = cookie.attributes
    assert attributes["path"] == "/" and attributes["samesite"].lower() == "lax"
    assert attributes["secure"] == attributes["httponly"] == "" and "domain" not in attributes
    assert int(attributes["max-age"]) > 0
    control = ", ".join(response.all("Cache-Control")).lower()
    assert "private" in control or "no-store" in control
    assert "public" not in control and "s-maxage" not in control
    return cookie


ANSWERS = {
    "200": {"status": 200}, "201": {"status": 201}, "204": {"status": 204}, "301": {"status": 301, "Location": "/x"},
    "302": {"status": 302, "Location": "/x"},
    "303": {"status": 303, "Location": "/x"}, "304": {"status": 304, "ETag": '"x"'}, "400": {"status": 400},
    "401": {"status": 401}, "403": {"status": 403},
    "404": {"status": 404}, "409": {"status": 409}, "500": {"status": 500}, "503": {"status": 503},
    "public": {"status": 200, "Cache-Control": "public, max-age=600, s-maxage=600"},
    "immutable": {"status": 200, "Cache-Control": "max-age=31536000, immutable"},
    "expires": {"status": 200, "Expires": "Wed, 01 Jan 2098 00:00:00 GMT"},
    "no-store": {"status": 200, "Cache-Control": "no-store"},
    "grpc": {"status": 200, "Content-Type": "application/grpc"},
    "app-cookie": {"status": 200, "Set-Cookie": "a=b; Path=/"},
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=[f"C7-{name}" for name in ANSWERS])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_answer_of_a_session_route_carries_a_fresh_cookie(site, answer, method):
    alice = site.browser("alice")
    headers = {name: value for name, value in answer.items() if name != "status"}
    old = alice.cookie
    response = alice.fetch(method, asked("/x", headers, status=answer["status"]))
    assert response.status == answer["status"]
    assert_fresh_and_private(response, old)
    assert alice.user() == "alice"


SHARED_CACHES = ["CDN-Cache-Control", "Surrogate-Control", "Cloudflare-CDN-Cache-Control", "X-LiteSpeed-Cache-Control"]


@pytest.mark.parametrize("name", SHARED_CACHES)
def test_no_shared_cache_is_told_otherwise(site, name):
    """C7"""
    alice = site.browser("alice")
    response = alice.get(asked("/x", {name: "public, max-age=600"}))
    assert response.all(name) == []


def test_no_shared_cache_is_told_otherwise_by_the_routes_own_edits(new_site):
    """C7: they count where there is no session."""
    set_for_caches = {"response": {"set": {name: "public, max-age=600" for name in SHARED_CACHES}}}
    edited = new_site(routes=[route("/login", "optional", sessions="control", headers=set_for_caches),
                              route("/public/", "public", headers=set_for_caches), route("/", headers=set_for_caches)])
    alice = edited.browser()
    for response in (alice.login("alice"), alice.get("/x"), alice.get(asked("/x", status=404))):
        assert session_cookie(response)
        assert [name for name in SHARED_CACHES if response.all(name)] == []
    response = alice.get("/public/x")
    assert set_cookies(response) == [] and [response.one(name) for name in SHARED_CACHES] == ["public, max-age=600"] * 4


def test_answers_of_the_gateway_itself_carry_the_cookie_too(new_site):
    """C7: 502 and 504."""
    late = new_site(upstreams={"app": {"response_timeout": "300ms"}})
    alice = late.browser("alice")
    late.app.on("/late", lambda exchange: exchange.gone() and None)
    old = alice.cookie
    timed_out = alice.get("/late")
    assert timed_out.status == 504
    assert_fresh_and_private(timed_out, old)
    late.app.on("/broken", lambda exchange: b"nonsense\r\n\r\n")
    old = alice.cookie
    broken = alice.get("/broken")
    assert broken.status == 502
    assert_fresh_and_private(broken, old)
    assert alice.user() == "alice"


BAD_REQUESTS = {"413": http1.request_bytes("POST", "/x", body=b"x" * 2000), "400": http1.request_bytes("GET", "/a%2fb")}


@pytest.fixture(scope="module")
def small_bodies(module_sites):
    return module_sites(limits={"body_bytes": "1KiB"})


@pytest.mark.parametrize("data, status", [(data, int(status)) for status, data in BAD_REQUESTS.items()],
                         ids=[f"C7-{status}" for status in BAD_REQUESTS])
def test_a_refusal_of_a_bad_request_carries_the_cookie_too(small_bodies, data, status):
    """C7"""
    alice = small_bodies.browser("alice")
    before, old = len(small_bodies.requests()), alice.cookie
    for cookie in (old, None, "junk"):
        with small_bodies.client() as client:
            line = f"Cookie: {COOKIE}={cookie}\r\n".encode() if cookie else b""
            response = client.send(data.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n", 1)).read_response()
            assert response.status == status and response.closes and client.is_closed()
        if cookie == old:
            assert_fresh_and_private(response, old)
            alice.receive(response)
        else:
            assert [one.deletes for one in set_cookies(response)] == ([True] if cookie else [])
    assert len(small_bodies.requests()) == before, "it was forwarded"
    assert alice.user() == "alice"


@pytest.mark.parametrize("cookie", ["valid", "junk", None])
def test_public_answers_have_no_cookie_and_stay_cacheable(site, cookie):
    """C7"""
    header = {"valid": site.browser("alice").cookie_header, "junk": f"{COOKIE}=junk", None: None}[cookie]
    with site.client() as client:
        wishes = {"Cache-Control": "public, max-age=600"} | {name: "x" for name in SHARED_CACHES}
        response = client.get(asked("/public/x", wishes), {"Cookie": header} if header else {})
    assert response.one("Cache-Control") == "public, max-age=600"
    assert [response.one(name) for name in SHARED_CACHES] == ["x"] * 4
    assert set_cookies(response) == []


@pytest.mark.parametrize("same_site", ["lax", "strict", "none"])
def test_same_site_is_as_configured(new_site, same_site):
    """C7"""
    configured = new_site(session={"cookie": {"same_site": same_site}})
    with configured.client() as client:
        cookie = session_cookie(client.get(asked("/login", {"X-Session-User": "alice"})))
    assert cookie.attributes["samesite"].lower() == same_site


# ---- C8: what an app may not do ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("value", [
    f"{COOKIE}=planted; Path=/; Secure; HttpOnly", f"{COOKIE}=; Max-Age=0; Path=/; Secure",
    f" {COOKIE} = planted ; Path=/",
    f"{COOKIE}", f"{COOKIE};Path=/", f"\t{COOKIE}=x", f"={COOKIE}=x; Path=/; Secure",
], ids=lambda value: "C8-" + value.replace("\t", "tab"))
def test_an_app_cannot_set_the_session_cookie(site, value):
    alice = site.browser("alice")
    for target in ("/x", "/public/x", "/optional/x", "/control/x", "/login"):
        response = alice.get(asked(target, {"Set-Cookie": value}))
        assert value.strip() not in [text.strip() for text in response.all("Set-Cookie")], target
        assert "planted" not in str(response.headers)
        assert len(set_cookies(response)) == (0 if target == "/public/x" else 1)
    assert alice.user() == "alice"


def test_other_cookies_of_the_app_pass_in_order(site):
    """C8"""
    answer = "HTTP/1.1 200 OK⏎Set-Cookie: a=1; Path=/⏎Set-Cookie: x__Host-session=2⏎Set-Cookie: b=3; Expires=Wed, 01 Jan 2098 00:00:00 GMT⏎Content-Length: 0⏎⏎"
    site.app.on("/public/cookies", lambda exchange: crlf(answer))
    with site.client() as client:
        assert client.get("/public/cookies").all("Set-Cookie") == [
            "a=1; Path=/", "x__Host-session=2", "b=3; Expires=Wed, 01 Jan 2098 00:00:00 GMT"]


@pytest.mark.parametrize("target", ["/x", "/public/x", "/optional/x", "/page/x", "/polling/x"])
@pytest.mark.parametrize("headers", [
    {"X-Session-User": "mallory"},
    {"X-Session-User": "mallory", "X-Session-Org": "evil", "X-Session-Permanent": "true"},
    {"X-Session-End": "session"}, {"X-Session-End": "user"}, {"X-Session-User": ""}, {"X-Session-Data": '{"x":1}'},
    {"x-session-user": "mallory"}, {"X_Session_User": "mallory"}, {"X-Session-Anything": "1"},
    {"X-Session-User": "\xff"},
], ids=lambda headers: "C8-" + next(iter(headers)))
def test_session_headers_count_only_where_they_are_allowed_and_leak_nowhere(site, target, headers):
    alice = site.browser("grace")
    response = alice.get(asked(target, headers))
    assert response.status == 200
    assert not [name for name, _ in response.headers if name.lower().replace("_", "-").startswith("x-session")]
    assert alice.user() == "grace"
    assert site.gateway.sessions(user="mallory") == []
    site.gateway.revoke("user=grace")


def test_session_headers_never_reach_the_client_on_a_control_route(site):
    """C8"""
    alice = site.browser("alice")
    for headers in ({"X-Session-Data": '{"a":1}'}, {"X-Session-Other": "1"}, {"X-Session-End": "session"}):
        response = alice.get(asked("/control/x", headers))
        assert not [name for name, _ in response.headers if name.lower().startswith("x-session")], headers


@pytest.mark.parametrize("name", ["X-User-Id", "X-User-Org"])
def test_the_gateways_request_headers_are_not_echoed_by_an_app(site, name):
    """C8"""
    with site.client() as client:
        assert client.get(asked("/public/x", {name: "alice"})).all(name) == []


@pytest.mark.parametrize("value", ['"cookies"', '"*"', '"cache", "cookies"'])
def test_an_app_cannot_clear_the_session_cookie(site, value):
    """C8: Clear-Site-Data would delete it behind the gateway's back."""
    alice = site.browser("alice")
    response = alice.get(asked("/x", {"Clear-Site-Data": value}))
    assert "cookies" not in "".join(response.all("Clear-Site-Data")) and "*" not in "".join(response.all("Clear-Site-Data"))
    session_cookie(response)


@pytest.mark.parametrize("headers", [
    "X-Session-User: a⏎X-Session-User: b", "X-Session-User: a⏎X-Session-End: session", "X-Session-End: all",
    "X-Session-End: ",
    "X-Session-Data: [1]", "X-Session-Data: 1", "X-Session-Data: {", "X-Session-Data: {}⏎X-Session-Data: {}",
    "X-Session-Data: {\"a\":\"" + "x" * 65536 + "\"}", "X-Session-User: a⏎X-Session-Permanent: maybe",
], ids=lambda headers: "C8-" + headers[:40])
def test_session_headers_that_make_no_sense_are_refused(site, headers):
    alice = site.browser("heidi")
    site.app.on("/control/nonsense", lambda exchange: crlf(f"HTTP/1.1 200 OK⏎{headers}⏎Content-Length: 0⏎⏎"))
    response = alice.get("/control/nonsense")
    assert response.status == 502
    assert alice.user() == "heidi", "the session is as it was"
    site.gateway.revoke("user=heidi")


# ---- C9: names --------------------------------------------------------------------------------------------------------------------

NAMES = ["*", "a]b", "../", "{tag}", "a:b", "a{b}c", "%2e%2e", "a/b", "a.b", "b", "bob", "bob.smith", "Bob",
         "s:{bob}.x", " lead", "a\\b", "é", "e\u0301",
         "ａ", "а", "x" * 256, "null", "?", "a&b=c", "#", "a+b", "a b", "'; DROP", "${x}", "0"]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: "C9-" + name.encode("unicode_escape").decode()[:20])
def test_a_revocation_ends_exactly_the_named_users_sessions(site, name):
    others = [site.browser(other) for other in ("bystander", name + "x", "x" + name) if len(other.encode()) <= 256]
    me = site.browser(name.strip())
    listed = site.gateway.sessions(user=quote(name.strip(), safe=""))
    assert [one["user"] for one in listed] == [name.strip()]
    assert site.gateway.revoke("user=" + quote(name.strip(), safe="")) == 1
    assert me.user() is None
    for other in others:
        assert other.user() is not None
    site.end_all_sessions()


# ---- C10: where the login redirect leads ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("target", [
    "/page/", "/page/a?b=c&d=e", "/page/?next=//evil", "/page//evil.test", "/page/@evil", "/page/a%20b?c%20d",
    "/page/%22%3E%3Cscript%3E",
    "/page/?%0d%0aX:1", "/page/caf%C3%A9", "/page/?a={uri}", "/page/?a=b%26c", "/page/?\"<>",
    "/page/?a'b`c",
], ids=lambda target: "C10-" + target)
def test_the_login_redirect_stays_on_this_site(site, target):
    with site.client() as client:
        response = client.get(target, {"Sec-Fetch-Mode": "navigate"})
    assert response.status == 302
    location = response.one("Location")
    assert location.startswith("/login?next=%2Fpage%2F") and "\r" not in location
    parts = urlsplit(location)
    assert parts.netloc == "" and parts.path == "/login" and parts.fragment == ""
    assert list(parse_qs(parts.query, keep_blank_values=True)) == ["next"]
    asked_for = parse_qs(parts.query, encoding="latin-1")["next"][0]
    assert asked_for.partition("?")[2] == target.partition("?")[2], "the query is kept"


# ---- C12: nobody can fill the store -------------------------------------------------------------------------------------------------

def test_anonymous_visitors_leave_nothing_in_the_store(new_site):
    fresh = new_site()
    data = b"".join(http1.request_bytes("GET", path, headers) for path, headers in (
        ("/optional/x", None), ("/x", None), ("/x", {"Cookie": f"{COOKIE}={JUNK}"}), ("/public/x", None)))
    with fresh.client() as client:
        for _ in range(250):
            client.send(data)
            assert [client.read_response().status for _ in range(4)] == [200, 401, 401, 200]
    assert fresh.gateway.users() == 0
    assert fresh.gateway.store_calls() == 0
    assert fresh.gateway.metrics().get("rotagate_sessions", 0) == 0
