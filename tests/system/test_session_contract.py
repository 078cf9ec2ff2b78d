"""SPEC sections 2 and 3: the life of a session between browser, gateway and app."""

import json

import pytest

from harness import http1
from harness.browser import (Browser, app_saw, asked, deletes_cookie, is_refused_after_a_login, outlive,
                             session_cookie, set_cookies)
from harness.deadlines import PACE, PATIENCE, SCALE, milliseconds, poll, wait_for_protocol_time
from harness.gateway import COOKIE, rotation, route
from harness.load import in_parallel
from harness.upstream import HeldAnswer

GRACE = 0.5  # seconds, of the gateways that show what happens after it
LIFETIME = 1  # seconds, of the sessions that are left to expire


# ---- rotation -------------------------------------------------------------------------------------------------------

def test_every_answer_carries_a_cookie_that_was_never_there_before(site):
    alice = site.browser("alice")
    cookies = {alice.cookie}
    for _ in range(50):
        alice.get("/x")
        cookies.add(alice.cookie)
    assert len(cookies) == 51


def test_a_cookie_tells_nothing_of_user_or_session(site):
    alice = site.browser("alice-of-the-cookie")
    assert "alice" not in alice.cookie and len(alice.cookie) < 400
    key_id, _, sealed = alice.cookie.partition(".")
    assert len(key_id) == 8 and sealed.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("permanent, lifetime", [(False, 30 * 60), (True, 7 * 86400)])
def test_the_cookie_lives_as_long_as_the_session(new_site, permanent, lifetime):
    """S3, S11"""
    timed = new_site(session={"idle_timeout": "30m", "permanent_timeout": "7d"})
    alice = timed.browser("alice", permanent=permanent)
    response = alice.get("/x")
    assert lifetime - 3 <= int(session_cookie(response).attributes["max-age"]) <= lifetime
    assert timed.gateway.sessions(user="alice")[0]["permanent"] is permanent


def test_the_cookie_never_outlives_the_absolute_end(new_site):
    timed = new_site(session={"idle_timeout": "30m", "absolute_timeout": "1m"})
    alice = timed.browser("alice")
    assert 55 <= int(session_cookie(alice.get("/x")).attributes["max-age"]) <= 60


def test_an_unanswered_question_of_who_is_401_with_json(site):
    with site.client() as client:
        response = client.get("/account")
    assert response.status == 401
    assert response.one("Content-Type").startswith("application/json") and isinstance(response.json(), dict)
    assert set_cookies(response) == []
    assert not response.closes


@pytest.mark.parametrize("on_replay, other_survives, thief_refused", [
    ("end_session", True, True), ("end_user", False, True), ("report", True, False)])
def test_a_replay_ends_what_on_replay_says(new_site, on_replay, other_survives, thief_refused):
    guarded = new_site(session=rotation(GRACE, on_replay=on_replay))
    laptop, phone = guarded.browser("alice"), guarded.browser("alice")
    elsewhere = guarded.browser("alice", org="acme")
    thief = laptop.copy()
    outlive(laptop, GRACE)
    assert thief.user() == (None if thief_refused else "alice")
    assert guarded.gateway.await_security("replay", user="alice")["session"]
    assert laptop.user() == (None if thief_refused else "alice")
    assert phone.user() == ("alice" if other_survives else None)
    assert elsewhere.user() == "alice", "the same id in an organization is another user"


@pytest.mark.parametrize("on_replay, ends", [("end_session", 1), ("end_user", 3)])
def test_every_session_that_a_replay_ends_has_its_line_and_is_counted(new_site, on_replay, ends):
    guarded = new_site(session=rotation(GRACE, on_replay=on_replay))
    laptop, *others = (guarded.browser("alice") for _ in range(3))
    guarded.browser("alice", org="acme")
    thief = laptop.copy()
    outlive(laptop, GRACE)
    refused = thief.get("/account")
    assert refused.status == 401
    lines = guarded.gateway.security_log("replay")
    started = [line["session"] for line in guarded.gateway.security_log("login", user="alice") if not line.get("org")]
    assert lines[0]["session"] == started[0], "the session of the cookie is the first"
    assert sorted(line["session"] for line in lines) == sorted(started[:ends])
    assert {(line["event"], line["user"], line["request_id"]) for line in lines} == {
        ("session_ended", "alice", refused.json()["request_id"])}
    assert guarded.gateway.metrics()['rotagate_sessions_ended_total{reason="replay"}'] == ends
    assert len(guarded.gateway.sessions(user="alice")) == 4 - ends


