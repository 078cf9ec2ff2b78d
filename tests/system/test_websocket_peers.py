"""What others make of WebSockets through the gateway: python3-websockets at both ends does the same with and without it."""

import asyncio
import random
import ssl
import threading

import pytest
import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatusCode

from harness.deadlines import PATIENCE, SCALE
from harness.gateway import route
from harness.websocket import CLOSE, CONTINUATION, PING, TEXT, frame

LARGE = 2**22 if SCALE > 1 else 2**24  # bytes of a large message


class EchoApp:
    """An app that sends every message back; it answers a Site's app's part. `closes` tells how its clients left."""

    violations: list[str] = []

    def __init__(self):
        self.closes: list[tuple[int, str]] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_forever()

    async def _serve(self) -> None:
        server = await websockets.serve(self._echo, "127.0.0.1", 0, max_size=2 * LARGE, subprotocols=["echo"],
                                        ping_interval=None)
        self.address = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        self._ready.set()

    async def _echo(self, socket) -> None:
        try:
            async for message in socket:
                match message:
                    case "close":
                        await socket.close(4001, "as you wish")
                    case "fragments":
                        await socket.send(["one", " and ", "two"])
                    case _:
                        await socket.send(message)
        except ConnectionClosed:
            pass
        self.closes.append((socket.close_code, socket.close_reason))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)


@pytest.fixture(scope="module")
def site(module_sites):
    return module_sites(EchoApp(), threads=2, routes=[route("/", "public")])


def raw(opcode: int, payload: bytes, **options):
    """Sends a frame that the library would not."""
    async def send(socket):
        socket.transport.write(frame(opcode, payload, masked=True, **options))

    return send


async def received(socket) -> object:
    try:
        return await asyncio.wait_for(socket.recv(), PATIENCE)
    except ConnectionClosed:
        return ("closed", socket.close_code, socket.close_reason)


def talk(*steps):
    """A conversation: texts and bytes are sent, functions are called; after each the answer is awaited."""
    async def run(socket):
        told = []
        for step in steps:
            if callable(step):
                await step(socket)
            else:
                await socket.send(step)
            told.append(await received(socket))
        return told

    return run


async def closes(socket):
    await socket.close(4000, "goodbye")
    return [socket.close_code, socket.close_reason]


async def pings(socket):
    for payload in (b"", b"x", b"y" * 125):
        await asyncio.wait_for(await socket.ping(payload), PATIENCE)
    return await talk("after")(socket)


async def one_byte_at_a_time(socket):
    for byte in frame(TEXT, b"slowly", masked=True):
        socket.transport.write(bytes([byte]))
        await asyncio.sleep(0.002)
    return [await received(socket)]


async def many_at_once(socket):
    socket.transport.write(b"".join(frame(TEXT, b"%d" % number, masked=True) for number in range(1000)))
    return [await received(socket) for _ in range(1000)]


async def fragments_with_a_ping_between(socket):
    await raw(TEXT, b"one", final=False)(socket)
    await raw(PING, b"?")(socket)
    await raw(CONTINUATION, b" two", final=False)(socket)
    await raw(CONTINUATION, b"")(socket)
    return [await received(socket)]


NOISE = random.Random(7).randbytes(LARGE)
CASES = {
    "text": talk("hello", "", "ü€😀", "x" * 125, "x" * 126, "x" * 65535, "x" * 65536),
    "binary": talk(b"", bytes(range(256)), NOISE[:70_000]),
    "large": talk(NOISE, "y" * LARGE),
    "fragments-of-the-client": talk(lambda socket: socket.send(["one", " two", "", " three"])),
    "fragments-of-the-app": talk("fragments"),
    "fragments-with-a-ping-between": fragments_with_a_ping_between,
    "pings": pings,
    "one-byte-at-a-time": one_byte_at_a_time,
    "many-at-once": many_at_once,
    "close-of-the-client": closes,
    "close-of-the-app": talk("close"),
    "close-without-a-code": talk(raw(CLOSE, b"")),
    "close-with-a-code-that-is-none": talk(raw(CLOSE, b"\x03\xed")),
    "close-of-one-byte": talk(raw(CLOSE, b"\x03")),
    "bad-utf8": talk(raw(TEXT, b"\xff\xfe")),
    "bad-utf8-in-a-close": talk(raw(CLOSE, b"\x03\xe8\xff")),
    "unknown-opcode": talk(raw(3, b"x")),
    "unknown-control": talk(raw(11, b"x")),
    "reserved-bit": talk(raw(TEXT, b"x", reserved=2)),
    "fragmented-ping": talk(raw(PING, b"x", final=False)),
    "long-ping": talk(raw(PING, b"x" * 126)),
    "continuation-of-nothing": talk(raw(CONTINUATION, b"x")),
}
DEFLATE = {"compressed": "deflate", "plain": None}


def run(site, case, compression, direct: bool):
    """What the client saw, and how the app saw its client leave."""
    context = ssl.create_default_context(cafile=str(site.gateway.trust))
    context.check_hostname = False
    seen = len(site.app.closes)

    async def main():
        uri = f"ws://{site.app.address}/" if direct else "wss://%s:%d/" % site.gateway.address
        options = {} if direct else {"ssl": context}
        async with websockets.connect(uri, compression=compression, subprotocols=["other", "echo"], max_size=2 * LARGE,
                                      ping_interval=None, **options) as socket:
            names = (socket.subprotocol, [extension.name for extension in socket.extensions])
            told = await case(socket)
        for _ in range(1000):
            if len(site.app.closes) > seen:
                break
            await asyncio.sleep(0.01)
        return names, told, site.app.closes[seen:]

    return asyncio.run(main())


@pytest.mark.parametrize("compression", DEFLATE.values(), ids=DEFLATE)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_the_same_with_the_gateway_and_without(site, case, compression):
    through = run(site, case, compression, direct=False)
    assert through == run(site, case, compression, direct=True)
    assert through[0] == ("echo", ["permessage-deflate"] if compression else [])
    assert through[1] and through[2]


def test_a_foreign_page_is_refused(site):
    async def main():
        context = ssl._create_unverified_context()
        async with websockets.connect("wss://%s:%d/" % site.gateway.address, ssl=context, origin="https://evil.example"):
            pass

    with pytest.raises(InvalidStatusCode) as refused:
        asyncio.run(main())
    assert refused.value.status_code == 403
