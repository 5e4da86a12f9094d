"""The serial port of Windows: threads beside the reactor, driven here over a pseudo terminal."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from terminal_agent.devices import serial_device
from terminal_agent.devices.escpos_emulator import EscPosEmulator
from terminal_agent.devices.escpos_printer import EscPosOptions, EscPosPrinter
from terminal_agent.devices.threaded_port import WRITES_MAX, ThreadedPort
from tests.devices.conftest import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One whose threads have ended before its reactor is gone."""
    made = Bench(tmp_path)
    before = threading.active_count()
    yield made
    while made._ends:
        made._ends.pop(0)()
    made.until(lambda: threading.active_count() == before)
    made.close()


def printer_at(bench: Bench) -> EscPosPrinter:
    """A driver over threads."""
    options = EscPosOptions(
        port=str(bench.folder / "port"),
        baud=9600,
        answer_timeout_ms=1000,
        reopen_min_ms=20,
        reopen_max_ms=100,
        poll_ms=60_000,
        print_timeout_ms=2000,
    )
    return EscPosPrinter(options, bench.reactor, open_port=ThreadedPort)


def test_a_slip_goes_over_threads(bench: Bench) -> None:
    """Commands, answers, a whole slip; unplugged it is gone, plugged in it is back."""
    emulator = EscPosEmulator()
    cable = bench.plug(emulator)
    printer = printer_at(bench)
    bench.start(printer)
    bench.run(printer.print_raw("KEY", "示范医院\n" * 50))
    assert emulator.slips[0][0].count("示范医院") == 50

    cable.unplug()
    bench.until(lambda: printer.status() == "noDevice")
    cable.plug()
    bench.until(lambda: printer.status() == "online")
    bench.run(printer.print_raw("KEY", "again\n"))

    assert emulator.slips[-1][0].strip() == "again"


def test_a_port_that_is_not_there(bench: Bench) -> None:
    """Opening fails as the driver expects it, and no thread stays."""
    before = threading.active_count()
    printer = printer_at(bench)
    bench.start(printer)

    assert (printer.status(), threading.active_count()) == ("noDevice", before)


def test_I11_a_line_that_stands_still_is_lost(bench: Bench) -> None:
    """What waits to be sent has a limit; beyond it the line ends and nothing more is heard."""
    bench.plug(EscPosEmulator())
    lost: list[object] = []

    class Ear:
        """Hears the end."""

        def dataReceived(self, _data: bytes) -> None:
            """Answers nobody asked for here."""

        def connectionLost(self, reason: object) -> None:
            lost.append(reason)

    port = ThreadedPort(Ear(), printer_at(bench)._options, bench.reactor)
    standing = threading.Event()
    port._serial.write = lambda _data: standing.wait(5)
    for _ in range(WRITES_MAX + 2):
        port.write(b"x")
    bench.until(lambda: lost)
    standing.set()

    assert len(lost) == 1


def test_windows_gets_threads(monkeypatch: Any, bench: Bench) -> None:
    """Only there; a POSIX system reads its ports in the reactor."""
    bench.plug(EscPosEmulator())
    options = printer_at(bench)._options
    with monkeypatch.context() as windows:
        windows.setattr(serial_device.platform, "isWindows", lambda: True)
        port = serial_device.open_serial(Any, options, bench.reactor)  # type: ignore[arg-type]
    port.close()

    assert isinstance(port, ThreadedPort)
