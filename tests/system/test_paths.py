"""SECURITY.md P1 and P2: route and app decide by the same canonical path, or the request is refused."""

import pytest

from harness import http1
from harness.browser import app_saw
from harness.gateway import route

REFUSED = None


@pytest.fixture(scope="module")
def guarded(module_sites):
    """Everything is public but /admin."""
    return module_sites(routes=[route("/login", "optional", sessions="control"), route("/admin"), route("/admin/"),
                                route("/@staff/"), route("/a%7Cb/"), route("/canary/"), route("/slashes/", "public", encoded_slashes="allow"),
                                route("/old-links/", "public", path_encoding="any"),
                                route("/slashes-private/", encoded_slashes="allow"), route("/", "public")])


PATHS = {
    "/admin": "/admin", "/%61dmin": "/admin", "/%61%64%6d%69%6E": "/admin", "//admin": "/admin", "///admin": "/admin",
    "/./admin": "/admin", "/x/../admin": "/admin", "/x/%2e%2e/admin": "/admin", "/x/%2E./admin": "/admin",
    "/x/.%2e/admin": "/admin",
    "/%2e/admin": "/admin", "/x//../admin": "/admin", "/../admin": "/admin", "/../../../admin": "/admin",
    "/x/y/../../admin": "/admin",
    "/admin/": "/admin/", "/admin//": "/admin/", "/admin/.": "/admin/", "/admin/x": "/admin/x",
    "/admin/x/..": "/admin/",
    "/admin/./x": "/admin/x", "/admin/%2e": "/admin/", "/public/..%61dmin": "/public/..admin", "/%7eadmin": "/~admin",
    "/admin?x": "/admin", "/admin?": "/admin", "/?/admin": "/", "/public?/../admin": "/public", "/x?a=/../admin": "/x",
    "/ADMIN": "/ADMIN", "/Admin": "/Admin", "/admin%20": "/admin%20", "/admin%23": "/admin%23",
    "/admin%3Fx": "/admin%3Fx", "/administrator": "/administrator", "/x/...": "/x/...",
    "/admin;a=b": REFUSED, "/admin%3b": REFUSED, "/admin;": REFUSED, "/admin;/": REFUSED, "/%61dmin;a=b": REFUSED,
    "/x/../admin;a=b": REFUSED, "/;x/admin": REFUSED, "/;/admin": REFUSED, "/x;/../admin;a": REFUSED,
    "/admin/x;y=1": "/admin/x;y=1", "/admin/x;y=1/z": "/admin/x;y=1/z", "/admin/;x": "/admin/;x",
    "/page;v=1/x": "/page;v=1/x", "/x;admin": "/x;admin", "/administrator;x": "/administrator;x", "/x;/../admin": "/admin",
    "/..admin": "/..admin",
    "/admin..": "/admin..", "/%2561dmin": "/%2561dmin", "/%E2%88%95admin": "/%E2%88%95admin",
    "/a%0d%0aX:1": REFUSED,
    "/%40staff/x": REFUSED, "/%40staff;a=b/x": REFUSED, "/a|b/x": REFUSED, "/a|b/": REFUSED, "/x%40staff": "/x%40staff",
    "/x|y[z]": "/x|y[z]", "/%21%24": "/%21%24",
    "/": "/", "//": "/", "/.": "/", "/..": "/", "/x/.": "/x/", "/x/..": "/", "/x/../": "/", "/a-b_c.d~e": "/a-b_c.d~e",
    "/!$&'()*+,;=:@": "/!$&'()*+,;=:@", "/%25": "/%25", "/caf%C3%A9": "/caf%C3%A9",
    "/" + "../" * 5000 + "admin": "/admin",
    "/" + "a/../" * 3000 + "admin": "/admin", "/x%26y": "/x%26y",
    "/x/..%2fadmin": REFUSED, "/x%2f..%2fadmin": REFUSED, "/%2fadmin": REFUSED, "/%2Fadmin": REFUSED,
    "/admin%2f": REFUSED,
    "/x\\..\\admin": REFUSED, "/\\admin": REFUSED, "/x%5c..%5cadmin": REFUSED, "/%5Cadmin": REFUSED,
    "/admin%00": REFUSED,
    "/%00/admin": REFUSED, "/admin/.;/": REFUSED, "/x/..;/admin": REFUSED, "/x/..;a=b/admin": REFUSED,
    "/x/%2e%2e;/admin": REFUSED,
    "/..;/admin": REFUSED, "/admin/..;": REFUSED, "/%c0%afadmin": REFUSED, "/%c0%aeadmin": REFUSED,
    "/%c0%ae%c0%ae/admin": REFUSED,
    "/%e0%80%afadmin": REFUSED, "/%f0%80%80%afadmin": REFUSED, "/%ff": REFUSED, "/%ed%a0%80": REFUSED,
    "/%e2%88": REFUSED, "/caf%E9": REFUSED, "/old-links/caf%E9": "/old-links/caf%E9",
    "/old-links/%83%65%83%58": "/old-links/%83e%83X", "/old-links/%c0%af": REFUSED, "/old-links/../caf%E9": REFUSED,
    "/old-links/%c0%2e%c0%2e/admin": REFUSED,
    "/\xe2\x88\x95admin": REFUSED, "/caf\xe9": REFUSED, "/%252e%252e/admin": REFUSED,
    "/x/%252e%252e%252fadmin": REFUSED,
    "/%252fadmin": REFUSED, "/%255cadmin": REFUSED, "/admin%2500": REFUSED, "/%25252fadmin": REFUSED,
    "/%25c0%25afadmin": REFUSED,
    "/%": REFUSED, "/%6": REFUSED, "/%zz": REFUSED, "/%u002fadmin": REFUSED, "/x/%2%65%2e/admin": REFUSED,
    "/admin#x": REFUSED,
}


