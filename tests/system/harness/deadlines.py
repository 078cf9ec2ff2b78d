"""Waiting, always with an end. Times are seconds."""

import os
import time


def _scale() -> float:
    """How much slower than a release build everything is: sanitizers cost a factor."""
    named = os.environ.get("ROTAGATE_TIMEOUT_SCALE")
    if named:
        return float(named)
    build = os.environ.get("ROTAGATE_BUILD", "")
    return 4.0 if "asan" in build or "tsan" in build else 1.0


SCALE = _scale()
PATIENCE = 10 * SCALE  # of whatever should happen at once
PACE = SCALE ** 0.5  # of times that a test sits out: they only have to leave room for the few requests within them


def poll(condition, what, patience: float = PATIENCE):
    """Returns the first true value of condition(); fails with `what` when it never comes.

    @param what  a text, or who makes it once it is needed
    """
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what() if callable(what) else what}"
        time.sleep(0.005)


def stands_still(counted: list[int]) -> int:
    """The sum of what somebody goes on counting, once it does not grow any more."""
    before = -1
    while before != sum(counted):
        before = sum(counted)
        wait_for_protocol_time(0.3 * PACE)
    return before


def milliseconds(seconds: float) -> str:
    """As the configuration spells it."""
    return f"{round(seconds * 1000)}ms"


def wait_for_protocol_time(seconds: float) -> None:
    """Lets time pass that the protocol itself speaks of (a grace, a lifetime), never to be lucky with a race."""
    time.sleep(seconds)
