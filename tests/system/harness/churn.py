"""Users who come and go while something happens to the store; what was acknowledged to them must hold."""

import itertools
import threading

from harness.browser import Browser, asked, set_cookies
from harness.deadlines import PATIENCE, poll
from harness.fleet import Fleet

PAUSE = 0.005  # seconds between two steps
ORG = "churn"


class Churn:
    """`with churn:` runs it: logins through one gateway; every other is revoked, through the other gateway."""

    def __init__(self, fleet: Fleet):
        self._fleet, self._gateways = fleet, itertools.cycle(fleet.gateways)
        self.signed_in: dict[str, Browser] = {}  # acknowledged, and nothing has been done since
        self.revoked: dict[str, Browser] = {}    # acknowledged
        self.refused, self.trouble = 0, []
        self._stop, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Churn":
        self._thread.start()
        self.await_more()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join(2 * PATIENCE)

    def _run(self) -> None:
        for number in itertools.count():
            if self._stop.wait(PAUSE):
                return
            try:
                self._one(f"churn-{number}", number % 2 == 1)
            except Exception as error:  # noqa: BLE001 - for the test to judge
                self.trouble.append(repr(error))

    def _one(self, user: str, revoke: bool) -> None:
        browser = self._fleet.browser_at(next(self._gateways))
        answer = browser.get(asked("/login", {"X-Session-User": user, "X-Session-Org": ORG}))
        browser.close()
        if answer.status == 503:
            assert answer.one("Retry-After") and set_cookies(answer) == []
            self.refused += 1
            return
        assert answer.status == 200 and browser.cookie, answer
        if not revoke:
            self.signed_in[user] = browser
            return
        answer = next(self._gateways).admin("DELETE", f"/v1/sessions?user={user}&org={ORG}")
        if answer.status == 503:
            self.refused += 1  # it may have ended or not
            return
        assert answer.json() == {"revoked": 1}, f"{user}: {answer.body}"
        self.revoked[user] = browser

    def await_more(self, count: int = 4) -> None:
        """Until so many more have come to stay, and as many have gone."""
        wanted = len(self.signed_in) + count, len(self.revoked) + count
        poll(lambda: len(self.signed_in) >= wanted[0] and len(self.revoked) >= wanted[1],
             f"more users; {self.refused} were refused, and: {self.trouble[:3]}")

    def nothing_is_undone(self) -> None:
        """Once it is over: who was signed in still is, and who was revoked stays so, on every gateway."""
        assert not self.trouble, self.trouble[:3]
        print(f"{len(self.signed_in)} signed in, {len(self.revoked)} revoked, {self.refused} refused")
        for gateway in self._fleet.gateways:
            lost = [user for user, browser in self.signed_in.items() if browser.at(gateway).user() is None]
            assert not lost, f"{len(lost)} of {len(self.signed_in)} acknowledged logins are lost: {lost[:5]}"
            undead = [user for user, browser in self.revoked.items() if browser.at(gateway).copy().user()]
            assert not undead, f"{len(undead)} of {len(self.revoked)} revoked sessions are alive again: {undead[:5]}"
        assert len(self._fleet.a.sessions(org=ORG)) >= len(self.signed_in)
