"""What WebSocket clients say, well and badly, with what the echo app must answer: by RFC 6455, part by part."""

import hashlib
from dataclasses import replace

from harness.conversation import ANSWERED, CLOSED, LEFT, MASK, STAYED, Case, said
from harness.echo_app import BAD_DATA, PROTOCOL_ERROR, TOO_BIG
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, closing, frame

BYE = closing(1000, "bye")
GOODBYE = said(CLOSE, BYE)
KINDS = {"text": TEXT, "binary": BINARY}
HELLO, HELLO_ECHO = said(TEXT, b"hello"), (TEXT, b"hello")


def letters(size: int) -> bytes:
    return (b"the quick brown fox jumps over the lazy dog, " * (size // 45 + 1))[:size]


def noise(size: int) -> bytes:
    """Bytes of every value that no compression makes smaller, the same each time."""
    return hashlib.shake_256(b"noise").digest(size)


def payload(opcode: int, size: int) -> bytes:
    return letters(size) if opcode == TEXT else noise(size)


def good(*steps, told=(), **options) -> Case:
    """Keeps to the protocol, and ends with a close."""
    return Case((*steps, GOODBYE), (*told, (CLOSE, BYE)), CLOSED, **options)


def bad(*steps, code: int = PROTOCOL_ERROR, told=(), **options) -> Case:
    """Is closed by the app for what it says. @param told  what it has heard before"""
    return Case(steps, (*told, (CLOSE, closing(code))), ANSWERED, **options)


def leaves(*steps, told=()) -> Case:
    return Case(steps, tuple(told), LEFT)


def fragments(opcode: int, pieces, ends: bool = True) -> list[bytes]:
    """A message of so many frames. @param ends  the last of them is its last"""
    pieces = list(pieces)
    return [said(CONTINUATION if at else opcode, piece, final=ends and at == len(pieces) - 1)
            for at, piece in enumerate(pieces)]


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[at:at + size] for at in range(0, len(data), size)]


def bytes_of(data: bytes) -> list[bytes]:
    return pieces_of(data, 1)


def echoed(opcode: int, data: bytes, **options) -> Case:
    return good(said(opcode, data), told=[(opcode, data)], **options)


# ---- frames: every form of their length, and their mask -------------------------------------------------------------

FRAMING = {
    f"{name}-of-{size}{'-chopped' if chopped else ''}":
        echoed(opcode, payload(opcode, size), chop=chopped and (1 if size <= 128 else 997))
    for name, opcode in KINDS.items() for size in (0, 1, 125, 126, 127, 128, 65535, 65536) for chopped in (0, 1)
} | {
    f"mask-{mask.hex()}": good(said(TEXT, b"masked", mask), said(BINARY, bytes(range(256)), mask),
                               told=[(TEXT, b"masked"), (BINARY, bytes(range(256)))])
    for mask in (bytes(4), b"\xff" * 4, b"\x00\x00\x00\x01", b"\x80\x00\x00\x00", b"\r\n\r\n", b"HTTP")
} | {
    "without-a-mask": bad(frame(TEXT, b"hello")),
    "ping-without-a-mask": bad(HELLO, frame(PING, b"?"), told=[HELLO_ECHO]),
    "close-without-a-mask": bad(frame(CLOSE, BYE)),
    "length-in-two-bytes-for-no-reason": bad(b"\x81\xfe\x00\x05" + MASK + b"hello"),
    "length-in-eight-bytes-for-no-reason": bad(b"\x82\xff" + (65535).to_bytes(8, "big") + MASK),
    "length-that-is-negative": bad(b"\x82\xff" + (1 << 63).to_bytes(8, "big") + MASK),
    "length-beyond-all-limits": bad(b"\x82\xff" + ((1 << 63) - 1).to_bytes(8, "big") + MASK, code=TOO_BIG),
    "nothing-but-a-close": good(),
}

# ---- pings and pongs ------------------------------------------------------------------------------------------------

def pings(count: int) -> list[bytes]:
    return [said(PING, b"%d" % n) for n in range(count)]


def pongs(count: int) -> list[tuple]:
    return [(PONG, b"%d" % n) for n in range(count)]


PINGS = {
    f"ping-of-{size}{'-chopped' if chop else ''}": good(said(PING, noise(size)), told=[(PONG, noise(size))], chop=chop)
    for size in (0, 1, 8, 124, 125) for chop in (0, 1)
} | {
    f"ping-of-{size}": bad(said(PING, noise(size))) for size in (126, 127, 65536)
} | {
    "pong-of-126": bad(said(PONG, noise(126))),
    "pong-that-nobody-asked-for": good(said(PONG), HELLO, told=[HELLO_ECHO]),
    "pong-with-a-payload": good(said(PONG, b"here I am"), HELLO, told=[HELLO_ECHO]),
    "pong-before-a-ping": good(said(PONG, b"a"), said(PING, b"b"), told=[(PONG, b"b")]),
    "ten-pings": good(*pings(10), told=pongs(10)),
    "ten-pings-in-turn": good(*[step for n, ping in enumerate(pings(10), 1) for step in (ping, n)], told=pongs(10)),
    "ten-pings-chopped": good(*pings(10), told=pongs(10), chop=3),
    "a-thousand-pings-at-once": good(*pings(1000), told=pongs(1000), chop=1 << 20),
    "pings-between-messages": good(HELLO, said(PING, b"1"), HELLO, said(PING, b"2"),
                                   told=[HELLO_ECHO, (PONG, b"1"), HELLO_ECHO, (PONG, b"2")]),
}

# ---- reserved bits and opcodes that mean nothing --------------------------------------------------------------------

RESERVED = {
    f"bits-{bits:03b}-{name}": case for bits in range(1, 8) for name, case in {
        "of-a-text": bad(said(TEXT, b"hello", reserved=bits)),
        "of-a-binary-between-others": bad(HELLO, said(BINARY, b"x", reserved=bits), said(PING), told=[HELLO_ECHO]),
        "of-a-text-chopped": bad(HELLO, said(TEXT, b"x", reserved=bits), said(PING), told=[HELLO_ECHO], chop=1),
        "of-a-ping": bad(said(PING, b"?", reserved=bits)),
        "of-a-close": bad(said(CLOSE, BYE, reserved=bits)),
    }.items()
}
OPCODES = {
    f"opcode-{opcode}-{name}": case for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) for name, case in {
        "empty": bad(said(opcode)),
        "with-a-payload": bad(said(opcode, b"hello")),
        "between-others": bad(HELLO, said(opcode, b"x"), said(PING), told=[HELLO_ECHO]),
        "chopped": bad(HELLO, said(opcode, b"x"), said(PING), told=[HELLO_ECHO], chop=1),
    }.items()
}

