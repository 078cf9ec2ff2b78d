"""A network between a gateway and Redis that loses the answers to commands of one's choice, with their connections."""

import socket
import threading

from harness.client import connect


class LostAnswers:
    """Passes every connection on to `target`. The answer to a command is lost after it has been carried out."""

    def __init__(self, target: tuple[str, int]):
        self._target = target
        self._marker: bytes | None = None
        self._after = 0
        self.lost = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "%s:%d" % self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_the_answer_to(self, command: str, after: int = 0) -> None:
        """@param command  a part of it, such as a key
        @param after    commands like it whose answers pass before
        """
        self.lost.clear()
        self._after = after
        self._marker = command.encode()

    def _loses(self, data: bytes) -> bool:
        if not self._marker or self._marker not in data:
            return False
        self._after -= 1
        if self._after >= 0:
            return False
        self._marker = None
        return True

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        server = connect(self._target)
        server.settimeout(None)
        losing = threading.Event()
        back = threading.Thread(target=self._answer, args=(server, client, losing), daemon=True)
        back.start()
        try:
            while data := client.recv(65536):
                if self._loses(data):
                    losing.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        back.join()
        client.close()
        server.close()

    def _answer(self, server: socket.socket, client: socket.socket, losing: threading.Event) -> None:
        try:
            while data := server.recv(65536):
                if losing.is_set():
                    self.lost.set()
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        self._listener.close()
