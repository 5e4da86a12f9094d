"""A load generator that is cheaper than what it loads: prepared frames, few system calls.

A window is the number of commands in flight; above 1 it is shared by two connections, as a switch
keeps them. The answers on a connection come in the order of its requests, and each is compared
with the one that must come.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from hsm.address import Address
from hsm.bench.workload import Exchange

CONNECTIONS: Final = 2
_CHUNK: Final = 262_144
_PATIENCE_S: Final = 10.0


class WrongAnswerError(Exception):
    """An answer is not the one that must come, or none came; names lengths and codes only."""


class Measured(NamedTuple):
    """One stretch of load. Times in seconds."""

    commands: int
    seconds: float
    p50: float
    p99: float

    @property
    def per_s(self) -> float:
        """Commands per second."""
        return self.commands / self.seconds


def connect(address: Address) -> socket.socket:
    """A blocking socket to a key service without TLS."""
    if address.path:
        line = socket.socket(socket.AF_UNIX)
        # Without a time-out it waits for its turn in the listener's queue.
        line.connect(address.path)
        line.settimeout(_PATIENCE_S)
        return line
    line = socket.create_connection((address.host, address.port), timeout=_PATIENCE_S)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


class _Line:
    """One connection with its share of the window."""

    def __init__(self, line: socket.socket, exchanges: Sequence[Exchange], share: int) -> None:
        self.socket = line
        self._exchanges = exchanges
        self._share = share
        self._next = 0
        self._sent: deque[tuple[bytes, float]] = deque()
        self._rest = b""
        self.times: list[float] = []

    def fill(self) -> None:
        """Send until the share is in flight."""
        now = time.perf_counter()
        out = []
        while len(self._sent) < self._share:
            request, answer = self._exchanges[self._next]
            self._next = (self._next + 1) % len(self._exchanges)
            out.append(request)
            self._sent.append((answer, now))
        if out:
            self.socket.sendall(b"".join(out))

    def take(self) -> None:
        """Read what came and compare it."""
        data = self.socket.recv(_CHUNK)
        if not data:
            raise WrongAnswerError("the key service closed the connection")
        now = time.perf_counter()
        data = self._rest + data if self._rest else data
        at = 0
        while self._sent:
            answer, began = self._sent[0]
            end = at + len(answer)
            if end > len(data):
                break
            if data[at:end] != answer:
                raise WrongAnswerError(_said(data[at:end]))
            self._sent.popleft()
            self.times.append(now - began)
            at = end
        self._rest = data[at:]
        if len(self._rest) > 10 and self._sent and self._rest[:10] != self._sent[0][0][:10]:
            raise WrongAnswerError(_said(self._rest))

    @property
    def in_flight(self) -> int:
        """Commands not answered yet."""
        return len(self._sent)


def _said(frame: bytes) -> str:
    return f"a wrong answer: code and error {frame[6:10]!r}, {len(frame)} bytes"


def measure(
    address: Address, exchanges: Sequence[Exchange], window: int, seconds: float
) -> Measured:
    """Keep ``window`` commands in flight for ``seconds``. Raises WrongAnswerError, OSError."""
    count = min(window, CONNECTIONS)
    shares = [window // count + (number < window % count) for number in range(count)]
    lines = [_Line(connect(address), exchanges, share) for share in shares]
    try:
        return _drive(lines, seconds)
    finally:
        for line in lines:
            line.socket.close()


def _drive(lines: Sequence[_Line], seconds: float) -> Measured:
    poll = select.poll()
    by_number = {line.socket.fileno(): line for line in lines}
    for number in by_number:
        poll.register(number, select.POLLIN)
    began = time.perf_counter()
    deadline = began + seconds
    running = True
    for line in lines:
        line.fill()
    while running or any(line.in_flight for line in lines):
        ready = poll.poll(_PATIENCE_S * 1000)
        if not ready:
            raise WrongAnswerError("no answer in time")
        for number, _ in ready:
            line = by_number[number]
            line.take()
            if running:
                line.fill()
        running = running and time.perf_counter() < deadline
    took = time.perf_counter() - began
    times = sorted(moment for line in lines for moment in line.times)
    return Measured(len(times), took, _rank(times, 50), _rank(times, 99))


def _rank(times: Sequence[float], per_hundred: int) -> float:
    return times[min(len(times) - 1, len(times) * per_hundred // 100)]
