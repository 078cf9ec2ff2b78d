"""A network that holds some connections up for longer than it may."""

import socket
import threading

from harness.relay import Relay


class HeldUpNetwork(Relay):
    """Passes every n-th connection on only after `delay` seconds, as a full queue would."""

    def __init__(self, target: tuple[str, int], every: int, delay: float):
        self._every, self._delay = every, delay
        self._over = threading.Event()
        super().__init__(target)

    def _carry(self, client: socket.socket, number: int) -> None:
        if number % self._every == 0 and self._over.wait(self._delay):
            return client.close()
        super()._carry(client, number)

    def close(self) -> None:
        self._over.set()
        super().close()
