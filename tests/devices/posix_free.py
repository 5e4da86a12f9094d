"""Run as a program: imports and drives every driver where POSIX's own modules are not there, as on
Windows. Prints what it
drove. Its argument is a folder to work in."""

# ruff: noqa: E402 - the blocker comes first
import os
import sys

BLOCKED = ("fcntl", "termios", "pty", "tty", "grp", "pwd", "resource")
GONE = ("openpty", "ttyname", "fork", "login_tty")


class Blocker:
    """Refuses to find them."""

    def find_spec(self, name: str, *_: object) -> None:
        """See importlib."""
        if name in BLOCKED:
            raise ImportError(f"{name} is POSIX only")


for loaded in BLOCKED:
    sys.modules.pop(loaded, None)
sys.meta_path.insert(0, Blocker())  # type: ignore[arg-type]
for gone in GONE:
    if hasattr(os, gone):
        delattr(os, gone)

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from hsm.primitives import check_value, ecb_encrypt, odd_parity
from terminal_agent.devices.cash_acceptor import CashAcceptor, CashOptions
from terminal_agent.devices.cash_emulator import CashEmulator
from terminal_agent.devices.escpos_emulator import EscPosEmulator
from terminal_agent.devices.escpos_printer import EscPosOptions, EscPosPrinter
from terminal_agent.devices.id_reader import IdReaderOptions, SamIdReader
from terminal_agent.devices.id_reader_emulator import IdReaderEmulator
from terminal_agent.devices.interfaces import KeyUse
from terminal_agent.devices.ipp_emulator import IppEmulator
from terminal_agent.devices.ipp_printer import IppPrinter, IppTimes
from terminal_agent.devices.nlpp60 import NlPp60, NlPp60Options
from terminal_agent.devices.nlpp60_emulator import NlPp60Emulator
from terminal_agent.devices.nlpp60_pairing import read_pairing
from terminal_agent.devices.scanner import ScannerOptions, SerialScanner
from terminal_agent.devices.scanner_emulator import ScannerEmulator
from terminal_agent.devices.visa_pad import VisaPad, VisaPadOptions
from terminal_agent.devices.visa_pad_emulator import VisaPadEmulator
from terminal_agent.devices.zt598 import Zt598, Zt598Options
from terminal_agent.devices.zt598_emulator import Zt598Emulator

MASTER = odd_parity(bytes(range(16)))
KEY = odd_parity(bytes(range(16, 32)))
SEALED, CHECK = ecb_encrypt(MASTER, KEY).hex(), check_value(KEY).hex()
LINE: dict[str, Any] = {
    "port": "COM3",
    "baud": 9600,
    "answer_timeout_ms": 500,
    "reopen_min_ms": 100,
    "reopen_max_ms": 1000,
    "poll_ms": 60_000,
}


class Wire:
    """A line that joins a driver to its emulator in memory."""

    def __init__(self, emulator: Any, clock: Clock) -> None:
        self.emulator = emulator
        self.clock = clock

    def __call__(self, ear: Any, _options: Any, _reactor: Any) -> "Wire":
        self.emulator.attach(lambda data: self.clock.callLater(0, ear.dataReceived, data))
        return self

    def write(self, data: bytes) -> None:
        """Towards the device."""
        self.clock.callLater(0, self.emulator.received, data)

    def close(self) -> None:
        """The cable stays in."""


def posted(emulator: IppEmulator, clock: Clock) -> Any:
    """A way to an emulated printer in memory."""

    def post(body: bytes, _timeout_ms: int) -> "Deferred[bytes]":
        answer = bytearray()
        emulator.attach(answer.extend)
        emulator.received(body)
        waiting: Deferred[bytes] = Deferred()
        clock.callLater(0, waiting.callback, bytes(answer))
        return waiting

    return post


def parts(clock: Clock) -> Iterator[tuple[Any, Any]]:
    """(driver, work) of each."""
    zt = Zt598Emulator()
    zt.load_master(1, MASTER)
    slots = {"master_slot": "01", "pin_slot": "30", "mac_slot": "31", "data_slot": "32"}
    zt_options = Zt598Options(**LINE, **slots, mac_form="x919", clear_key="clear")
    pad = Zt598(zt_options, clock, open_port=Wire(zt, clock))
    yield pad, lambda: pad.import_key(KeyUse.MAC, SEALED, CHECK)
    visa = VisaPadEmulator()
    visa.load_master("0", MASTER)
    visa_options = VisaPadOptions(**LINE, master_key="0", entry_timeout_ms=500)
    other = VisaPad(visa_options, clock, open_port=Wire(visa, clock))
    yield other, lambda: other.import_key(KeyUse.MAC, SEALED, CHECK)
    pairing = Path(sys.argv[1]) / "pairing"
    pairing.write_text(f"{MASTER.hex()}\n" * 3)
    newland = NlPp60Emulator(read_pairing(pairing))
    newland.load_master(KeyUse.MAC, 0, MASTER)
    numbers = {"pin_master": "00", "mac_master": "00", "pin_key": "01", "mac_key": "01"}
    nl_options = NlPp60Options(
        **LINE, **numbers, directory=1, key_uses=9, pairing_file=str(pairing)
    )
    third = NlPp60(nl_options, clock, open_port=Wire(newland, clock))
    yield third, lambda: third.import_key(KeyUse.MAC, SEALED, CHECK)
    printer = EscPosPrinter(
        EscPosOptions(**LINE, print_timeout_ms=500), clock, open_port=Wire(EscPosEmulator(), clock)
    )
    yield printer, lambda: printer.print_raw("KEY", "示范医院\n")
    module = IdReaderEmulator()
    module.put()
    reader = SamIdReader(
        IdReaderOptions(**LINE, find_interval_ms=100), clock, open_port=Wire(module, clock)
    )
    yield reader, lambda: reader.read_identity(1000)
    gun = ScannerEmulator()
    scanner = SerialScanner(
        ScannerOptions(**LINE, debounce_ms=100, gap_ms=500), clock, open_port=Wire(gun, clock)
    )
    clock.callLater(1, gun.scan, "1345")
    yield scanner, lambda: scanner.read(5000)
    notes = Path(sys.argv[1]) / "notes.db"
    cash = CashAcceptor(
        CashOptions(**LINE, journal=str(notes), notes="5=10000"),
        clock,
        open_port=Wire(CashEmulator(), clock),
    )
    yield cash, lambda: cash.cash_in_start("K-1", 10_000)
    paper = IppEmulator(clock, Path(sys.argv[1]) / "reports", page_ms=10)
    times = IppTimes(answer_timeout_ms=500, print_timeout_ms=500, job_poll_ms=10, poll_ms=60_000)
    reports = IppPrinter(times, clock, "ipp://printer/ipp/print", posted(paper, clock))
    yield reports, lambda: reports.print_document("LAB-1", b"%PDF-1.4\n%%EOF\n")


def result(clock: Clock, work: Any) -> Any:
    """What a coroutine brings."""
    out: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(out.append)
    for _ in range(5000):
        if out:
            return out[0]
        clock.advance(0.001)
    raise AssertionError("it did not end")


def drive() -> list[str]:
    """Each driver does its work."""
    clock = Clock()
    done = []
    for driver, work in parts(clock):
        driver.start()
        for _ in range(50):
            clock.advance(0.001)
        assert driver.status() == "online", (driver.role, driver.status())
        out = result(clock, work())
        assert not hasattr(out, "raiseException"), (driver.role, out)
        done.append(type(driver).__name__)
        driver.stop()
    return done


if __name__ == "__main__":
    sys.stdout.write(" ".join(drive()))