@pytest.mark.parametrize("strict", [False, True])
def test_strict_supersedes_a_cookie_when_its_successor_is_issued(new_site, strict):
    configured = new_site(session=rotation(GRACE, rotation={"strict": strict}))
    alice = configured.browser("alice")
    wait_for_protocol_time(1.3 * GRACE)
    with configured.client() as client:
        client.request("GET", "/x", {"Cookie": alice.cookie_header})  # its answer counts as lost
    wait_for_protocol_time(2.3 * GRACE)
    assert alice.user() == (None if strict else "alice")


@pytest.mark.parametrize("strict", [False, True])
def test_strict_or_not_parallel_requests_log_nobody_out(new_site, strict):
    configured = new_site(session=rotation(2 * SCALE, rotation={"strict": strict}))
    alice = configured.browser("alice")
    assert set(in_parallel(100, 10, lambda _: alice.user())) == {"alice"}
    assert alice.user() == "alice"
    alice.close()


# ---- login ----------------------------------------------------------------------------------------------------------

def test_a_login_is_one_line_of_the_security_log(site):
    alice = Browser(site.gateway)
    response = alice.login("ida", org="acme")
    seen = app_saw(response)
    line = site.gateway.await_security("login", user="ida")
    assert line["org"] == "acme" and line["client"] == "127.0.0.1"
    assert line["request_id"] == seen.one("X-Request-Id")
    assert len(line["session"]) == 8


def test_a_login_works_whatever_the_apps_status_is(site):
    for status in (200, 201, 204, 302, 303):
        browser = Browser(site.gateway)
        browser.get(asked("/login", {"X-Session-User": "ivan", "Location": "/account"}, status=status))
        assert browser.user() == "ivan", status


def test_a_post_logs_in_too(site):
    browser = Browser(site.gateway)
    browser.fetch("POST", asked("/login", {"X-Session-User": "judy"}), body=b"user=judy&password=secret")
    assert browser.user() == "judy"


@pytest.mark.parametrize("value, permanent", [("true", True), ("false", False)])
def test_permanent_is_asked_for_by_name(site, value, permanent):
    browser = Browser(site.gateway)
    browser.get(asked("/login", {"X-Session-User": f"karl-{value}", "X-Session-Permanent": value}))
    assert site.gateway.sessions(user=f"karl-{value}")[0]["permanent"] is permanent


def test_after_a_login_the_replaced_cookie_is_refused_but_not_deleted_for_a_while(new_site):
    """R7"""
    grace = GRACE * PACE
    timed = new_site(session=rotation(grace))
    alice = timed.browser("alice")
    is_refused_after_a_login(alice, alice.copy(), grace)
    assert alice.user() == "alice"


def test_a_late_answer_of_the_old_session_does_not_bury_the_new_login(site):
    """R7"""
    held = HeldAnswer(site.app, "/slow-login")
    alice = site.browser("alice")
    with site.client() as client:
        held.ask(client, alice.cookie_header)
        alice.login("alice")
        held.release()
        late = client.read_response()
        assert set_cookies(late) == []
        alice.receive(late)
    assert alice.user() == "alice"


@pytest.mark.parametrize("headers", [{"X-Session-End": "session"}, {"X-Session-User": ""}], ids=["end", "empty-user"])
def test_a_late_logout_of_the_old_session_does_not_bury_the_new_login(site, headers):
    """R7: the old session has ended already, so there is nothing to delete."""
    held = HeldAnswer(site.app, "/control/late-logout", headers)
    alice = site.browser("alice")
    with site.client() as client:
        held.ask(client, alice.cookie_header)
        alice.login("alice")
        held.release()
        late = client.read_response()
    assert late.status == 200 and set_cookies(late) == []
    assert alice.user() == "alice"


