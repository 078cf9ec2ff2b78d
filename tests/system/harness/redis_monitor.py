"""What a Redis server is asked for, by whomever: redis-cli's MONITOR."""

import itertools
import threading

from harness.deadlines import poll
from harness.redis_server import RedisServer

_numbers = itertools.count(1)


class RedisMonitor:
    """`with RedisMonitor(server) as monitor:` hears of every command from then on."""

    def __init__(self, server: RedisServer):
        self._server, self._commands = server, []
        self._monitor = server.client().monitor()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> "RedisMonitor":
        self._monitor.__enter__()
        self._thread.start()
        return self

    def _listen(self) -> None:
        try:
            for command in self._monitor.listen():
                self._commands.append(command["command"])
                if command["command"] == "ECHO end-of-monitor":
                    return
        except (OSError, ValueError):
            pass  # the server's end

    def commands(self, about: str = "") -> list[str]:
        """What has come until now; with a text, what has it in it."""
        mark = f"ECHO mark-{next(_numbers)}"
        self._server.redis.execute_command(*mark.split())
        poll(lambda: mark in self._commands, "the monitor hears of it")
        return [command for command in self._commands if about in command and not command.startswith("ECHO mark-")]

    def __exit__(self, *_) -> None:
        self._server.redis.echo("end-of-monitor")
        self._thread.join(1)
        self._monitor.__exit__(None, None, None)
