"""A driver and its emulator joined without a port (``port: memory``)."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from terminal_agent.config import Device
from terminal_agent.devices import drivers
from terminal_agent.devices.emulator import Emulator
from terminal_agent.devices.memory_port import BYTES_MAX, MemoryPort

LINE = {
    "port": "memory",
    "baud": "9600",
    "answer_timeout_ms": "500",
    "reopen_min_ms": "100",
    "reopen_max_ms": "1000",
    "poll_ms": "60000",
    "print_timeout_ms": "500",
}


class Turning(Clock):
    """A clock that a driver may ask to be stopped by."""

    def addSystemEventTrigger(self, *_: object) -> None:
        """Nobody stops here."""

    def pass_ms(self, number: int) -> None:
        """Millisecond by millisecond."""
        for _ in range(number):
            self.advance(0.001)


class Echo(Emulator):
    """Says what it hears."""

    def received(self, data: bytes) -> None:
        self.send(data)


class Ear:
    """What a port's protocol hears."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.lost = 0

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)

    def connectionLost(self, _reason: object) -> None:
        self.lost += 1


def test_an_emulated_printer_without_a_port() -> None:
    """It prints, is unplugged and comes back, all on a clock that is not real."""
    clock = Turning()
    device = Device(driver="escpos-emulator", options=LINE)
    printer: Any = drivers.build("printer", device, clock)
    clock.pass_ms(50)
    ends: list[object] = []
    Deferred.fromCoroutine(printer.print_raw("KEY", "示范医院\n")).addBoth(ends.append)
    clock.pass_ms(50)

    assert (printer.status(), ends) == ("online", [None])
    assert "示范医院" in printer.emulator.slips[0][0]
    printer._cable.unplug()
    clock.pass_ms(300)
    assert printer.status() == "noDevice"
    printer._cable.plug()
    clock.pass_ms(2000)
    assert printer.status() == "online"


def test_bytes_keep_their_order_and_have_a_limit() -> None:
    """What one turn wrote arrives together; what nobody takes is bounded (I11); nothing arrives
    at a port that was closed or unplugged."""
    clock, ear = Clock(), Ear()
    port = MemoryPort(clock, Echo())
    with pytest.raises(OSError, match="no cable"):
        port.open(ear, None, None)
    port.plug()
    port.open(ear, None, None)
    port.write(b"a")
    port.write(b"b")
    clock.pump([0, 0])
    assert ear.heard == [b"ab"]
    port.write(bytes(BYTES_MAX + 5))
    clock.pump([0, 0])
    assert len(ear.heard[1]) == BYTES_MAX
    port.write(b"late")
    port.unplug()
    port.write(b"later")
    clock.pump([0, 0])

    assert (len(ear.heard), ear.lost) == (2, 1)
    assert clock.getDelayedCalls() == []