# ---- messages in fragments ------------------------------------------------------------------------------------------

WORDS = [b"one", b" two", b"", b" three"]
ECHO = (TEXT, b"one two three")
BEGUN = fragments(TEXT, WORDS, ends=False)
LAST = said(CONTINUATION)
_FRAGMENTS = {
    "of-text": good(*fragments(TEXT, WORDS), told=[ECHO]),
    "of-binary": good(*fragments(BINARY, WORDS), told=[(BINARY, ECHO[1])]),
    "all-empty": good(*fragments(TEXT, [b""] * 3), told=[(TEXT, b"")]),
    "empty-but-one": good(*fragments(BINARY, [b"", b"x", b""]), told=[(BINARY, b"x")]),
    "of-two-messages": good(*fragments(TEXT, WORDS), *fragments(BINARY, WORDS), told=[ECHO, (BINARY, ECHO[1])]),
    "with-a-ping-between": good(*BEGUN, said(PING, b"?"), LAST, told=[(PONG, b"?"), ECHO]),
    "with-a-pong-between": good(*BEGUN, said(PONG, b"!"), LAST, told=[ECHO]),
    "with-pings-between-all": good(*[step for one in BEGUN for step in (one, said(PING, b"?"))], LAST,
                                   told=[(PONG, b"?")] * 4 + [ECHO]),
    "and-a-close-between": good(*BEGUN),
    "of-a-ping": bad(*fragments(PING, [b"one", b"two"])),
    "of-a-pong": bad(*fragments(PONG, [b"one", b"two"])),
    "of-a-close": bad(*fragments(CLOSE, [BYE, b""])),
    "of-nothing": bad(said(CONTINUATION, b"x"), HELLO),
    "of-nothing-without-an-end": bad(said(CONTINUATION, b"x", final=False), HELLO),
    "after-the-last": bad(*fragments(TEXT, WORDS), said(CONTINUATION, b"x"), told=[ECHO]),
    "and-a-new-text-between": bad(*BEGUN, HELLO),
    "and-a-new-binary-between": bad(*BEGUN, said(BINARY, b"x", final=False), LAST),
    "bad-after-a-ping": bad(*BEGUN, said(PING, b"?"), HELLO, told=[(PONG, b"?")]),
    "of-the-app": good(HELLO, said(BINARY, noise(3000)), told=[HELLO_ECHO, (BINARY, noise(3000))],
                       app={"fragment": 130}),
    "of-the-app-of-a-byte": good(said(TEXT, letters(200)), said(PING), told=[(TEXT, letters(200)), (PONG, b"")],
                                 app={"fragment": 1, "chop": 5}),
}
FRAGMENTS = _FRAGMENTS | {f"{name}-chopped": replace(case, chop=1) for name, case in _FRAGMENTS.items()}

