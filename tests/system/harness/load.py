"""Browsers that go on requesting while something happens, and what became of each request."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from harness.browser import Browser, app_saw, set_cookies
from harness.deadlines import PATIENCE, SCALE, poll

PAUSE = 0.01   # seconds between two requests of one browser
MARGIN = 1.5 * SCALE  # of an answer that has a deadline


@dataclass
class Answer:
    user: str
    began: float  # time.monotonic()
    took: float   # seconds
    status: int   # 0: there was none
    retry_after: str | None = None
    sets: bool = False
    deletes: bool = False
    seen_as: str | None = None  # who the app took the user for
    trouble: str = ""

    @staticmethod
    def of(user: str, began: float, response) -> "Answer":
        cookies = set_cookies(response)
        seen_as = app_saw(response).one("X-User-Id") if response.status == 200 else None
        return Answer(user, began, time.monotonic() - began, response.status, response.one("Retry-After"),
                      any(not cookie.deletes for cookie in cookies), any(cookie.deletes for cookie in cookies), seen_as)


def in_parallel(count: int, workers: int, work) -> list:
    """What work(0), work(1), … return, so many of them at a time."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, range(count)))


class Load:
    """`with load:` runs it. Each browser is a thread that keeps the cookie it received last.

    It ends with the block, and then every answer must have been honest (see honest()). What the store's state allows
    besides, the test says by one of the other assertions.
    """

    def __init__(self, browsers: dict[str, Browser], target: str = "/account", refuses_within: float | None = None):
        """@param refuses_within  seconds that a 503 may take"""
        self.browsers, self.target, self._refuses_within = browsers, target, refuses_within
        self._answers: list[Answer] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=pair, daemon=True) for pair in browsers.items()]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        self.await_service()
        return self

    def __exit__(self, failure, *_) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE)
            assert not thread.is_alive() or failure, "a browser of the load hangs"
        for browser in self.browsers.values():
            browser.close()
        if failure is None:
            self.honest()

    def _run(self, user: str, browser: Browser) -> None:
        while not self._stop.wait(PAUSE):
            began = time.monotonic()
            try:
                answer = Answer.of(user, began, browser.get(self.target))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is for the test to judge
                answer = Answer(user, began, time.monotonic() - began, 0, trouble=repr(error))
            with self._lock:
                self._answers.append(answer)

    # ---- while it runs --------------------------------------------------------------------------------------------

    def answers(self, since: float = 0) -> list[Answer]:
        """Those whose request was sent after that moment."""
        with self._lock:
            return [answer for answer in self._answers if answer.began >= since]

    def await_status(self, status: int, times: int = 1, patience: float = PATIENCE) -> float:
        """Until each browser has got that status for so many requests that were sent after this call. Returns when
        the last of them was answered."""
        since = time.monotonic()

        def last() -> float | None:
            ends: dict[str, list[float]] = {user: [] for user in self.browsers}
            for answer in self.answers(since):
                if answer.status == status:
                    ends[answer.user].append(answer.began + answer.took)
            return max(sorted(of)[times - 1] for of in ends.values()) if all(
                len(of) >= times for of in ends.values()) else None

        return poll(last, f"{status} for each, since then: {self._summary(since)}", patience)

    def await_service(self, patience: float = PATIENCE) -> float:
        return self.await_status(200, patience=patience)

    def await_more(self, count: int = 1) -> None:
        """Until each browser has got so many more answers."""
        since = time.monotonic()
        poll(lambda: all(sum(answer.user == user for answer in self.answers(since)) >= count for user in self.browsers),
             f"{count} more answers for each")

    # ---- what must hold -------------------------------------------------------------------------------------------

    def _summary(self, since: float = 0) -> str:
        counts: dict[tuple, int] = {}
        for answer in self.answers(since):
            key = (answer.status, answer.trouble)
            counts[key] = counts.get(key, 0) + 1
        return ", ".join(f"{count} x {status} {trouble}" for (status, trouble), count in sorted(counts.items()))

    def _check(self, is_right, what: str, since: float = 0) -> None:
        wrong = [answer for answer in self.answers(since) if not is_right(answer)]
        assert not wrong, f"{what}: {len(wrong)} answers are wrong of: {self._summary()}; the first: {wrong[0]}"

    def honest(self) -> None:
        """Each request was answered: 200 as oneself with a fresh cookie; 503 with Retry-After, in time and without a
        cookie; or 401."""
        self._check(lambda answer: answer.status in (200, 401, 503), "answered")
        self._check(lambda answer: answer.status != 200 or answer.seen_as == answer.user and answer.sets, "oneself")
        self._check(lambda answer: answer.status != 503 or answer.retry_after and not answer.sets, "503")
        self._check(lambda answer: answer.status == 200 or not answer.sets, "no cookie of an error")
        if self._refuses_within:
            self._check(lambda answer: answer.status != 503 or answer.took <= self._refuses_within + MARGIN,
                        f"503 within {self._refuses_within:g} s")

    def nobody_is_logged_out(self) -> None:
        """No 401, no cookie deleted; 503 is no harm. And everybody is served in the end."""
        self._check(lambda answer: answer.status != 401, "no 401")
        self._check(lambda answer: not answer.deletes, "no cookie deleted")
        last = {answer.user: answer.status for answer in self.answers()}
        assert set(last.values()) == {200}, f"not served in the end: {last}"

    def nobody_notices(self, since: float = 0) -> None:
        """Every request is served."""
        self._check(lambda answer: answer.status == 200, "all served", since)
