"""The proof that counts for cookies: a real browser, the demo app, 0 logouts in between."""

import subprocess

import pytest
from selenium.webdriver.common.by import By

from harness.chromium import chromium_at
from harness.deadlines import PATIENCE, poll
from harness.gateway import BUILD, free_port, route


class DemoApp:
    """The program rotagate-demo-app; it answers a Site's app's part."""

    violations: list[str] = []

    def __init__(self):
        self.address = f"127.0.0.1:{free_port()}"
        self._process = subprocess.Popen([BUILD / "rotagate-demo-app", "--listen", self.address],
                                         stdout=subprocess.PIPE, text=True)
        assert "listening" in self._process.stdout.readline()

    def close(self) -> None:
        self._process.terminate()
        assert self._process.wait(PATIENCE) == 0
        self._process.stdout.close()


@pytest.fixture(scope="module")
def shop(module_sites):
    """The demo app behind a gateway that runs as in production."""
    return module_sites(DemoApp(), threads=2, upstreams={"app": {"max_idle_connections": 16}}, routes=[
        route("/static/", "public"),
        route("/login", "optional", sessions="control"),
        route("/logout", sessions="control"),
        route("/account", sessions="control", session_data=True, on_unauthenticated={"redirect": "/login?next={uri}"}),
        route("/parallel", on_unauthenticated={"redirect": "/login?next={uri}"}),
        route("/tile/"),
        route("/", "optional"),
    ])


@pytest.fixture
def chromium(shop, tmp_path):
    driver = chromium_at(shop.gateway, tmp_path)
    yield driver
    driver.quit()


def text_of(driver, element: str) -> str | None:
    found = driver.find_elements(By.ID, element)
    return found[0].text if found else None


def log_in(driver, user: str) -> None:
    driver.get(driver.origin + "/account")
    assert "/login?next=%2Faccount" in driver.current_url
    driver.find_element(By.NAME, "user").send_keys(user)
    driver.find_element(By.CSS_SELECTOR, "form button").click()
    poll(lambda: text_of(driver, "user") == user, "the account page")


def ends(shop, user: str) -> list[dict]:
    """Ends and refusals of sessions of that user, and of nobody known."""
    return [line for line in shop.gateway.security_log()
            if line["event"] != "session_started" and line.get("user", user) == user]


def test_a_user_at_work_is_never_logged_out(chromium, shop):
    log_in(chromium, "alice")
    cookies = {chromium.get_cookie("__Host-session")["value"]}
    for _ in range(20):
        chromium.refresh()
        assert text_of(chromium, "user") == "alice"
        cookies.add(chromium.get_cookie("__Host-session")["value"])
    assert len(cookies) == 21

    for _ in range(3):
        chromium.get(chromium.origin + "/parallel")
        summary = poll(lambda: (told := text_of(chromium, "summary")) and "Loading" not in told and told, "all tiles",
                       3 * PATIENCE)
        assert "30 of 30" in summary

    first = chromium.current_window_handle
    chromium.switch_to.new_window("tab")
    second = chromium.current_window_handle
    for tab in (second, first, second, first):
        chromium.switch_to.window(tab)
        chromium.get(chromium.origin + "/account")
        assert text_of(chromium, "user") == "alice"

    chromium.get(chromium.origin + "/")
    chromium.back()
    assert text_of(chromium, "user") == "alice"
    chromium.refresh()
    assert text_of(chromium, "user") == "alice"
    assert ends(shop, "alice") == []


def test_the_cookie_is_out_of_the_pages_reach(chromium, shop):
    log_in(chromium, "bob")
    assert "__Host-session" not in chromium.execute_script("return document.cookie")
    cookie = chromium.get_cookie("__Host-session")
    assert cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/"
    assert "bob" not in cookie["value"]


def test_a_logout_ends_it_in_all_tabs(chromium, shop):
    log_in(chromium, "carol")
    chromium.switch_to.new_window("tab")
    chromium.get(chromium.origin + "/account")
    chromium.find_element(By.CSS_SELECTOR, "form[action='/logout'] button").click()
    poll(lambda: chromium.current_url.endswith("/"), "the home page")
    assert chromium.get_cookie("__Host-session") is None
    for tab in chromium.window_handles:
        chromium.switch_to.window(tab)
        chromium.get(chromium.origin + "/account")
        assert "/login" in chromium.current_url
    assert [line["reason"] for line in ends(shop, "carol")] == ["logout"]
    log_in(chromium, "carol")


def test_a_revoked_user_finds_the_login_page(chromium, shop):
    log_in(chromium, "dave")
    assert shop.gateway.revoke("user=dave") == 1
    chromium.refresh()
    assert "/login?next=%2Faccount" in chromium.current_url


def test_a_page_of_another_origin_reads_the_gateways_refusals(chromium, shop):
    """Where the route lists its origin; without that, an answer of the gateway's own looks like a network that is down."""
    first, routes = shop.gateway.config["listen"][0], shop.gateway.config["routes"]
    shop.gateway.reload(listen=[first, first | {"address": "127.0.0.1:0"}])
    other = "https://localhost:%d" % shop.gateway.endpoint(1)[1]
    shop.gateway.reload(routes=[route("/shared/", cors={"origins": [other], "credentials": True}), *routes])
    chromium.get(other + "/login")
    chromium.set_script_timeout(PATIENCE)

    def fetched(path: str):
        return chromium.execute_async_script("""
            const [url, done] = arguments;
            fetch(url, {credentials: "include"}).then(
                answer => answer.json().then(body => done([answer.status, body.error])), () => done("unreachable"));
        """, chromium.origin + path)

    assert fetched("/shared/x") == [401, "unauthenticated"]
    assert fetched("/tile/1") == "unreachable"
    shop.gateway.reload(listen=[first], routes=routes)
