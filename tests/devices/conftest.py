"""A reactor of the tests' own, and serial lines on real pseudo terminals."""

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.selectreactor import SelectReactor

from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.interfaces import DeviceEvent
from terminal_agent.devices.ipp_printer import IppPrinter
from terminal_agent.devices.pty_port import PtyPort
from terminal_agent.devices.serial_device import SerialDevice

WAIT_S = 30.0


class Bench:
    """Turns a private reactor until something has happened."""

    def __init__(self, folder: Path) -> None:
        self.reactor = SelectReactor()
        self.folder = folder
        self._ends: list[Callable[[], object]] = []

    def until(self, fact: Callable[[], object]) -> None:
        """Turn until ``fact()`` is true."""
        end = self.reactor.seconds() + WAIT_S
        while not fact():
            assert self.reactor.seconds() < end, "it did not happen"
            self.reactor.iterate(0.01)

    def run(self, work: "Coroutine[Any, Any, Any]") -> Any:
        """What a coroutine returns, or raises."""
        return self.end_of(Deferred.fromCoroutine(work))

    def end_of(self, waiting: "Deferred[Any]") -> Any:
        """What a Deferred brings."""
        out: list[Any] = []
        waiting.addCallbacks(out.append, out.append)
        self.until(lambda: out)
        if hasattr(out[0], "raiseException"):
            out[0].raiseException()
        return out[0]

    def begin(self, work: "Coroutine[Any, Any, Any]") -> "Deferred[Any]":
        """Start it, and let the line settle."""
        waiting = Deferred.fromCoroutine(work)
        self.settle()
        return waiting

    def settle(self) -> None:
        """Let what is on its way arrive."""
        for _ in range(12):
            self.reactor.iterate(0.005)

    def plug(self, emulator: Emulator, name: str = "port") -> PtyPort:
        """The emulated device at ``folder/name``."""
        port = PtyPort(self.reactor, self.folder / name, emulator)
        port.plug()
        self._ends.append(port.unplug)
        return port

    def start(self, device: SerialDevice | IppPrinter) -> list[DeviceEvent]:
        """The driver, online; its events from now on."""
        events: list[DeviceEvent] = []
        device.watch(events.append)
        device.start()
        self._ends.insert(0, device.stop)
        self.until(lambda: device.status() != "starting")
        return events

    def close(self) -> None:
        """Let go of everything."""
        for end in self._ends:
            end()
        for call in self.reactor.getDelayedCalls():
            call.cancel()
        self.reactor.removeAll()
        self.reactor.waker.connectionLost(None)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One bench."""
    made = Bench(tmp_path)
    yield made
    made.close()