def shortened(path: str) -> str:
    text = path.encode("unicode_escape").decode()
    return "P1-" + (text if len(text) < 60 else f"{text[:20]}...{len(text)}-bytes")


@pytest.mark.parametrize("path", ["/@staff/x", "/a%7Cb/x", "/a%7cb/x"])
def test_a_guarded_path_is_reached_as_its_route_spells_it(guarded, path):
    with guarded.client() as client:
        assert client.get(path).status == 401
    assert app_saw(guarded.browser("alice").get(path)).path == path


@pytest.mark.parametrize("sent, canonical", [pytest.param(*pair, id=shortened(pair[0])) for pair in PATHS.items()])
def test_route_and_app_see_the_same_path(guarded, sent, canonical):
    data = http1.request_bytes("GET", sent)
    if canonical is REFUSED:
        guarded.refused(data, 400)
    elif canonical == "/admin" or canonical.startswith("/admin/"):
        before = len(guarded.requests())
        with guarded.client() as client:
            client.send(data)
            assert client.read_response().status == 401
        guarded.canary()
        assert len(guarded.requests()) == before
    else:
        assert guarded.accepted(data).path == canonical


@pytest.mark.parametrize("sent", [sent for sent,
                                  canonical in PATHS.items() if canonical in ("/admin", "/admin/", "/admin/x")],
                         ids=shortened)
def test_the_app_receives_the_canonical_path_of_a_guarded_page(guarded, sent):
    alice = guarded.browser("alice")
    assert app_saw(alice.get(sent)).path == PATHS[sent]


@pytest.fixture(scope="module")
def private_part(module_sites):
    """Everything is public but what is below /admin/."""
    return module_sites(routes=[route("/login", "optional", sessions="control"), route("/admin/"), route("/canary/"),
                                route("/", "public")])


@pytest.mark.parametrize("sent", ["/admin;/secret", "/admin;a=b/secret", "/;x/admin/secret", "/;/admin/secret",
                                  "/admin%3b/secret", "/admin%3Ba=b/secret", "/%3bx/admin/secret", "/x/../admin;/secret",
                                  "/%61dmin;/secret", "/admin;/secret;x", "/admin;/", "/admin;a=b/;c/secret"],
                         ids=lambda sent: f"P1-{sent}")
def test_a_path_parameter_takes_nobody_to_another_route(private_part, sent):
    """Apps on servlets cut parameters off before they choose the page; others take them for a part of its name."""
    assert private_part.refused(http1.request_bytes("GET", sent), 400).json()["error"] == "ambiguous_path"


def test_the_access_log_says_why_it_was_refused(private_part):
    with private_part.client() as client:
        request_id = client.get("/admin;a=b/secret").json()["request_id"]
    line = private_part.gateway.access_line(request_id)
    assert (line["status"], line["reason"]) == (400, "ambiguous_path") and "upstream" not in line


@pytest.mark.parametrize("sent", ["/page;v=1/x", "/page/x;v=1", "/;x", "/page%3bv=1/x", "/page;admin/x", "/x;/admin;x",
                                  "/page/admin;x/secret", "/administrator;x/secret"], ids=lambda sent: f"P1-{sent}")
def test_path_parameters_that_change_no_route_pass_as_they_are(private_part, sent):
    assert private_part.accepted(http1.request_bytes("GET", sent)).path == sent


@pytest.mark.parametrize("sent", ["/admin/x;y=1", "/admin/x;y=1/z", "/admin/;x/y", "/admin/x%3by=1"],
                         ids=lambda sent: f"P1-{sent}")
def test_path_parameters_within_a_guarded_part_pass_as_they_are(private_part, sent):
    with private_part.client() as client:
        assert client.get(sent).status == 401
    assert app_saw(private_part.browser("alice").get(sent)).path == sent


