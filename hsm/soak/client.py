"""One rude client of a soak: some commands in flight, and now and then bad manners."""

import random
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from hsm.address import Address
from hsm.bench.load import connect
from hsm.soak.traffic import Traffic

IN_FLIGHT: Final = 8
"""Commands unanswered on one connection."""

_RUDE_PER_THOUSAND: Final = 20
"""Turns in which a client behaves badly instead of asking."""

_CHUNK: Final = 262_144

RUDE: Final = ("half a frame", "in pieces", "oversized", "gone", "too short")


class Client:
    """Asks, checks, misbehaves, connects anew."""

    def __init__(
        self,
        address: Address,
        traffic: Traffic,
        chance: random.Random,
        wrong: Callable[[str], None],
    ) -> None:
        """``wrong`` is told of every answer that is not the right one: codes and lengths only."""
        self._address = address
        self._traffic = traffic
        self._chance = chance
        self._wrong = wrong
        self._number = 0
        self._due: deque[bytes] = deque()
        self._rest = b""
        self._later = b""
        """The other half of a frame that is sent in pieces."""
        self._ending = False
        """The key service must close this connection; it shall send nothing more."""
        self.answered = 0
        self.connected = 0
        self.rude = dict.fromkeys(RUDE, 0)
        self.socket = self._open()

    def turn(self) -> bool:
        """Ask, or do something worse; whether the socket is another one now."""
        if self._later:
            self.socket.sendall(self._later)
            self._later = b""
        if self._ending or len(self._due) >= IN_FLIGHT:
            return False
        if not self._due and self._chance.randrange(1_000) < _RUDE_PER_THOUSAND:
            return self._misbehave(self._chance.choice(RUDE))
        frames = [self._frame() for _ in range(self._chance.randrange(1, 5))]
        self.socket.sendall(b"".join(frames))
        return False

    @property
    def unfinished(self) -> bool:
        """Whether it owes the other half of a frame."""
        return bool(self._later)

    def settle(self) -> bool:
        """At the end: nothing new, but what was begun; whether answers are still due."""
        if self._later:
            self.socket.sendall(self._later)
            self._later = b""
        return bool(self._due)

    def receive(self) -> bool:
        """Read and compare; whether the socket is another one now."""
        try:
            data = self.socket.recv(_CHUNK)
        except ConnectionResetError:
            data = b""
        if not data:
            if not self._ending:
                self._wrong(f"closed with {len(self._due)} answers due")
            self._again()
            return True
        data = self._rest + data if self._rest else data
        at = 0
        while len(data) - at >= 2:
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if end > len(data):
                break
            self._compare(data[at + 2 : end])
            at = end
        self._rest = data[at:]
        return False

    def close(self) -> None:
        """Leave."""
        self.socket.close()

    def _compare(self, frame: bytes) -> None:
        due = self._due.popleft() if self._due else b""
        if frame == due:
            self.answered += 1
        else:
            self._wrong(f"{frame[4:8]!r}, {len(frame)} bytes, not {due[4:8]!r}, {len(due)} bytes")

    def _frame(self) -> bytes:
        body, answer = self._traffic.next()
        self._number = (self._number + 1) % 10_000
        header = b"%04d" % self._number
        self._due.append(header + answer)
        return (4 + len(body)).to_bytes(2, "big") + header + body

    def _misbehave(self, how: str) -> bool:
        self.rude[how] += 1
        if how == "in pieces":
            frame = self._frame()
            at = self._chance.randrange(1, len(frame))
            self.socket.sendall(frame[:at])
            self._later = frame[at:]
        elif how == "oversized":
            self.socket.sendall(b"\xff\xff" + bytes(64))
            self._ending = True
        elif how == "too short":
            length = self._chance.randrange(6)
            frame = b"0000Z"[:length]
            self.socket.sendall(length.to_bytes(2, "big") + frame)
            self._due.append(frame[:4] + b"ZZ51")
        else:
            frame = self._frame()
            sent = len(frame) if how == "gone" else self._chance.randrange(1, len(frame))
            self.socket.sendall(frame[:sent])
            self._again()
            return True
        return False

    def _again(self) -> None:
        self.socket.close()
        self._due.clear()
        self._rest = self._later = b""
        self._ending = False
        self.socket = self._open()

    def _open(self) -> socket.socket:
        self.connected += 1
        return connect(self._address)
