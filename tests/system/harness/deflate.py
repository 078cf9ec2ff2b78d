"""permessage-deflate (RFC 7692): what the echo app agrees to, and how either end compresses."""

import re
import zlib
from dataclasses import dataclass

NAME = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"  # what every flush ends with, and nobody sends (RFC 7692 section 7.2.1)
LARGEST_WINDOW = 15
CHOSEN_WINDOW = 12  # the app's choice for a client that leaves it the choice
WINDOW = re.compile(r"9|1[0-5]")  # not 8, which is legal: zlib has no raw deflate of it
NOT_OFFERED = object()


@dataclass(frozen=True)
class Agreement:
    """Windows are in bits. Who keeps its context lets a message refer to those before it."""
    server_keeps: bool = True
    client_keeps: bool = True
    server_window: int = LARGEST_WINDOW
    client_window: int = LARGEST_WINDOW

    @property
    def text(self) -> str:
        """As Sec-WebSocket-Extensions tells it."""
        told = [NAME]
        told += [] if self.server_keeps else ["server_no_context_takeover"]
        told += [] if self.client_keeps else ["client_no_context_takeover"]
        if self.server_window < LARGEST_WINDOW:
            told.append(f"server_max_window_bits={self.server_window}")
        if self.client_window < LARGEST_WINDOW:
            told.append(f"client_max_window_bits={self.client_window}")
        return "; ".join(told)


def agree(offers: str) -> Agreement | None:
    """The app's part: it takes the first offer that it understands in full. An agreement's text agrees to itself."""
    for offer in offers.split(","):
        name, *parameters = [part.strip() for part in offer.split(";")]
        agreement = _agree_to(parameters) if name == NAME else None
        if agreement:
            return agreement
    return None


def _agree_to(parameters: list[str]) -> Agreement | None:
    offered = {}
    for parameter in parameters:
        name, given, value = (part.strip() for part in parameter.partition("="))
        if name in offered:
            return None
        offered[name] = value.strip('"') if given else None
    forgets = [offered.pop(f"{who}_no_context_takeover", NOT_OFFERED) for who in ("server", "client")]
    server_window = offered.pop("server_max_window_bits", str(LARGEST_WINDOW)) or ""
    client_window = offered.pop("client_max_window_bits", str(LARGEST_WINDOW)) or str(CHOSEN_WINDOW)
    well_formed = all(value in (None, NOT_OFFERED) for value in forgets) and not offered
    if not well_formed or not WINDOW.fullmatch(server_window) or not WINDOW.fullmatch(client_window):
        return None
    server_keeps, client_keeps = (value is NOT_OFFERED for value in forgets)
    return Agreement(server_keeps, client_keeps, int(server_window), int(client_window))


class Deflater:
    """Compresses one message after the other."""

    def __init__(self, window: int, keeps: bool):
        self._window, self._keeps = window, keeps
        self._start()

    def _start(self) -> None:
        self._zlib = zlib.compressobj(wbits=-self._window)

    def __call__(self, message: bytes) -> bytes:
        if not message:
            return b"\0"  # RFC 7692 section 7.2.3.6; zlib flushes nothing when nothing is new
        if not self._keeps:
            self._start()
        return (self._zlib.compress(message) + self._zlib.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


class Inflater:
    """The inverse. zlib.error: it is no compressed message."""

    def __init__(self, window: int, keeps: bool):
        self._window, self._keeps = window, keeps
        self._start(b"")

    def _start(self, context: bytes) -> None:
        self._context = context
        self._zlib = zlib.decompressobj(-self._window, zdict=context)

    def __call__(self, compressed: bytes) -> bytes:
        if not self._keeps:
            self._start(b"")
        message, left = b"", compressed + TAIL
        while True:
            piece = self._zlib.decompress(left)
            message += piece
            self._context = (self._context + piece)[-1 << self._window:]
            if not self._zlib.eof:
                return message
            left = self._zlib.unused_data  # a block that calls itself the final one is not (section 7.2.3.4)
            self._start(self._context)
