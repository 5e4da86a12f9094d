"""A serial line without an operating system: an emulated device joined to its driver in memory.

``port: memory`` in an emulator's options. It works on Windows too, and on a clock that is not
real. Bytes arrive in the next turn of the reactor, all that were written in one turn together.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.pty_port import PtyPort

MEMORY: Final = "memory"
"""The port's name that asks for it."""
BYTES_MAX: Final = 262_144
"""Unheard bytes of one direction; more are lost, as on a line without flow control."""


class Cable(Protocol):
    """What joins a driver and an emulated device."""

    def plug(self) -> None:
        """Put it in. Raises OSError."""
        ...

    def unplug(self) -> None:
        """Pull it: the driver's open port ends."""
        ...


def cable(reactor: Any, port: str, device: Emulator) -> tuple[Cable, dict[str, Any]]:
    """The cable to a device at ``port``, and what its driver is told besides its options."""
    if port == MEMORY:
        joined = MemoryPort(reactor, device)
        return joined, {"open_port": joined.open}
    return PtyPort(reactor, Path(port), device), {}


class MemoryPort:
    """One line."""

    def __init__(self, reactor: Any, device: Emulator) -> None:
        self._device = device
        self._ear: Any = None
        self._plugged = False
        self._down = _Direction(reactor, device.received)
        self._up = _Direction(reactor, self._heard)

    def plug(self) -> None:
        """See Cable."""
        self._plugged = True
        self._device.attach(self._up.write)

    def unplug(self) -> None:
        """See Cable."""
        self._plugged = False
        self._device.detach()
        ear = self._ear
        self.close()
        if ear is not None:
            ear.connectionLost(Failure(ConnectionLost()))

    def open(self, ear: Any, _options: object, _reactor: object) -> "MemoryPort":
        """As an Opener: ``ear`` hears the device. Raises OSError while it is unplugged."""
        if not self._plugged:
            raise OSError("there is no cable")
        self._ear = ear
        return self

    def write(self, data: bytes) -> None:
        """Towards the device."""
        if self._plugged:
            self._down.write(data)

    def close(self) -> None:
        """The driver lets go; what was on its way is lost."""
        self._ear = None
        self._up.clear()
        self._down.clear()

    def _heard(self, data: bytes) -> None:
        if self._ear is not None:
            self._ear.dataReceived(data)


class _Direction:
    """Bytes on their way."""

    def __init__(self, reactor: Any, deliver: Callable[[bytes], object]) -> None:
        self._reactor = reactor
        self._deliver = deliver
        self._waiting = bytearray()
        self._turn: Any = None

    def write(self, data: bytes) -> None:
        self._waiting += data[: BYTES_MAX - len(self._waiting)]
        if self._turn is None:
            self._turn = self._reactor.callLater(0, self._arrive)

    def clear(self) -> None:
        self._waiting.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _arrive(self) -> None:
        data, self._waiting, self._turn = bytes(self._waiting), bytearray(), None
        self._deliver(data)
