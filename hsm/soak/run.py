"""The soak as a whole: many clients, one daemon, its memory watched."""

import os
import random
import select
import time
from collections.abc import Callable
from typing import Any, Final

from hsm.bench.own_daemon import OwnDaemon
from hsm.soak.client import RUDE, Client
from hsm.soak.traffic import Traffic

GROWTH_BYTES_MAX: Final = 8 * 1024 * 1024
"""Memory may end this much above its warm state; a leak of eight bytes a command shows in a
million."""

_SPARE: Final = 16
"""The daemon hears of a lost connection a little later than of the new one."""

_WARM: Final = 0.2
"""Part of the commands after which caches are full and memory must stay flat."""
_SAMPLE_S: Final = 0.5
_TELL_S: Final = 5.0
_PATIENCE_MS: Final = 10_000
_WRONG_SHOWN: Final = 10

Tell = Callable[[str], None]


class Soak:
    """One run; ``result`` says how it went."""

    def __init__(self, commands: int, connections: int, seed: int, tell: Tell) -> None:
        self._commands = commands
        self._connections = connections
        self._seed = seed
        self._tell = tell
        self._wrong: list[str] = []
        self._wrong_count = 0
        self._clients: list[Client] = []
        self._by_number: dict[int, Client] = {}
        self._poll = select.poll()
        self._unfinished: list[Client] = []
        """Clients in the middle of a frame: nothing will come on their connections."""
        self._samples: list[tuple[int, int]] = []

    def run(self) -> dict[str, Any]:
        """Raises DaemonFailedError when the daemon ends, OSError when it cannot be reached."""
        sockets_max = self._connections + _SPARE
        traffic = Traffic(self._seed, sockets_max)
        with OwnDaemon(("--max-connections", str(sockets_max))) as daemon:
            self._clients = [
                Client(daemon.address, traffic, random.Random(self._seed + number), self._note)  # noqa: S311
                for number in range(self._connections)
            ]
            for client in self._clients:
                self._register(client)
            began = time.monotonic()
            self._talk(daemon)
            took = time.monotonic() - began
            faults = len(daemon.events("fault")) + len(daemon.events("unhandled_error"))
            for client in self._clients:
                client.close()
        return self._result(took, faults)

    def _note(self, what: str) -> None:
        self._wrong_count += 1
        if len(self._wrong) < _WRONG_SHOWN:
            self._wrong.append(what)

    def _register(self, client: Client) -> None:
        self._by_number[client.socket.fileno()] = client
        self._poll.register(client.socket.fileno(), select.POLLIN)

    def _talk(self, daemon: OwnDaemon) -> None:
        sample_at = tell_at = time.monotonic()
        for client in self._clients:
            self._step(client, Client.turn)
        while (answered := self._answered) < self._commands:
            ready = self._poll.poll(_PATIENCE_MS)
            if not ready:
                self._note("no answer in time")
                return
            for number, _ in ready:
                client = self._by_number[number]
                self._step(client, Client.receive)
                self._step(client, Client.turn)
            unfinished, self._unfinished = self._unfinished, []
            for client in unfinished:
                self._step(client, Client.turn)
            now = time.monotonic()
            if now >= sample_at:
                self._samples.append((answered, daemon.resident_bytes()))
                sample_at = now + _SAMPLE_S
            if now >= tell_at:
                self._tell(self._progress(answered))
                tell_at = now + _TELL_S
        self._finish()
        self._samples.append((self._answered, daemon.resident_bytes()))

    def _finish(self) -> None:
        """Let every answer come that is still due."""
        deadline = time.monotonic() + _PATIENCE_MS / 1000
        while any(client.settle() for client in self._clients):
            if time.monotonic() > deadline:
                self._note("answers missing at the end")
                return
            for number, _ in self._poll.poll(_PATIENCE_MS):
                self._step(self._by_number[number], Client.receive)

    def _step(self, client: Client, what: Callable[[Client], bool]) -> None:
        before = client.socket.fileno()
        # Ends: a client that always connects anew would need ever the same luck.
        while what(client):
            self._poll.unregister(before)
            del self._by_number[before]
            self._register(client)
            before = client.socket.fileno()
            what = Client.turn
        if client.unfinished:
            self._unfinished.append(client)

    @property
    def _answered(self) -> int:
        return sum(client.answered for client in self._clients)

    def _progress(self, answered: int) -> str:
        resident = self._samples[-1][1] // 1024 if self._samples else 0
        return f"{answered} of {self._commands}, wrong {self._wrong_count}, RSS {resident} KiB"

    def _result(self, took: float, faults: int) -> dict[str, Any]:
        warm = [size for count, size in self._samples if count >= _WARM * self._commands]
        growth = warm[-1] - warm[0] if warm else 0
        rude = {name: sum(client.rude[name] for client in self._clients) for name in RUDE}
        return {
            "ok": not self._wrong_count and not faults and growth <= GROWTH_BYTES_MAX,
            "commands": self._answered,
            "wrong": self._wrong_count,
            "wrong_first": self._wrong,
            "faults": faults,
            "connections": self._connections,
            "connected": sum(client.connected for client in self._clients),
            "rude": rude,
            "seconds": round(took, 1),
            "per_s": round(self._answered / took),
            "rss_warm_kib": warm[0] // 1024 if warm else 0,
            "rss_end_kib": warm[-1] // 1024 if warm else 0,
            "rss_max_kib": max((size for _, size in self._samples), default=0) // 1024,
            "seed": self._seed,
            "cores": len(os.sched_getaffinity(0)),
        }
