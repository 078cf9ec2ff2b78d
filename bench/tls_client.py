#!/usr/bin/python3
"""A client that resumes TLS sessions when, and only when, it is told to, for section_connections and section_idle.

`tls_client.py connect` makes one connection after the other with one request each, until an interrupt. It counts in a
file that it maps (a double). `tls_client.py hold` opens many, makes one request on each, says "open" and keeps them until
its standard input ends.
"""

import argparse
import json
import mmap
import signal
import socket
import ssl
import struct
import sys

from peers import trust_any


def connect(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, session=session)


def ask(connection: ssl.SSLSocket, port: int, cookie: str, keep: bool) -> None:
    # A session is good for the host that it was begun at.
    connection.sendall(f"GET /bytes?n=64 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n"
                       f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < 64:
        received = connection.recv(16384)
        if not received:
            raise SystemExit(f"the connection ended early: {answer!r}")
        answer += received
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"not served: {answer!r}")


def connect_again_and_again(port: int, cookie: str, counter: str, resume: bool) -> None:
    with open(counter, "r+b") as file:
        shared = mmap.mmap(file.fileno(), 8)
    context, session, made, broken, interrupted = trust_any(), None, 0, 0, []
    signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
    while not interrupted:
        with connect(context, port, session) as connection:
            ask(connection, port, cookie, keep=False)
            # The first has nothing to resume.
            broken += made > 0 and connection.session_reused != resume
            session = connection.session if resume else None
        made += 1
        shared[:] = struct.pack("d", made)
    print(json.dumps({"requests": made, "not as told": broken}))


def hold(port: int, cookie: str, count: int) -> None:
    context, held = trust_any(), []
    for _ in range(count):
        held.append(connect(context, port))
        ask(held[-1], port, cookie, keep=True)
    print("open", flush=True)
    sys.stdin.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["connect", "hold"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cookie", required=True)
    parser.add_argument("--counter")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--count", type=int)
    arguments = parser.parse_args()
    if arguments.what == "connect":
        connect_again_and_again(arguments.port, arguments.cookie, arguments.counter, arguments.resume)
    else:
        hold(arguments.port, arguments.cookie, arguments.count)


if __name__ == "__main__":
    main()
