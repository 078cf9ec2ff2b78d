"""WebSocket conversations from a script, held with the app directly or through the gateway, and seen at both ends."""

import itertools
from dataclasses import dataclass, field
from urllib.parse import urlencode

from harness.conversation_ends import WAYS, frames_of
from harness.deflate import Inflater, agree
from harness.echo_app import COMPRESSED, FAREWELL, EchoApp
from harness.websocket import CLOSE, CONTINUATION, frame

MASK = b"\x37\xfa\x21\x3d"
# How a conversation ends.
CLOSED = "closed"      # the client has said close; the app agrees, and ends the connection
ANSWERED = "answered"  # the app says close; the client answers with FAREWELL, and the app ends the connection
STAYED = "stayed"      # the client has said more after its close; it ends the connection once the app has said close
LEFT = "left"          # the client ends the connection without a close


def said(opcode: int, payload: bytes = b"", mask: bytes = MASK, **options) -> bytes:
    """A frame of the client's."""
    return frame(opcode, payload, masked=True, mask=mask, **options)


@dataclass(frozen=True)
class Case:
    """Of the steps, bytes are said by the client; a number has it wait until the app has said so many frames."""
    steps: tuple
    told: tuple         # the app's messages, pings, pongs and close: (opcode, payload)
    ending: str
    chop: int = 0       # bytes that the client sends at once, across its frames; 0: each step whole
    app: dict = field(default_factory=dict)  # wishes to the EchoApp
    offered: str | None = None               # extensions
    agreed: str | None = None

    def sends(self):
        """The steps, chopped."""
        for is_number, steps in itertools.groupby(self.steps, lambda step: isinstance(step, int)):
            if is_number or not self.chop:
                yield from steps
                continue
            data = b"".join(steps)
            for at in range(0, len(data), self.chop):
                yield data[at:at + self.chop]


@dataclass
class Seen:
    """A conversation as both ends have seen it."""
    agreed: str | None  # extensions
    client: bytes       # all that the client got after the handshake
    app: bytes
    in_order: bool      # for the client it ended as it should, rather than by a reset

    def surprises(self, case: Case) -> list[str]:
        """What the case does not say; in few words even where there is much to see, as is what follows."""
        told = self.told()
        found = [f"frame {n}: {got[0]} for {expected[0]}; {first_difference(got[1], expected[1])}"
                 for n, (got, expected) in enumerate(zip(told, case.told)) if got != expected]
        if len(told) != len(case.told):
            found.append(f"{len(told)} messages, not {len(case.told)}")
        if self.agreed != case.agreed:
            found.append(f"agreed on {self.agreed}, not {case.agreed}")
        return found + ([] if self.in_order else ["cut for the client"])

    def differences(self, other: "Seen") -> list[str]:
        found = [f"the {end} got {difference}" for end in ("client", "app")
                 if (difference := first_difference(getattr(self, end), getattr(other, end)))]
        if self.agreed != other.agreed:
            found.append(f"agreed on {self.agreed}, not {other.agreed}")
        return found + ([] if self.in_order else ["cut for the client"])

    def told(self) -> tuple:
        """What the app said: fragments put together, messages inflated."""
        told, message, deflate = [], [], agree(self.agreed or "")
        inflate = deflate and Inflater(deflate.server_window, deflate.server_keeps)
        for opcode, final, reserved, payload in frames_of(self.client):
            if opcode >= CLOSE:
                told.append((opcode, payload))
                continue
            if opcode != CONTINUATION:
                kind, compressed = opcode, reserved == COMPRESSED
            message.append(payload)
            if final:
                whole = b"".join(message)
                told.append((kind, inflate(whole) if compressed else whole))
                message = []
        return tuple(told)


def first_difference(got: bytes, expected: bytes) -> str:
    """Empty: there is none."""
    if got == expected:
        return ""
    at = next((at for at, (one, other) in enumerate(zip(got, expected)) if one != other), min(len(got), len(expected)))
    return (f"{len(got)} bytes, not {len(expected)}; from byte {at} on {got[at:at + 40]!r}, "
            f"not {expected[at:at + 40]!r}")


_numbers = itertools.count(1)


def hold(site, echo: EchoApp, case: Case, way: str) -> Seen:
    """Holds the conversation to its end."""
    wishes = case.app | ({"stays": 1} if case.ending == STAYED else {})
    return _meet(site, echo, way, str(next(_numbers)), wishes, case.offered, lambda end: _talk(end, case))


def listen(site, echo: EchoApp, text: bytes, chop: int, way: str) -> Seen:
    """Has the app say any bytes, and the client answer when so many have come."""
    def hear(end) -> None:
        end.wait(lambda: len(end.arrived.data) >= len(text))
        end.send(FAREWELL)

    name = str(next(_numbers))
    echo.recites(name, text)
    return _meet(site, echo, way, name, {"recite": 1, "chop": chop}, None, hear)


def _meet(site, echo: EchoApp, way: str, name: str, wishes: dict, offered: str | None, talk) -> Seen:
    headers = {"Sec-WebSocket-Extensions": offered} if offered else {}
    end = WAYS[way](site, f"{echo.path}?{urlencode({'name': name} | wishes)}", headers)
    try:
        talk(end)
        in_order = end.ends_in_order()
        agreed = end.response.one("Sec-WebSocket-Extensions")
        return Seen(agreed, bytes(end.arrived.data), echo.received(name), in_order)
    finally:
        end.close()


def _talk(end, case: Case) -> None:
    arrived = end.arrived
    for step in case.sends():
        if isinstance(step, int):
            end.wait(lambda: arrived.frames >= step)
        else:
            end.send(step)
    if case.ending in (ANSWERED, STAYED):
        end.wait(lambda: arrived.closed)
    if case.ending == ANSWERED:
        end.send(FAREWELL)
    if case.ending == LEFT:
        end.wait(lambda: arrived.frames >= len(case.told))
    if case.ending in (LEFT, STAYED):
        end.finish()
