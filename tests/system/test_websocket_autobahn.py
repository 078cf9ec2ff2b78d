"""WebSockets byte for byte: whatever a client and an app say after the handshake, well or badly, passes as it is.

Each conversation is held with the app itself and through the gateway over HTTP/1.1 and HTTP/2; both ends must see the
same. The parts are those of the Autobahn test suite; the cases are our own.
"""

import zlib
from dataclasses import replace

import pytest

from harness.conversation import FAREWELL, Case, Seen, hold, listen, said
from harness.conversation_tables import CLOSES, FRAGMENTS, FRAMING, HELLO, HELLO_ECHO, KINDS, OPCODES, PINGS, RESERVED
from harness.conversation_tables import UTF8, bad, echoed, fragments, good, letters, noise, payload, pieces_of
from harness.deflate import LARGEST_WINDOW, TAIL, Deflater, agree
from harness.echo_app import BAD_DATA, COMPRESSED, PROTOCOL_ERROR, EchoApp
from harness.gateway import route
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, closing

KiB, MiB = 2**10, 2**20
THROUGH = ("over HTTP/1.1", "over HTTP/2")


@pytest.fixture(scope="module")
def site(module_sites):
    return module_sites(routes=[route("/", "public")])


@pytest.fixture(scope="module")
def echo(site):
    return EchoApp(site.app, "/echo")


# ---- much of it, in pieces of many sizes ----------------------------------------------------------------------------
# A case that takes memory is made when it is asked for.

def large(opcode: int, size: int, fragment: int = 0, **options):
    def make() -> Case:
        data = payload(opcode, size)
        frames = fragments(opcode, pieces_of(data, fragment)) if fragment else [said(opcode, data)]
        return good(*frames, told=[(opcode, data)], **options)

    return make


def in_turn(opcode: int, size: int, count: int) -> Case:
    """Each message once the last one's echo is there."""
    data = payload(opcode, size)
    message = said(opcode, data)
    return good(*[step for n in range(count) for step in (message, n + 1)], told=[(opcode, data)] * count)


def at_once(opcode: int, size: int, count: int, chop: int) -> Case:
    data = payload(opcode, size)
    return good(*[said(opcode, data)] * count, told=[(opcode, data)] * count, chop=chop)


LIMITS = {
    f"{kind}-{name}": case for kind, opcode in KINDS.items() for name, case in {
        "256-KiB": large(opcode, 256 * KiB),
        "1-MiB": large(opcode, MiB),
        "4-MiB": large(opcode, 4 * MiB),
        "64-KiB-in-fragments-of-1300": large(opcode, 64 * KiB, 1300),
        "256-KiB-in-fragments-of-64": large(opcode, 256 * KiB, 64, chop=64 * KiB),
        "1-MiB-in-fragments-of-1-KiB": large(opcode, MiB, KiB, chop=100_000),
        "4-MiB-in-fragments-of-256-KiB": large(opcode, 4 * MiB, 256 * KiB),
        "128-KiB-chopped-by-128": large(opcode, 128 * KiB, chop=128),
        "256-KiB-chopped-by-512": large(opcode, 256 * KiB, chop=512),
        "1-MiB-chopped-by-2000": large(opcode, MiB, chop=2000),
        "1-MiB-chopped-beyond-a-record-of-TLS": large(opcode, MiB, chop=16 * KiB + 1),
        "256-KiB-that-the-app-chops": large(opcode, 256 * KiB, app={"chop": 333}),
        "1-MiB-that-the-app-fragments": large(opcode, MiB, app={"fragment": 4096}),
        "100-empty-in-turn": in_turn(opcode, 0, 100),
        "100-of-16-in-turn": in_turn(opcode, 16, 100),
        "100-of-1-KiB-in-turn": in_turn(opcode, KiB, 100),
        "30-of-64-KiB-in-turn": in_turn(opcode, 64 * KiB, 30),
        "2000-of-16-at-once": at_once(opcode, 16, 2000, MiB),
        "500-of-4-KiB-chopped": at_once(opcode, 4 * KiB, 500, 10_007),
    }.items()
} | {
    "text-of-long-characters-cut-anywhere": lambda: echoed(TEXT, "größer 世界 😀 ".encode() * 10_000, chop=1021),
}

# ---- permessage-deflate ---------------------------------------------------------------------------------------------

