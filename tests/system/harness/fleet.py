"""Several gateways on one store, as their users and their operators see them."""

import contextlib
import itertools
import subprocess
from urllib.parse import quote

from harness.browser import Browser
from harness.deadlines import PACE, PATIENCE, milliseconds, poll
from harness.gateway import Gateway, merged
from harness.load import Load
from harness.upstream import RecordingUpstream

STORE_TIMEOUT = 0.5 * PACE  # seconds


def shared_store(url: str, **redis) -> dict:
    """Settings of `session`. @param redis  those of session.redis"""
    return {"store": url, "store_timeout": milliseconds(STORE_TIMEOUT)} | ({"redis": redis} if redis else {})


class FleetBrowser(Browser):
    """A browser behind a load balancer: each request goes to the next gateway."""

    def __init__(self, gateways: list[Gateway], cookie: str | None = None):
        super().__init__(gateways[0], cookie=cookie)
        self._turn = itertools.cycle(gateways)

    def _next_gateway(self) -> Gateway:
        return next(self._turn)


class Fleet:
    """Gateways that differ in their addresses only, and the app that they share."""

    def __init__(self, new_site, url: str, count: int = 2, redis: dict | None = None, app=None, **changes):
        """@param url      session.store
        @param redis    session.redis
        @param changes  of each gateway's configuration
        """
        self.app: RecordingUpstream = app or new_site.app()
        config = merged({"session": shared_store(url, **(redis or {}))}, changes)
        self.sites = [new_site(self.app, **config) for _ in range(count)]
        self.gateways = [site.gateway for site in self.sites]
        self._browsers: list[Browser] = []

    @property
    def a(self) -> Gateway:
        return self.gateways[0]

    @property
    def b(self) -> Gateway:
        return self.gateways[1]

    def browser(self, user: str | None = None, **login) -> FleetBrowser:
        """Goes round over the gateways; with a user, signed in."""
        return self._signed_in(FleetBrowser(self.gateways), user, login)

    def browser_at(self, gateway: Gateway, user: str | None = None, **login) -> Browser:
        """Goes to one gateway; with a user, signed in there."""
        return self._signed_in(Browser(gateway), user, login)

    def _signed_in(self, browser, user: str | None, login: dict):
        self._browsers.append(browser)
        if user:
            browser.login(user, **login)
        return browser

    def signed_in(self, count: int, name: str = "user") -> dict[str, FleetBrowser]:
        return {user: self.browser(user) for user in (f"{name}-{number}" for number in range(count))}

    def load(self, browsers: dict[str, Browser] | int = 6, **options) -> Load:
        """A load of browsers that are signed in; of new ones, where only their number is given."""
        browsers = browsers if isinstance(browsers, dict) else self.signed_in(browsers)
        return Load(browsers, **{"refuses_within": STORE_TIMEOUT} | options)

    def listed(self, user: str, org: str | None = None) -> list[dict]:
        """What every gateway lists of exactly this user; they have to agree."""
        query = {"user": quote(user, safe="")} | ({"org": quote(org, safe="")} if org else {})
        found = [[one for one in gateway.sessions(**query) if (one.get("org") or None) == org]
                 for gateway in self.gateways]
        names = [sorted(one["id"] for one in listing) for listing in found]
        assert all(those == names[0] for those in names), f"the gateways do not agree: {found}"
        return found[0]

    def counted(self, org: str | None = None) -> int:
        """The number of users, in which every gateway has to agree."""
        query = "?org=" + quote(org, safe="") if org else ""
        counts = [gateway.admin("GET", f"/v1/users/count{query}").json()["users"] for gateway in self.gateways]
        assert len(set(counts)) == 1, f"the gateways do not agree: {counts}"
        return counts[0]

    def first_count(self, org: str | None = None) -> int:
        """What the first gateway counts as soon as it can tell: a 503 is asked again, as an operator does."""
        query = "?org=" + quote(org, safe="") if org else ""
        answer = poll(lambda: (one := self.a.admin("GET", f"/v1/users/count{query}")).status == 200 and one, "a count")
        return answer.json()["users"]

    def serves_the_public(self) -> None:
        """Routes without sessions go on, whatever the store does."""
        for gateway in self.gateways:
            with gateway.client() as client:
                assert client.get("/public/x").status == 200

    def close(self) -> None:
        """Tells all gateways to end, and drops the connections that they would wait for; the sites see to the rest."""
        for browser in self._browsers:
            browser.close()
        for gateway in self.gateways:
            gateway.terminate()
        for gateway in self.gateways:
            with contextlib.suppress(subprocess.TimeoutExpired):  # site.close() tells so
                gateway.process.wait(PATIENCE)
