"""Pages of other origins: what they may read of the gateway's own answers, and the preflights of their browsers."""

import pytest

from harness.browser import COOKIE, app_saw, asked, session_cookie, set_cookies
from harness.cases import cases
from harness.deadlines import milliseconds
from harness.gateway import ROUTES, free_port, route

APP, ADMIN = "https://app.example.test", "http://localhost:3000"
PREFLIGHT = {"Origin": APP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
OWN = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Vary")

SHARED = [
    route("/api/", cors={"origins": [APP, ADMIN], "credentials": True}, methods=["GET", "POST"], session_data=True),
    route("/open/", "public", cors={"origins": [APP]}),
    route("/forbidden/", cors={"origins": [APP]}, on_unauthenticated={"status": 403}),
    route("/commands/", sessions="control", cors={"origins": [APP], "credentials": True}),
    route("/edited/", cors={"origins": [APP]},
          headers={"response": {"set": {"Access-Control-Allow-Origin": "https://other.test"}}}),
    route("/dead/", "public", cors={"origins": [APP]}) | {"upstream": "dead"},
    route("/slow/", "public", cors={"origins": [APP]}) | {"upstream": "slow"},
]


@pytest.fixture(scope="module")
def shared(module_sites):
    app = module_sites.app()
    app.on("/slow/x", lambda exchange: exchange.gone() and None)
    return module_sites(app, routes=[*SHARED, *ROUTES], upstreams={
        "dead": {"servers": [f"127.0.0.1:{free_port()}"]},
        "slow": {"servers": [app.address], "response_timeout": milliseconds(0.3)}})


@pytest.fixture(params=["http1", "http2"])
def client(request, shared):
    with shared.client() if request.param == "http1" else shared.http2() as client:
        yield client


def own(response) -> tuple:
    """What the answer tells pages of other origins."""
    return tuple(response.one(name) for name in OWN)


# ---- answers of the gateway's own --------------------------------------------------------------------------------------

@pytest.mark.parametrize("path, origin, status, told", cases({
    "401": ("/api/x", APP, 401, (APP, "true", "Origin")),
    "another-origin": ("/api/x", ADMIN, 401, (ADMIN, "true", "Origin")),
    "403-without-credentials": ("/forbidden/x", APP, 403, (APP, None, "Origin")),
    "502": ("/dead/x", APP, 502, (APP, None, "Origin")),
    "504": ("/slow/x", APP, 504, (APP, None, "Origin")),
    "400": ("/open/a%2fb", APP, 400, (APP, None, "Origin")),
    "edited": ("/edited/x", APP, 401, ("https://other.test", None, "Origin")),
    "not-listed": ("/api/x", "https://evil.test", 401, (None, None, None)),
    "listed-elsewhere": ("/forbidden/x", ADMIN, 403, (None, None, None)),
    "prefix": ("/api/x", APP + ".evil.test", 401, (None, None, None)),
    "case": ("/api/x", "https://APP.example.test", 401, (None, None, None)),
    "port": ("/api/x", APP + ":443", 401, (None, None, None)),
    "null": ("/api/x", "null", 401, (None, None, None)),
    "empty": ("/api/x", "", 401, (None, None, None)),
    "none": ("/api/x", None, 401, (None, None, None)),
    "a-route-without": ("/account", APP, 401, (None, None, None)),
}))
def test_an_answer_of_the_gateways_own_tells_whose_pages_may_read_it(client, path, origin, status, told):
    response = client.get(path, {} if origin is None else {"Origin": origin})
    assert (response.status, own(response)) == (status, told)
    assert response.json()["status"] == status


def test_two_origins_are_none(shared):
    with shared.client() as client:
        client.send(b"GET /api/x HTTP/1.1\r\nHost: example.test\r\n" + f"Origin: {APP}\r\n".encode() * 2 + b"\r\n")
        assert own(client.read_response()) == (None, None, None)


def test_what_the_app_answers_is_left_alone(shared, client):
    alice = shared.browser("alice")
    headers = {"Origin": APP, "Cookie": alice.cookie_header}
    assert own(client.get("/api/x", headers)) == (None, None, None)
    its_own = {"Access-Control-Allow-Origin": "https://its.own.test"}
    response = client.get(asked("/open/x", its_own), {"Origin": APP})
    assert own(response) == ("https://its.own.test", None, None)


def test_a_store_that_is_away_can_be_read_of(new_redis, new_fleet):
    redis = new_redis()
    fleet = new_fleet(redis.url, routes=[*SHARED[:1], *ROUTES])
    alice = fleet.browser("alice")
    redis.stop()
    response = alice.get("/api/x", {"Origin": APP})
    assert (response.status, own(response)) == (503, (APP, "true", "Origin"))


# ---- preflights ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/api/x", "/open/x", "/forbidden/x"])
def test_a_preflight_passes_without_a_session(client, path):
    allowed = {"Access-Control-Allow-Origin": APP, "Access-Control-Allow-Methods": "POST"}
    response = client.request("OPTIONS", asked(path, allowed, status=204), PREFLIGHT)
    assert response.status == 204 and set_cookies(response) == []
    assert response.one("Access-Control-Allow-Methods") == "POST"
    assert response.one("Cache-Control") is None
    seen = app_saw(client.request("OPTIONS", path, PREFLIGHT))
    assert (seen.method, seen.path, seen.one("Origin")) == ("OPTIONS", path, APP)
    assert seen.one("Access-Control-Request-Headers") == "content-type"
    assert not [name for name, _ in seen.headers if name.lower().startswith(("x-user", "x-session"))]


def test_a_preflight_does_not_look_at_the_session(shared, client):
    alice = shared.browser("alice")
    calls = shared.gateway.store_calls()
    for cookie in (alice.cookie_header, f"{COOKIE}=forged", alice.cookie_header + "; other=1"):
        response = client.request("OPTIONS", "/api/x", PREFLIGHT | {"Cookie": cookie})
        assert response.status == 200 and set_cookies(response) == []
        seen = app_saw(response)
        assert seen.one("X-User-Id") is None and COOKIE not in (seen.one("Cookie") or "")
    assert shared.gateway.store_calls() == calls
    assert alice.user() == "alice"


def test_an_app_starts_no_session_in_a_preflight(client):
    response = client.request("OPTIONS", asked("/commands/x", {"X-Session-User": "mallory"}), PREFLIGHT)
    assert response.status == 200 and set_cookies(response) == [] and response.one("X-Session-User") is None


@pytest.mark.parametrize("changes", cases({
    "origin-not-listed": {"Origin": "https://evil.test"},
    "no-origin": {"Origin": None},
    "no-method": {"Access-Control-Request-Method": None},
    "override": {"X-HTTP-Method-Override": "DELETE"},
    "override-spelt-otherwise": {"X_HTTP_Method_Override": "DELETE"},
    "other-override": {"X-Method-Override": "DELETE"},
}))
def test_what_is_no_preflight_needs_a_session(shared, client, changes):
    headers = {name: value for name, value in (PREFLIGHT | changes).items() if value is not None}
    before = len(shared.requests())
    response = client.request("OPTIONS", "/forbidden/x", headers)
    assert response.status == 403 and len(shared.requests()) == before


def test_nor_does_another_method_or_a_body_make_one(shared, client):
    assert client.request("POST", "/forbidden/x", PREFLIGHT).status == 403
    assert client.request("OPTIONS", "/account", PREFLIGHT).status == 401, "a route without cors"
    assert client.request("OPTIONS", "/forbidden/x", PREFLIGHT, b"body").status == 403


def test_a_method_that_no_route_takes_has_no_preflight(client):
    """DELETE /api/x goes to the route for all, which has no cors."""
    assert client.request("OPTIONS", "/api/x", PREFLIGHT | {"Access-Control-Request-Method": "DELETE"}).status == 401
    assert client.request("OPTIONS", "/api/x", PREFLIGHT | {"Access-Control-Request-Method": "HEAD"}).status == 200


def test_a_preflight_that_fails_tells_why(client):
    response = client.request("OPTIONS", "/dead/x", PREFLIGHT)
    assert (response.status, own(response)) == (502, (APP, None, "Origin"))


def test_an_ordinary_options_has_its_session(shared, client):
    alice = shared.browser("alice")
    response = client.request("OPTIONS", "/commands/x", {"Cookie": alice.cookie_header, "Origin": APP})
    assert app_saw(response).one("X-User-Id") == "alice" and session_cookie(response).value
