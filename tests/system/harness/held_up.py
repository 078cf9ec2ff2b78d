"""A network that holds some connections up for longer than it may."""

import socket
import threading

from harness.client import connect


class HeldUpNetwork:
    """Passes every connection on to `target`; every n-th only after `delay` seconds, as a full queue would."""

    def __init__(self, target: tuple[str, int], every: int, delay: float):
        self._target, self._every, self._delay = target, every, delay
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            number += 1
            delay = self._delay if number % self._every == 0 else 0
            threading.Thread(target=self._carry, args=(client, delay), daemon=True).start()

    def _carry(self, client: socket.socket, delay: float) -> None:
        if delay and self._over.wait(delay):
            return client.close()
        try:
            server = connect(self._target)
            server.settimeout(None)
        except OSError:
            return client.close()
        back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
        back.start()
        self._copy(client, server)
        back.join()
        client.close()
        server.close()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self) -> None:
        self._over.set()
        self._listener.close()