DEFLATE = "permessage-deflate"
FORGET = "server_no_context_takeover; client_no_context_takeover"
OFFERS = {  # and what the app agrees to
    "as-it-is": (DEFLATE, DEFLATE),
    "client-window-at-will": (f"{DEFLATE}; client_max_window_bits", f"{DEFLATE}; client_max_window_bits=12"),
    "client-window-9": (f"{DEFLATE}; client_max_window_bits=9", f"{DEFLATE}; client_max_window_bits=9"),
    "server-window-9": (f"{DEFLATE}; server_max_window_bits=9", f"{DEFLATE}; server_max_window_bits=9"),
    "server-forgets": (f"{DEFLATE}; server_no_context_takeover", f"{DEFLATE}; server_no_context_takeover"),
    "client-forgets": (f"{DEFLATE}; client_no_context_takeover", f"{DEFLATE}; client_no_context_takeover"),
    "both-forget": (f"{DEFLATE};{FORGET}", f"{DEFLATE}; {FORGET}"),
    "everything": (f"{DEFLATE}; client_max_window_bits=10; server_max_window_bits=11; {FORGET}",
                   f"{DEFLATE}; {FORGET}; server_max_window_bits=11; client_max_window_bits=10"),
    "in-quotes": (f'{DEFLATE}; server_max_window_bits="10"', f"{DEFLATE}; server_max_window_bits=10"),
    "the-second-of-three": (f"{DEFLATE}; server_max_window_bits=99, {DEFLATE}; client_no_context_takeover, {DEFLATE}",
                            f"{DEFLATE}; client_no_context_takeover"),
    "after-an-unknown": (f"x-other; a=1, {DEFLATE}", DEFLATE),
}
DECLINED = {
    "unknown": "x-webkit-deflate-frame", "unknown-parameter": f"{DEFLATE}; level=9",
    "value-of-a-flag": f"{DEFLATE}; server_no_context_takeover=1", "no-value": f"{DEFLATE}; server_max_window_bits",
    "twice": f"{DEFLATE}; client_max_window_bits; client_max_window_bits=10",
}
MESSAGES = {
    "empty": lambda: [(TEXT, b"")] * 3,
    "short": lambda: [HELLO_ECHO] * 20,
    "longer-and-longer": lambda: [(TEXT, letters(4**n)) for n in range(9)],
    "zeros": lambda: [(BINARY, bytes(size)) for size in (1, KiB, 128 * KiB)],
    "noise": lambda: [(BINARY, noise(size)) for size in (100, 70_000, 100)],
    "many-languages": lambda: [(TEXT, "größer 世界 😀 καλημέρα".encode() * n) for n in (1, 30, 1)],
    "readings": lambda: [(TEXT, b'{"sensor": %d, "value": %d}' % (n % 7, n * n)) for n in range(200)],
}


def compressed(opcode: int, data: bytes, deflater: Deflater, fragment: int = 0) -> list[bytes]:
    pieces = pieces_of(deflater(data), fragment) if fragment else [deflater(data)]
    return [said(CONTINUATION if at else opcode, piece, final=at == len(pieces) - 1, reserved=0 if at else COMPRESSED)
            for at, piece in enumerate(pieces)]


def deflated(offer: str, messages, fragment: int = 0, **options):
    """With a ping ahead of the last frame, which may be within a message."""
    def make() -> Case:
        offered, agreed = OFFERS[offer]
        agreement, told = agree(agreed), messages()
        deflater = Deflater(agreement.client_window, agreement.client_keeps)
        frames = [one for message in told for one in compressed(*message, deflater, fragment)]
        frames.insert(-1, said(PING, b"?"))
        told.insert(-1, (PONG, b"?"))
        return good(*frames, told=told, offered=offered, agreed=agreed, **options)

    return make


def agreed_on(make, offer: str = "as-it-is"):
    """A case of what the agreement's parameters do not matter for."""
    return lambda: replace(make(), offered=OFFERS[offer][0], agreed=OFFERS[offer][1])


def blocks(*pieces: bytes, mode: int = zlib.Z_SYNC_FLUSH, level: int = 6) -> bytes:
    """A compressed message of several blocks, each of which ends as `mode` has it."""
    deflater = zlib.compressobj(level, wbits=-LARGEST_WINDOW)
    return b"".join(deflater.compress(piece) + deflater.flush(mode) for piece in pieces).removesuffix(TAIL)


def final_block(data: bytes) -> bytes:
    """RFC 7692 section 7.2.3.4"""
    deflater = zlib.compressobj(wbits=-LARGEST_WINDOW)
    return deflater.compress(data) + deflater.flush() + b"\0"


def squeezed(data: bytes, opcode: int = TEXT) -> bytes:
    return said(opcode, data, reserved=COMPRESSED)


