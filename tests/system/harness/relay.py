"""A network between a client and a server, which can be made a bad one."""

import socket
import threading

from harness.client import connect


class Relay:
    """Passes every connection on to `target`. Subclasses decide what goes wrong."""

    def __init__(self, target: tuple[str, int]):
        self._target = target
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
            threading.Thread(target=self._carry, args=(client, number), daemon=True).start()

    def _carry(self, client: socket.socket, number: int, up=lambda data: True, down=lambda data: True) -> None:
        """@param number  of the connection, from 1
        @param up, down  look at what the client and what the server sends; False: it is lost, and so is the connection
        """
        try:
            server = connect(self._target)
            server.settimeout(None)
        except OSError:
            return client.close()
        back = threading.Thread(target=self._copy, args=(server, client, down), daemon=True)
        back.start()
        self._copy(client, server, up)
        back.join()
        client.close()
        server.close()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket, passes) -> None:
        try:
            while data := source.recv(65536):
                if not passes(data):
                    raise ConnectionAbortedError
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self) -> None:
        self._listener.close()


class MovingAddress(Relay):
    """An address that one server has, and then another, as a load balancer's or a virtual one."""

    def __init__(self, target: tuple[str, int]):
        super().__init__(target)
        self._clients: list[socket.socket] = []

    def _carry(self, client: socket.socket, number: int, up=lambda data: True, down=lambda data: True) -> None:
        self._clients.append(client)
        super()._carry(client, number, up, down)

    def move(self, target: tuple[str, int]) -> None:
        self._target = target
        for client in self._clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has gone already
        self._clients.clear()