def test_a_logout_with_a_replaced_cookie_does_not_bury_the_new_login(site):
    """R7"""
    alice = site.browser("alice")
    old = alice.copy()
    alice.login("alice")
    answer = old.get(asked("/login", {"X-Session-End": "session"}))
    assert answer.status == 200 and set_cookies(answer) == []
    assert alice.user() == "alice"


def test_a_logout_with_ambiguous_cookies_deletes_nothing(site):
    alice, bob = site.browser("alice"), site.browser("bob")
    with site.client() as client:
        answer = client.get(asked("/login", {"X-Session-End": "session"}),
                            {"Cookie": f"{alice.cookie_header}; {bob.cookie_header}"})
    assert answer.status == 200 and set_cookies(answer) == []
    assert (alice.user(), bob.user()) == ("alice", "bob")


@pytest.mark.parametrize("worthless", ["revoked", "forged"])
def test_a_late_deletion_of_a_worthless_cookie_does_not_bury_the_new_login(site, worthless):
    """R7: a deletion that was decided on more than a second ago is left to the next request."""
    held = HeldAnswer(site.app, "/optional/late")
    alice = site.browser("teresa")
    site.gateway.revoke("user=teresa")
    if worthless == "forged":
        alice.cookie = alice.cookie[:-1]
    with site.client() as client:
        held.ask(client, alice.cookie_header)
        alice.login("teresa")
        wait_for_protocol_time(1.2)
        held.release()
        late = client.read_response()
        assert late.status == 200 and set_cookies(late) == []
        again = client.get("/optional/x", {"Cookie": f"{COOKIE}=junk"})
        assert deletes_cookie(again)
    assert alice.user() == "teresa"


def test_after_a_login_with_an_ended_sessions_cookie_that_cookie_is_not_deleted_for_a_while(site):
    """R7: requests that carried the old cookie may still be on their way."""
    alice = site.browser("ulla")
    site.gateway.revoke("user=ulla")
    old = alice.copy()
    alice.login("ulla")
    refused = old.get("/account")
    assert refused.status == 401 and set_cookies(refused) == []
    assert alice.user() == "ulla"


@pytest.mark.parametrize("limit", [1, 2])
def test_the_oldest_session_is_displaced_beyond_the_limit(new_site, limit):
    limited = new_site(session={"max_sessions_per_user": limit})
    browsers = [limited.browser("alice") for _ in range(limit + 1)]
    other = limited.browser("alice", org="acme")
    assert [browser.user() for browser in browsers] == [None] + ["alice"] * limit
    assert other.user() == "alice"
    limited.gateway.await_security("displaced", user="alice")


def test_logging_in_again_does_not_count_against_the_limit(new_site):
    limited = new_site(session={"max_sessions_per_user": 2})
    phone, laptop = limited.browser("alice"), limited.browser("alice")
    for _ in range(3):
        laptop.login("alice")
    assert phone.user() == laptop.user() == "alice"


# ---- the end --------------------------------------------------------------------------------------------------------

def test_a_logout_ends_the_session_and_deletes_the_cookie(site):
    """S15"""
    alice = site.browser("lena")
    copy = alice.copy()
    response = alice.logout()
    deleted = set_cookies(response)
    assert [cookie.deletes for cookie in deleted] == [True]
    assert deleted[0].attributes["path"] == "/" and "secure" in deleted[0].attributes
    assert copy.user() is None
    assert site.gateway.sessions(user="lena") == []
    line = site.gateway.await_security("logout", user="lena")
    assert line["request_id"] and line["client"] == "127.0.0.1"


def test_an_empty_user_is_a_logout(site):
    """S15"""
    alice = site.browser("mona")
    response = alice.get(asked("/login", {"X-Session-User": ""}))
    assert deletes_cookie(response)
    assert site.gateway.sessions(user="mona") == []


