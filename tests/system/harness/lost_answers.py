"""A network between a gateway and Redis that loses the answers to commands of one's choice, with their connections."""

import socket
import threading

from harness.relay import Relay


class LostAnswers(Relay):
    """The answer to a command is lost after it has been carried out."""

    def __init__(self, target: tuple[str, int]):
        self._marker: bytes | None = None
        self._after = 0
        self.lost = threading.Event()
        super().__init__(target)

    def lose_the_answer_to(self, command: str, after: int = 0) -> None:
        """@param command  a part of it, such as a key
        @param after    commands like it whose answers pass before
        """
        self.lost.clear()
        self._after = after
        self._marker = command.encode()

    def _is_chosen(self, data: bytes) -> bool:
        if not self._marker or self._marker not in data:
            return False
        self._after -= 1
        if self._after >= 0:
            return False
        self._marker = None
        return True

    def _carry(self, client: socket.socket, number: int) -> None:
        losing = threading.Event()

        def up(data: bytes) -> bool:
            if self._is_chosen(data):
                losing.set()
            return True

        def down(_: bytes) -> bool:
            if losing.is_set():
                self.lost.set()
            return not losing.is_set()

        super()._carry(client, number, up, down)
