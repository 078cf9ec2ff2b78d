"""A gateway with its app behind it, and the three oracles of the attack cases."""

import itertools

from harness import http1
from harness.browser import Browser, app_saw
from harness.client import RawClient
from harness.gateway import Gateway
from harness.http2 import FrameClient, Http2Client
from harness.upstream import RecordingUpstream

_numbers = itertools.count(1)


class Site:
    def __init__(self, gateway: Gateway, app: RecordingUpstream):
        self.gateway, self.app = gateway, app
        self._canary_browser = None
        self._browsers: list[Browser] = []

    def client(self, **options) -> RawClient:
        return self.gateway.client(**options)

    def http2(self, **options) -> Http2Client:
        return self.gateway.http2(**options)

    def frames(self, **options) -> FrameClient:
        return self.gateway.frames(**options)

    def browser(self, user: str | None = None, kind=Browser, **login) -> Browser:
        """A new browser; with a user, signed in."""
        browser = kind(self.gateway)
        self._browsers.append(browser)
        if user:
            browser.login(user, **login)
        return browser

    def canary(self) -> None:
        """Another user's request must get its own answer, whatever was done to the app's connections before."""
        if self._canary_browser is None:
            self._canary_browser = self.browser("canary")
        path = f"/canary/{next(_numbers)}"
        response = self._canary_browser.get(path)
        assert response.status == 200, f"canary: {response}"
        seen = app_saw(response)
        assert (seen.path, seen.one("X-User-Id")) == (path, "canary"), f"the canary got another's answer: {response}"

    def end_all_sessions(self) -> None:
        self.gateway.revoke("all=true")
        self._canary_browser = None

    def canary_open(self) -> None:
        """The same on a site without sessions."""
        path = f"/canary/{next(_numbers)}"
        with self.client() as client:
            assert app_saw(client.get(path)).path == path

    def requests(self) -> list[http1.Request]:
        """What the app saw, canaries and logins left out."""
        return [request for request in self.app.requests()
                if not request.path.startswith("/canary/") and request.path != "/login"]

    def refused(self, data: bytes, *statuses: int, forwarded: int = 0, **options) -> http1.Response:
        """Sends bytes that must be refused: an error, the connection closed, nothing more forwarded; then the canary.

        @param statuses   what may come back
        @param forwarded  complete requests that the app may see: those before the bad one
        """
        before = len(self.requests())
        with self.client(**options) as client:
            client.send(data)
            response = client.read_response()
            answered = f"{response.status} {response.headers} {response.body[:200]!r}"
            assert response.status in statuses, answered
            assert response.closes, f"no Connection: close in {answered}"
            assert client.is_closed(), f"the connection stays open after {answered}"
        self.canary()
        new = self.requests()[before:]
        assert len([request for request in new if request.complete]) == forwarded, f"forwarded: {new}"
        return response

    def accepted(self, data: bytes, *statuses: int, to_head: bool = False, **options) -> http1.Request:
        """Sends bytes that are one good request; returns it as the app saw it."""
        before = len(self.requests())
        with self.client(**options) as client:
            client.send(data)
            response = client.read_response(to_head)
            assert response.status in (statuses or (200,)), f"{response}"
        self.canary()
        new = self.requests()[before:]
        whole = [request for request in new if request.complete]
        assert whole, f"the app saw {new}"
        # Part of another on the same connection would be smuggled; on another, an earlier test's end is noted late.
        rest = [request for request in new if not request.complete and request.connection == whole[0].connection]
        assert len(whole) == 1 and not rest, f"the app saw {new}"
        return whole[0]

    def restart(self, crash: bool = False) -> None:
        """Another process in place of this one, which ends well, or as a crash would end it."""
        if crash:
            self.gateway.kill()
        else:
            self.stop()
        self.gateway = self.gateway.started_again()
        self._canary_browser = None

    def stop(self) -> None:
        """Ends the gateway; it would wait a second for one more request of each browser."""
        for browser in self._browsers:
            browser.close()
        self.gateway.stop()

    def close(self) -> None:
        try:
            self.stop()
        finally:
            self.app.close()
        assert not self.app.violations, "the app received what is not HTTP/1:\n" + "\n".join(self.app.violations)
