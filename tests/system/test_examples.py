"""The examples that README.md shows log a user in, and learn from the gateway who she is."""

from urllib.parse import quote

import pytest

from harness.gateway import ROOT
from harness.program import AppProgram

EXAMPLES = ROOT / "tests" / "examples"
COMMANDS = {
    "flask": ["/usr/bin/python3", "-m", "flask", "--app", EXAMPLES / "app.py", "run", "--port", "{port}"],
    "php": ["php", "-S", "127.0.0.1:{port}", EXAMPLES / "app.php"],
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module", params=COMMANDS)
def site(request, module_sites, tmp_path_factory):
    return module_sites(AppProgram(*COMMANDS[request.param], folder=tmp_path_factory.mktemp("app")))


@pytest.mark.parametrize("user, shown", [("alice", "Hello alice"), ("Zo%C3%AB+%3Cb%3E", "Hello Zoë &lt;b&gt;")])
def test_the_example_logs_a_user_in_and_greets_her_by_name(site, user, shown):
    browser = site.browser()
    answer = browser.fetch("POST", "/login", FORM, f"user={user}".encode())
    assert answer.status == 303 and answer.one("Location") == "/", answer
    assert browser.get("/").body.decode() == shown


def test_a_browser_gets_a_form_that_it_sends_to_where_it_came_from(site):
    page = site.browser().get("/login?next=%2F%3Fa%3Db")
    assert page.status == 200 and page.body.startswith(b'<form method="post">') and b'name="user"' in page.body


@pytest.mark.parametrize("next, leads_to", [
    ("/a?b=c%20d", "/a?b=c%20d"), ("/", "/"), ("", "/"), ("a", "/"), ("//evil", "/"), ("/\\evil", "/"), ("/\t/evil", "/"),
    ("/a\r\nX-Evil: 1", "/"), ("/a\n", "/"), ("https://evil", "/")])
def test_a_login_leads_to_the_page_that_asked_for_it_and_to_no_other_site(site, next, leads_to):
    answer = site.browser().fetch("POST", f"/login?next={quote(next, safe='')}", FORM, b"user=alice")
    assert (answer.status, answer.one("Location"), answer.one("X-Evil")) == (303, leads_to, None)


@pytest.mark.parametrize("name", ["app.py", "app.php"])
def test_readme_shows_the_example_as_it_is(name):
    assert f"\n{(EXAMPLES / name).read_text()}```\n" in (ROOT / "README.md").read_text()


def test_nobody_reaches_the_example_without_a_session(site):
    assert site.browser().get("/").status == 401


def test_what_a_client_claims_about_itself_does_not_reach_the_example(site):
    browser = site.browser()
    browser.fetch("POST", "/login", FORM, b"user=alice")
    assert browser.get("/", {"X-User-Id": "admin", "X_User_Id": "admin"}).body == b"Hello alice"