def takes_up_what_is_forgotten() -> Case:
    keeps = Deflater(LARGEST_WINDOW, keeps=True)
    return bad(*[squeezed(keeps(noise(500)), BINARY) for _ in range(2)], told=[(BINARY, noise(500))], code=BAD_DATA)


MIXED = {
    "plain-ones-between": agreed_on(lambda: good(
        HELLO, squeezed(blocks(b"one")), HELLO, told=[HELLO_ECHO, (TEXT, b"one"), HELLO_ECHO])),
    "several-blocks": agreed_on(lambda: good(squeezed(blocks(b"one", b" two")), told=[(TEXT, b"one two")])),
    "full-flushes": agreed_on(lambda: good(
        squeezed(blocks(letters(999), letters(999), mode=zlib.Z_FULL_FLUSH)), told=[(TEXT, letters(999) * 2)])),
    "blocks-that-are-not-compressed": agreed_on(lambda: good(
        squeezed(blocks(noise(70_000), level=0), BINARY), told=[(BINARY, noise(70_000))])),
    "a-final-block-is-not-the-end": agreed_on(lambda: good(
        squeezed(final_block(b"one")), squeezed(blocks(b"two")), told=[(TEXT, b"one"), (TEXT, b"two")])),
    "little-becomes-much": agreed_on(lambda: good(
        squeezed(blocks(bytes(4 * MiB)), BINARY), told=[(BINARY, bytes(4 * MiB))])),
    "bit-on-a-continuation": agreed_on(lambda: bad(
        said(TEXT, b"\0", final=False, reserved=COMPRESSED), squeezed(b"\0", CONTINUATION))),
    "bit-on-a-ping": agreed_on(lambda: bad(squeezed(b"", PING))),
    "bit-on-a-close": agreed_on(lambda: bad(squeezed(closing(1000), CLOSE))),
    "no-such-block": agreed_on(lambda: bad(squeezed(b"\x07\xff"), code=BAD_DATA)),
    "not-text-inside": agreed_on(lambda: bad(squeezed(blocks(b"good \xff")), code=BAD_DATA)),
    "takes-up-what-is-forgotten": agreed_on(takes_up_what_is_forgotten, "client-forgets"),
} | {
    f"other-bits-{bits:03b}": agreed_on(
        lambda bits=bits: bad(HELLO, said(TEXT, b"x", reserved=bits), told=[HELLO_ECHO]))
    for bits in (1, 2, 3, 5, 6, 7)
}
COMPRESSION = {
    f"{offer}-{name}": deflated(offer, messages) for offer in OFFERS for name, messages in MESSAGES.items()
} | {
    f"{offer}-in-fragments": deflated(offer, MESSAGES["longer-and-longer"], fragment=50, app={"fragment": 70})
    for offer in OFFERS
} | {
    f"{offer}-chopped": deflated(offer, MESSAGES["readings"], chop=7, app={"chop": 11}) for offer in OFFERS
} | {
    f"declined-{name}": good(HELLO, told=[HELLO_ECHO], offered=offer) for name, offer in DECLINED.items()
} | {
    f"declined-{name}-used": bad(HELLO, squeezed(blocks(b"x")), told=[HELLO_ECHO], offered=offer, code=PROTOCOL_ERROR)
    for name, offer in DECLINED.items()
} | MIXED

# ---- the promises ---------------------------------------------------------------------------------------------------

RULES = {"framing": FRAMING, "pings": PINGS, "reserved-bits": RESERVED, "opcodes": OPCODES, "fragments": FRAGMENTS,
         "utf-8": UTF8, "close": CLOSES}
CASES = {f"{part}-{name}": case for part, table in (RULES | {"limits": LIMITS, "compression": COMPRESSION}).items()
         for name, case in table.items()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_conversation_is_the_same_with_the_gateway_and_without(site, echo, case):
    case = case() if callable(case) else case
    directly = hold(site, echo, case, "directly")
    assert directly.surprises(case) == []
    for way in THROUGH:
        assert hold(site, echo, case, way).differences(directly) == [], way


@pytest.mark.parametrize("chop", [1, 100, 0])
@pytest.mark.parametrize("way", THROUGH)
@pytest.mark.parametrize("part", RULES)
def test_what_an_app_says_passes_as_it_is_too(site, echo, part, way, chop):
    """However bad: here the app says all that the clients of that part do."""
    text = b"".join(step for case in RULES[part].values() for step in case.steps
                    if isinstance(step, bytes) and len(step) < KiB)
    assert listen(site, echo, text, chop, way).differences(Seen(None, text, FAREWELL, True)) == []
