"""The demo's own stage as a test bench: real processes, killed on purpose, audited afterwards."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg2

from switch.audit.compare import Audit, BankLine, BookedPayment
from switch.audit.sources import audit, bank_lines
from switch.demo import programs, stage
from switch.demo.cards import PIN
from switch.demo.ports import free_ports
from switch.demo.processes import Supervisor
from switch.demo.scenes import get, post
from switch.store.books import read_books
from switch.store.embedded import embedded_dsn

T = TypeVar("T")

READY_S = 90.0
WAIT_S = 90.0
POLL_S = 0.05
RESTART_WAITS_S = (0.1,)
"""A bench brings its dead back at once: deaths in a row are what it is for."""
SIGKILLED = -9


class Rig:
    """Everything that runs, and how to hurt it. ``folder`` must be fresh."""

    def __init__(self, folder: Path, *, load: int = 0) -> None:
        """``load``: payments a second by the kiosks."""
        self.folder = folder
        self.stage = stage.Stage(
            folder=folder / "demo",
            ports=free_ports(),
            response_timeout_ms=1_500,
            not_found_waits_ms=(200, 400),
            kiosk_reconnect_max_ms=400,
        )
        self.http = programs.http_addresses(self.stage)
        self.kiosks: tuple[str, ...] = stage.KIOSKS
        self.programs = programs.Programs(self.stage, load=load)
        self.notes: list[str] = []
        self.supervisor = Supervisor(folder, self.notes.append, RESTART_WAITS_S)
        self._fingers = ThreadPoolExecutor(8)

    # ---- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """As ``yyt demo`` does it. Raises NotReady."""
        stage.clear(self.stage.folder)
        self.make_outside()
        self.supervisor.run()
        self.supervisor.start(self.programs.foundation(), READY_S)
        self.make_inside()
        self.supervisor.start([self.programs.switch()], READY_S)
        stage.enrol(self.stage)
        self.supervisor.start(self.programs.kiosks(), READY_S)

    def make_outside(self) -> None:
        """The files of bank and pads."""
        stage.make_outside(self.stage)

    def make_inside(self) -> None:
        """The files of switch and kiosks."""
        stage.make_inside(self.stage)

    def stop(self) -> None:
        """All processes down."""
        self._fingers.shutdown(wait=False, cancel_futures=True)
        self.supervisor.stop()

    # ---- hurting ---------------------------------------------------------------------------------

    def arm(self, name: str, *points: str) -> int:
        """Kill ``name`` now; each of its next starts dies at one of ``points``, later ones live.
        Returns the number of the first armed start, once all are linked again."""
        was = self.supervisor.life(name).starts
        self.supervisor.next_starts(name, *({"CRASH_AT": point} for point in points))
        self.supervisor.kill(name)
        until(lambda: self.supervisor.life(name).starts > was, f"{name} starts again")
        self.up("switch", *self.kiosks)
        return was + 1

    def dies(self, name: str, start: int) -> None:
        """Wait until the process of that start is dead, and by SIGKILL."""
        until(lambda: self._over(name, start), f"{name} dies at its crash point")
        ended = self.supervisor.life(name).ended
        assert ended == SIGKILLED, f"{name} ended with {ended}"

    def up(self, *names: str) -> None:
        """Wait until each of ``names`` does its work."""
        for name in names:
            health = f"{self.http[name]}/health"
            until(lambda health=health: bool(get(health)), f"{name} is up")  # type: ignore[misc]

    def starts(self, name: str) -> int:
        """How often ``name`` was started."""
        return self.supervisor.life(name).starts

    def _over(self, name: str, start: int) -> bool:
        return self.starts(name) > start or name not in self.supervisor.pids()

    # ---- outside ---------------------------------------------------------------------------------

    def bank_habit(self, habit: str, **more: Any) -> None:
        """One bad habit for the bank's next message that fits."""
        post(f"{self.http['bank']}/habits", {"next": [{"habit": habit, **more}]})

    def his_habit(self, mode: str, **more: Any) -> None:
        """A bad habit of the hospital; ``count``: of so many calls, 0 for all."""
        post(f"{self.http['his']}/habits", {"mode": mode, "count": 1, **more})

    def heard_by_bank(self) -> Mapping[str, int]:
        """Messages the bank's present process has read, by kind."""
        counts: Mapping[str, int] = get(f"{self.http['bank']}/health")["counts"]
        return counts

    # ---- paying ----------------------------------------------------------------------------------

    def pay(
        self, patient: str, *, kiosk: str = "kiosk-1", card: str = "good", pin: str = PIN
    ) -> "Future[Any]":
        """A patient pays the first bill; the answer comes when it comes."""
        wish = {
            "business": "outpatient_bill",
            "patient_card": patient,
            "card": card,
            "pin": pin,
        }
        return self._fingers.submit(post, f"{self.http[kiosk]}/pay", wish)

    # ---- the books -------------------------------------------------------------------------------

    def books(self) -> list[BookedPayment]:
        """The journal's payments, oldest first; waits for a database that is just coming back."""
        return patiently(lambda: read_books(embedded_dsn(self.stage.postgres)))

    def trails(self, key: str) -> list[list[str]]:
        """Where a payment stood after each commit, a list for each process that drove it."""
        query = "SELECT writer, trail FROM payment_event WHERE key = %s ORDER BY version"
        with closing(psycopg2.connect(embedded_dsn(self.stage.postgres))) as session:
            with session.cursor() as cursor:
                cursor.execute(query, (key,))
                found: dict[int, list[str]] = {}
                for writer, trail in cursor:
                    found.setdefault(writer, []).append(trail)
        return list(found.values())

    def bank(self) -> list[BankLine]:
        """The bank's debits."""
        return list(bank_lines(patiently(lambda: get(f"{self.http['bank']}/ledger"))))

    def bookings(self, key: str) -> list[Mapping[str, Any]]:
        """The hospital's lines of one payment."""
        lines = patiently(lambda: get(f"{self.http['his']}/ledger"))["bookings"]
        return [line for line in lines if line["key"] == key]

    def told(self, kiosk: str) -> dict[str, Mapping[str, Any]]:
        """The last answer that a kiosk has for each of its keys."""
        lines = patiently(lambda: get(f"{self.http[kiosk]}/ledger"))["told"]
        return {line["key"]: line for line in lines}

    def at_bank(self, payment: BookedPayment) -> list[int]:
        """Net debits of a payment, one for each identity the bank knows."""
        return [line.net_fen for line in self.bank() if line.at_bank in payment.at_bank]

    def addresses(self) -> dict[str, str]:
        """Where each process that this stage has speaks HTTP; a kiosk may have been left out."""
        absent = set(stage.ALL_KIOSKS) - set(self.kiosks)
        return {name: url for name, url in self.http.items() if name not in absent}

    def audit(self) -> Audit:
        """The four stories compared."""
        addresses = {name: {"http": address} for name, address in self.addresses().items()}
        dsn = embedded_dsn(self.stage.postgres)
        return audit({**addresses, "postgres": {"dsn": dsn}})

    def settled(self, wait_s: float = WAIT_S) -> Audit:
        """Heal, then the deadline: every payment at rest, every terminal told (liveness)."""
        self.up("switch", *self.kiosks)
        try:
            until(lambda: not self.untold(), "all terminals told", wait_s)
            until(lambda: all(payment.rest for payment in self.books()), "all at rest", wait_s)
        except AssertionError as error:
            error.add_note(str(self.audit()))
            raise
        return self.audit()

    def untold(self) -> int:
        """Keys, sent or not, whose end their kiosk does not know yet."""
        return sum(int(get(f"{self.http[kiosk]}/health")["open"]) for kiosk in self.kiosks)


@contextmanager
def running(rig: Rig) -> Iterator[Rig]:
    """Started, and down afterwards whatever happened."""
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


def until(true: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
    """Wait for it; a peer that is away just now is asked again."""
    end = time.monotonic() + wait_s
    pause = threading.Event()
    while True:
        try:
            if true():
                return
        except (OSError, ValueError):
            pass
        assert time.monotonic() < end, f"not within {wait_s:.0f} s: {what}"
        pause.wait(POLL_S)


def patiently(read: Callable[[], T]) -> T:
    """What ``read`` gives, once its process is back."""
    found: list[T] = []

    def once() -> bool:
        found.append(read())
        return True

    until(once, "a ledger can be read")
    return found[-1]
