"""The examples that README.md shows log a user in, and learn from the gateway who she is."""

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


def test_nobody_reaches_the_example_without_a_session(site):
    assert site.browser().get("/").status == 401


def test_what_a_client_claims_about_itself_does_not_reach_the_example(site):
    browser = site.browser()
    browser.fetch("POST", "/login", FORM, b"user=alice")
    assert browser.get("/", {"X-User-Id": "admin", "X_User_Id": "admin"}).body == b"Hello alice"