# ---- text is UTF-8 --------------------------------------------------------------------------------------------------

TEXTS = {
    "ascii": "Hello, world", "nul": "\0", "delete": "\x7f", "accents": "à côté, naïve Größe", "greek": "καλημέρα",
    "cyrillic": "добрый день", "hebrew": "שלום", "chinese": "你好，世界", "faces": "😀🙃", "family": "👩‍👩‍👧‍👦",
    "combining": "e\u0301\u0323", "marked": "\ufeffmarked", "noncharacters": "\ufdd0\ufffe\uffff\U0001fffe\U0010ffff",
    "private": "\ue000\uf8ff\U000f0000",
    "first-of-two": "\x80", "last-of-two": "\u07ff", "first-of-three": "\u0800", "last-of-three": "\uffff",
    "last-before-surrogates": "\ud7ff", "first-after-surrogates": "\ue000", "replacement": "\ufffd",
    "first-of-four": "\U00010000", "last-of-all": "\U0010ffff",
}
NOT_TEXTS = {
    "lone-continuation": "80", "two-continuations": "80bf", "last-continuation": "bf", "never-fe": "fe",
    "never-ff": "ff", "never-c0": "c080", "never-c1": "c1bf", "never-f5": "f5808080", "overlong-of-three": "e080af",
    "overlong-of-three-last": "e09fbf", "overlong-of-four": "f08080af", "overlong-of-four-last": "f08fbfbf",
    "of-five": "f888808080", "of-six": "fc8480808080", "first-surrogate": "eda080", "last-high-surrogate": "edafbf",
    "first-low-surrogate": "edb080", "last-surrogate": "edbfbf", "pair-of-surrogates": "eda080edb080",
    "beyond-the-last": "f4908080", "cut-two": "c3", "cut-three": "e282", "cut-four": "f09f98",
    "broken-two": "c328", "broken-three": "e28228", "broken-three-early": "e228a1", "broken-four": "f09f9828",
    "broken-four-early": "f0288cbc", "begun-twice": "c3c3a9", "latin-1": "4be47365",
}
NOT_TEXTS = {name: bytes.fromhex(value) for name, value in NOT_TEXTS.items()}
UTF8 = {
    f"{name}-{how}": case for name, value in TEXTS.items() for data in [value.encode()] for how, case in {
        "whole": echoed(TEXT, data * 3),
        "in-fragments": good(*fragments(TEXT, bytes_of(data)), told=[(TEXT, data)], chop=1),
    }.items()
} | {
    f"{name}-{how}": case for name, data in NOT_TEXTS.items() for how, case in {
        "whole": bad(said(TEXT, data), code=BAD_DATA),
        "amid-text": bad(HELLO, said(TEXT, "grün ".encode() + data + " grün".encode()), said(PING), code=BAD_DATA,
                         told=[HELLO_ECHO]),
        "in-fragments": bad(*fragments(TEXT, bytes_of(data)), HELLO, code=BAD_DATA, chop=1),
    }.items()
} | {
    f"{name}-ends-it-at-once": bad(said(TEXT, b"good" + data, final=False), 1, code=BAD_DATA)
    for name, data in NOT_TEXTS.items() if not name.startswith("cut-")
} | {
    "bad-byte-ends-it-amid-a-frame": bad(said(TEXT, b"good \xff" + bytes(100))[:20], 1, code=BAD_DATA),
    "not-text-is-binary": good(*[said(BINARY, data) for data in NOT_TEXTS.values()],
                               told=[(BINARY, data) for data in NOT_TEXTS.values()]),
}