@pytest.mark.parametrize("query", ["?", "?x", "?a=b&c=%2f%2F..%00", "?/../admin", "??", "?%zz", "?a=\\", "?a=%0d%0aX:1",
                                   "?+%20", "?a#"],
                         ids=lambda query: f"P1-query-{query}")
def test_the_query_is_forwarded_byte_for_byte(guarded, query):
    if "#" in query:
        guarded.refused(http1.request_bytes("GET", "/x" + query), 400)
    else:
        assert guarded.accepted(http1.request_bytes("GET", "/x/./y" + query)).target == "/x/y" + query


@pytest.mark.parametrize("sent, canonical", [
    pytest.param("/slashes/a%2fb", "/slashes/a%2fb", id="P1-kept"),
    pytest.param("/slashes/a%2Fb%2f", "/slashes/a%2Fb%2f", id="P1-kept-in-both-cases"),
    pytest.param("/slashes/..%2fadmin", None, id="P1-dots-before-one"),
    pytest.param("/slashes/x%2f..%2fadmin", None, id="P1-dots-between"),
    pytest.param("/slashes/a%5cb", None, id="P1-backslash"),
    pytest.param("/slashes/%00", None, id="P1-nul"),
    pytest.param("/slashes/../other/a%2fb", None, id="P1-other-route"),
])
def test_encoded_slashes_pass_where_a_route_allows_them(guarded, sent, canonical):
    """Dot segments next to an encoded slash may pass or be refused, but never leave the route."""
    before = len(guarded.requests())
    with guarded.client() as client:
        response = client.get(sent)
    guarded.canary()
    seen = [request.path for request in guarded.requests()[before:]]
    if canonical:
        assert (response.status, seen) == (200, [canonical])
    elif "..%2f" in sent and sent.startswith("/slashes/") and response.status == 200:
        assert seen == [sent]
    else:
        assert (response.status, seen) == (400, [])


def test_an_encoded_slash_is_never_a_slash_for_a_route(guarded):
    """P1: /slashes-private%2fx is not under /slashes-private/, and /slashes%2f../admin is not /admin."""
    with guarded.client() as client:
        assert client.get("/slashes-private/a%2fb").status == 401
        assert client.get("/slashes-private%2fx").status in (400, 401)
    guarded.canary()


@pytest.mark.parametrize("headers", [
    {"X-HTTP-Method-Override": "GET"}, {"X-Original-URL": "/public"}, {"X-Rewrite-URL": "/public"},
    {"X-Forwarded-Uri": "/public"}, {"Referer": "https://example.test/public"}, {"X-Forwarded-Prefix": "/public"},
], ids=lambda headers: "P2-" + next(iter(headers)))
def test_no_header_takes_a_guarded_page_to_another_route(guarded, headers):
    with guarded.client() as client:
        for method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE"):
            assert client.request(method, "/admin", headers).status == 401, method
    guarded.canary()


def test_routes_are_tried_in_order_by_host_path_and_method(new_site):
    tagged = lambda tag: {"request": {"set": {"X-Route": tag}}}
    routed = new_site(routes=[
        route("/exact", "public", headers=tagged("exact")),
        route("/api/", "public", methods=["GET", "POST"], headers=tagged("get-or-post")),
        route("/api/", "public", headers=tagged("other-methods")),
        route("/", "public", host="shop.example.test", headers=tagged("host")),
        route("/prefix/", "public", headers=tagged("prefix")),
        route("/only-get/", "public", methods=["GET"], headers=tagged("get")),
    ])
    expected = [
        ("GET", "/exact", "example.test", "exact"), ("GET", "/exact", "shop.example.test", "exact"),
        ("GET", "/exact/", "example.test", None), ("GET", "/exact/more", "example.test", None),
        ("GET", "/api/x", "example.test", "get-or-post"), ("POST", "/api/x", "example.test", "get-or-post"),
        ("PUT", "/api/x", "example.test", "other-methods"), ("GET", "/api", "example.test", None),
        ("GET", "/x", "shop.example.test", "host"), ("GET", "/x", "SHOP.Example.Test:443", "host"),
        ("GET", "/prefix/", "example.test", "prefix"), ("GET", "/prefix/a/b", "example.test", "prefix"),
        ("GET", "/prefixed", "example.test", None), ("GET", "/x", "example.test", None),
        ("GET", "/only-get/x", "example.test", "get"), ("DELETE", "/only-get/x", "example.test", None),
    ]
    with routed.client(server_name=None) as client:
        for method, path, host, tag in expected:
            response = client.request(method, path, host=host)
            if tag is None:
                assert response.status in (404, 405), (method, path, host)
            else:
                assert app_saw(response).one("X-Route") == tag, (method, path, host)