def test_ending_the_user_ends_all_her_sessions_and_nobody_elses(site):
    laptop, phone = site.browser("nina"), site.browser("nina")
    at_acme, other = site.browser("nina", org="acme"), site.browser("nina2")
    assert deletes_cookie(laptop.logout("user"))
    assert phone.user() is None and laptop.user() is None
    assert at_acme.user() == "nina" and other.user() == "nina2"


def test_a_logout_without_a_session_changes_nothing(site):
    with site.client() as client:
        response = client.get(asked("/login", {"X-Session-End": "session"}))
    assert response.status == 200 and [cookie for cookie in set_cookies(response) if not cookie.deletes] == []


def test_a_revoked_session_is_refused_from_the_next_request_on(site):
    """R6"""
    alice = site.browser("olga")
    assert site.gateway.revoke("user=olga") == 1
    refused = alice.get("/account")
    assert refused.status == 401 and alice.cookie is None
    site.gateway.await_security("revoked_user", user="olga")


def test_a_revocation_closes_what_the_session_has_open(site):
    """R6: an endless answer of a revoked session."""
    def endless(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: hello\n\n")
        exchange.gone()
        exchange.close()

    site.app.on("/events", endless)
    alice = site.browser("petra")
    with site.client() as client:
        client.send(http1.request_bytes("GET", "/events", {"Cookie": alice.cookie_header}))
        http1.read_response_head(client.reader)
        assert b"hello" in client.reader.some()
        assert site.gateway.revoke("user=petra") == 1
        client.read_until_close()


# ---- lifetimes ------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def short_lived(module_sites):
    """Sessions that idle for a second at most; permanent ones for a minute."""
    return module_sites(session={"idle_timeout": milliseconds(LIFETIME), "permanent_timeout": "1m"})


def test_an_idle_session_ends(short_lived):
    alice = short_lived.browser("alice")
    wait_for_protocol_time(LIFETIME + 0.3)
    refused = alice.get("/account")
    assert refused.status == 401 and deletes_cookie(refused)
    short_lived.gateway.await_security("idle", user="alice")
    assert short_lived.gateway.sessions(user="alice") == []


def test_each_request_renews_the_session(new_site):
    """S3"""
    lifetime = 2 * PACE
    alice = new_site(session={"idle_timeout": milliseconds(lifetime)}).browser("alice")
    for _ in range(4):
        wait_for_protocol_time(lifetime / 3)
        assert alice.user() == "alice"


def test_polling_does_not_keep_a_session_alive(short_lived):
    """`activity: false`: the cookie rotates, the end stays."""
    alice = short_lived.browser("polling")
    refused = poll(lambda: (response := alice.get("/polling/x")).status == 401 and response, "the idle end",
                   LIFETIME + PATIENCE)
    assert refused


def test_polling_rotates_the_cookie_all_the_same(site):
    alice = site.browser("alice")
    old = alice.cookie
    assert alice.get("/polling/x").status == 200 and alice.cookie != old
    assert alice.user() == "alice"


def test_a_permanent_session_outlives_the_idle_timeout(short_lived):
    """S11"""
    alice = short_lived.browser("permanent", permanent=True)
    wait_for_protocol_time(LIFETIME + 0.5)
    assert alice.user() == "permanent"


def test_a_session_ends_at_its_absolute_timeout_however_busy(new_site):
    timed = new_site(session={"absolute_timeout": milliseconds(LIFETIME)})
    alice = timed.browser("alice")
    refused = poll(lambda: (response := alice.get("/x")).status == 401 and response, "the absolute end",
                   LIFETIME + PATIENCE)
    assert deletes_cookie(refused)
    timed.gateway.await_security("absolute", user="alice")


def test_an_idle_end_is_not_taken_for_the_absolute_one(new_site):
    """Pages that poll mint cookies whose end stays where it is."""
    timed = new_site(session={"idle_timeout": milliseconds(LIFETIME), "absolute_timeout": "1h"})
    alice = timed.browser("alice")
    poll(lambda: alice.get("/polling/x").status == 401, "the idle end", LIFETIME + PATIENCE)
    refusals = [line["reason"] for line in timed.gateway.security_log(user="alice") if line["event"] == "session_refused"]
    assert refusals == ["idle"]


@pytest.mark.parametrize("path", ["/x", "/polling/x"])
def test_a_cookie_that_comes_back_after_the_absolute_end_is_told_so(new_site, path):
    timed = new_site(session={"absolute_timeout": milliseconds(LIFETIME)})
    alice = timed.browser("alice")
    poll(lambda: alice.get(path).status == 401, "the absolute end", LIFETIME + PATIENCE)
    refusals = [line["reason"] for line in timed.gateway.security_log(user="alice") if line["event"] == "session_refused"]
    assert refusals == ["absolute"]


# ---- the app's data -------------------------------------------------------------------------------------------------

def data_of(browser: Browser) -> str | None:
    return app_saw(browser.get("/data/read")).one("X-Session-Data")


def test_session_data_comes_back_where_a_route_asks_for_it(site):
    """S16"""
    alice = site.browser("alice", data='{"cart":[1,2]}')
    assert json.loads(data_of(alice)) == {"cart": [1, 2]}
    assert app_saw(alice.get("/account")).all("X-Session-Data") == []


def test_session_data_is_empty_at_first(site):
    assert data_of(site.browser("alice")) == "{}"


@pytest.mark.parametrize("data", ['{"a":1}', "{}", '{"a":{"b":[null,true,1.5,"x, y; z"]}}', '{"a":"\\u00e9\\n"}',
                                  ' {"a" : 1} '],
                         ids=["number", "empty", "nested", "escaped", "spaced"])
def test_session_data_is_replaced_as_a_whole(site, data):
    alice = site.browser("alice", data='{"old":true}')
    assert alice.get(asked("/control/write", {"X-Session-Data": data})).status == 200
    assert json.loads(data_of(alice)) == json.loads(data)


def test_session_data_of_64_kib_is_kept(site):
    def large(exchange):
        return http1.response_bytes(200, {"X-Session-Data": data})

    data = '{"x":"' + "y" * (65536 - 8) + '"}'
    assert len(data) == 65536
    site.app.on("/control/large", large)
    alice = site.browser("alice")
    assert alice.get("/control/large").status == 200
    assert data_of(alice) == data


def test_session_data_may_be_nested(site):
    alice = site.browser("alice")
    data = '{"a":' * 200 + "1" + "}" * 200
    assert alice.get(asked("/control/write", {"X-Session-Data": data})).status == 200
    assert data_of(alice) == data


@pytest.mark.parametrize("headers", [{"X-Session-Org": "acme"}, {"X-Session-Permanent": "true"}], ids=["org", "permanent"])
def test_what_belongs_to_a_login_means_nothing_without_one(site, headers):
    alice = site.browser("vera")
    assert alice.get(asked("/control/x", headers)).status == 200
    assert alice.user() == "vera"
    assert [(one["org"], one["permanent"]) for one in site.gateway.sessions(user="vera")] == [("", False)]
    site.gateway.revoke("user=vera")


def test_session_data_follows_the_session_not_the_browser(site):
    alice, bob = site.browser("alice", data='{"of":"alice"}'), site.browser("bob", data='{"of":"bob"}')
    assert json.loads(data_of(alice)) == {"of": "alice"}
    assert json.loads(data_of(bob)) == {"of": "bob"}
    alice.login("alice")
    assert data_of(alice) == "{}"


def test_session_data_without_a_session_is_nowhere(site):
    """S14"""
    users = site.gateway.users()
    with site.client() as client:
        response = client.get(asked("/login", {"X-Session-Data": '{"a":1}'}))
    assert set_cookies(response) == [] and site.gateway.users() == users


# ---- who may come in ------------------------------------------------------------------------------------------------

NAVIGATE, SCRIPT = {"Sec-Fetch-Mode": "navigate"}, {"Sec-Fetch-Mode": "cors"}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("method, headers, redirected", [
    ("GET", NAVIGATE, True), ("HEAD", NAVIGATE, True), ("GET", HTML, True), ("HEAD", HTML, True),
    ("GET", NAVIGATE | HTML, True),
    ("GET", NAVIGATE | {"Accept": "application/json"}, True), ("POST", NAVIGATE, False), ("POST", HTML, False),
    ("PUT", NAVIGATE, False), ("DELETE", HTML, False), ("GET", SCRIPT, False), ("GET", SCRIPT | HTML, False),
    ("GET", {"Sec-Fetch-Mode": "no-cors"} | HTML, False), ("GET", {"Sec-Fetch-Dest": "image"} | HTML, False),
    ("GET", {"Sec-Fetch-Site": "same-origin"} | HTML, False), ("GET", {"Sec-Fetch-Mode": "websocket"} | HTML, False),
    ("GET", {"Accept": "application/json"}, False), ("GET", {"Accept": "*/*"}, False), ("GET", {}, False),
])
def test_page_loads_are_redirected_and_scripts_are_told(site, method, headers, redirected):
    with site.client() as client:
        response = client.request(method, "/page/a%20b?c=d&e=%26", headers)
    if redirected:
        assert response.status == 302
        assert response.one("Location") == "/login?next=%2Fpage%2Fa%2520b%3Fc%3Dd%26e%3D%2526"
    else:
        assert response.status == 401
        assert response.one("Content-Type").startswith("application/json")
        assert response.all("Location") == []
    control = ", ".join(response.all("Cache-Control"))
    assert "no-store" in control or "private" in control, "a cache could keep people out"


def test_a_redirect_deletes_a_cookie_that_is_worthless(site):
    response = Browser(site.gateway, cookie="junk").get("/page/x", NAVIGATE)
    assert response.status == 302 and deletes_cookie(response)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_the_status_for_strangers_is_as_configured(new_site, status):
    configured = new_site(routes=[route("/", on_unauthenticated={"status": status})])
    with configured.client() as client:
        assert client.get("/x", HTML).status == status
    assert configured.app.requests() == []


def test_an_optional_route_lets_everyone_in_and_rotates_who_has_a_session(site):
    alice = site.browser("alice")
    old = alice.cookie
    assert app_saw(alice.get("/optional/x")).one("X-User-Id") == "alice"
    assert alice.cookie != old
    with site.client() as client:
        response = client.get("/optional/x")
        assert response.status == 200 and set_cookies(response) == []
        junk = client.get("/optional/x", {"Cookie": f"{COOKIE}=junk"})
        assert junk.status == 200 and deletes_cookie(junk)


# ---- what is written down -------------------------------------------------------------------------------------------

def test_no_log_names_a_cookie_or_a_session_id(site):
    alice = site.browser("quentin", data='{"secret":"of-the-session-data"}')
    cookies = [alice.cookie]
    for _ in range(5):
        alice.get("/x?token=of-the-query")
        cookies.append(alice.cookie)
    name = site.gateway.sessions(user="quentin")[0]["id"]
    alice.logout()
    site.gateway.await_security("logout", user="quentin")
    site.gateway.access_line(app_saw(site.browser("rita").get("/x")).one("X-Request-Id"))
    logged = site.gateway.logged()
    for cookie in cookies:
        assert cookie not in logged and cookie.partition(".")[2][:24] not in logged
    assert name not in logged and "of-the-session-data" not in logged and "of-the-query" not in logged


def test_the_security_log_tells_one_sessions_story(site):
    """Whoever asks "why was I logged out?" gets an answer: the same session name from its start to its end."""
    alice = site.browser("sina")
    alice.logout()
    start, end = site.gateway.await_security("login", user="sina"), site.gateway.await_security("logout", user="sina")
    assert start["session"] == end["session"]
    for line in (start, end):
        assert {"time", "reason", "user", "client", "request_id"} <= line.keys()