# ---- the end --------------------------------------------------------------------------------------------------------

CODES = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
NO_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535]


def closes(said_of_close: bytes, *before, told=(), **options) -> Case:
    return Case((*before, said(CLOSE, said_of_close)), (*told, (CLOSE, said_of_close)), CLOSED, **options)


def stays(*after, before=(), told=()) -> Case:
    return Case((*before, GOODBYE, *after), (*told, (CLOSE, BYE)), STAYED)


CLOSES = {
    f"code-{code}{'-chopped' if chop else ''}": closes(closing(code, "done" * chop), chop=chop)
    for code in CODES for chop in (0, 1)
} | {
    f"no-code-{code}": bad(said(CLOSE, closing(code, "done"))) for code in NO_CODES
} | {
    f"bad-reason-{name}": bad(said(CLOSE, closing(1000) + data), code=BAD_DATA)
    for name, data in NOT_TEXTS.items() if name.startswith(("cut", "never", "broken"))
} | {
    "without-a-code": closes(b""),
    "of-one-byte": bad(said(CLOSE, b"\x03")),
    "longest-reason": closes(closing(1000, "r" * 123)),
    "longer-reason": bad(said(CLOSE, closing(1000, "r" * 124))),
    "reason-in-greek": closes(closing(1000, "καληνύχτα")),
    "after-a-large-text": closes(BYE, said(TEXT, letters(262_144)), told=[(TEXT, letters(262_144))]),
    "after-a-ping": closes(BYE, said(PING, b"?"), told=[(PONG, b"?")]),
    "then-a-text": stays(HELLO),
    "then-a-ping": stays(said(PING, b"?")),
    "then-a-second-close": stays(GOODBYE),
    "then-what-is-no-frame": stays(b"\xff" * 100),
    "then-a-large-binary": stays(said(BINARY, noise(262_144)), before=[HELLO], told=[HELLO_ECHO]),
    "then-a-fragment": stays(LAST, before=BEGUN),
    "then-the-clients-end": stays(),
    "leaves-at-once": leaves(),
    "leaves-after-a-message": leaves(HELLO, told=[HELLO_ECHO]),
    "leaves-amid-a-header": leaves(HELLO, said(BINARY, noise(300))[:3], told=[HELLO_ECHO]),
    "leaves-amid-a-payload": leaves(HELLO, said(BINARY, noise(300))[:200], told=[HELLO_ECHO]),
    "leaves-amid-a-large-payload": leaves(said(BINARY, noise(300_000))[:-1]),
    "leaves-amid-fragments": leaves(*BEGUN, said(PING), told=[(PONG, b"")]),
}
