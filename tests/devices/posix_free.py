"""Run as a program: imports all of the agent and drives it, every driver and a whole kiosk with
patients at its page, where POSIX's own modules are not there, as on Windows. Prints what it drove.
Its argument is a folder to work in."""

# ruff: noqa: E402 - the blocker comes first
import os
import signal
import sys

BLOCKED = ("fcntl", "termios", "pty", "tty", "grp", "pwd", "resource", "syslog", "crypt", "spwd")
BLOCKED += ("curses", "readline", "nis", "posixshmem", "win32file")
"""win32file: what Twisted asks for on Windows is not needed."""
GONE = ("openpty", "ttyname", "fork", "forkpty", "login_tty", "getuid", "geteuid", "getgid")
GONE += ("getegid", "setuid", "setgid", "setsid", "chown", "fchmod", "mkfifo", "nice", "killpg")
GONE += ("getpgid", "sysconf", "uname", "sched_getaffinity", "getloadavg", "O_DIRECTORY", "sync")
SIGNALS = ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGQUIT", "SIGPIPE")
SIGNALS += ("alarm", "setitimer", "pthread_sigmask", "sigwait")


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
for gone in SIGNALS:
    if hasattr(signal, gone):
        delattr(signal, gone)

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.main import installReactor
from twisted.internet.task import Clock

import terminal_agent
from hsm.primitives import check_value, ecb_encrypt, odd_parity
from terminal_agent.bench.fast_reactor import FastReactor
from terminal_agent.bench.joined_kiosk import JoinedKiosk
from terminal_agent.bench.patient import Kind
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
OWN_CHOICE = "terminal_agent.devices.threaded_port"
"""pyserial takes its part for POSIX or for Windows by the system's name: not to be had here."""
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


def import_all() -> int:
    """Every module of the agent, emulators, bench and all: how many there are."""
    found = [
        module.name
        for module in pkgutil.walk_packages(terminal_agent.__path__, "terminal_agent.")
        if module.name != OWN_CHOICE
    ]
    for name in found:
        importlib.import_module(name)
    return len(found)


def serve(folder: Path) -> list[str]:
    """A kiosk's patients, from its start over a lost line and a lock to its restart: outcomes."""
    kiosk = JoinedKiosk(folder)
    kiosk.agent.start()
    patient = kiosk.patient(100, 2000)
    outcomes: list[Any] = []

    async def visits() -> None:
        for kind in (Kind.PAYS, Kind.WRONG_PIN, Kind.LINE_CUT, Kind.LEAVES_EARLY):
            outcomes.append(await patient.visit(kind))
        kiosk.agent.management.lock.lock("检修")
        kiosk.agent.management.lock.unlock()
        outcomes.append(await patient.visit(Kind.PAYS))

    ends: list[Any] = []
    Deferred.fromCoroutine(visits()).addBoth(ends.append)
    while not ends:
        kiosk.reactor.next_turn()
    assert ends == [None], ends
    assert kiosk.agent.management.identity.request("BENCH001").startswith("-----BEGIN")
    kiosk.reactor.stop()
    again = JoinedKiosk(folder)
    outcomes.append(again.agent.payments.open_count)
    again.agent.journal.close()
    return [str(outcome) for outcome in outcomes]


if __name__ == "__main__":
    # Twisted's timers of the house ask for the process's reactor; that of POSIX is not here.
    installReactor(FastReactor())
    driven, served, number = drive(), serve(Path(sys.argv[1]) / "kiosk"), import_all()
    importlib.import_module("channels.kiosk.cli")  # yyt terminal enrol
    sys.stdout.write(f"\n{' '.join(driven)}\n{' '.join(served)}\n{number}\n")
