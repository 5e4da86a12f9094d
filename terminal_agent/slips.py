"""Slips: printed by themselves when an answer calls for one, and again whenever somebody asks."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from terminal_agent import protocol
from terminal_agent.config import Receipt
from terminal_agent.crash import crash_point
from terminal_agent.devices.interfaces import DeviceError, DeviceEvent, Printer, State
from terminal_agent.journal import Journal
from terminal_agent.logs import get_logger
from terminal_agent.receipt import slip

_log = get_logger("slips")

SLIP_STATES = frozenset({"approved", "returned", "exception"})
"""Answers that the patient takes home on paper."""

_NOT_YET = (State.STARTING, State.NO_DEVICE)

Told = Callable[[str, str], None]
"""(payment key, ``waiting``, ``printed`` or ``failed``)."""


class Slips:
    """One printer."""

    def __init__(self, receipt: Receipt, terminal: str, journal: Journal, printer: Printer) -> None:
        self._receipt = receipt
        self._terminal = terminal
        self._journal = journal
        self._printer = printer
        self._reprint: set[str] = set()
        self._owed: list[str] = []
        """Recovered slips that wait for the printer to come up."""
        self._watchers: list[Told] = []

    def watch(self, watcher: Told) -> None:
        """Call ``watcher`` on what becomes of every slip."""
        self._watchers.append(watcher)

    def answered(self, told: protocol.Told) -> None:
        """News of a payment, journaled: the slip follows, whoever waits or not."""
        entry = self._journal.get(told.key)
        if told.state in SLIP_STATES and entry is not None and entry.slip:
            crash_point("K10 told, not printed")
            self.begin(told.key)

    def recover(self) -> None:
        """After a restart: slips that may not have come out are printed again, marked, since
        nobody knows whether they did (K10). A printer at a line is not there yet when the program
        starts: they wait for it."""
        self._owed = self._journal.unprinted_keys()
        self._reprint.update(self._owed)
        self._printer.watch(self._printer_says)
        self._catch_up()

    def _printer_says(self, _event: DeviceEvent) -> None:
        self._catch_up()

    def _catch_up(self) -> None:
        if self._owed and self._printer.status() not in _NOT_YET:
            owed, self._owed = self._owed, []
            Deferred.fromCoroutine(self._print_all(owed)).addErrback(self._unprinted)

    async def _print_all(self, keys: list[str]) -> None:
        """One after the other, since a printer takes few orders at a time. Raises DeviceError."""
        for key in keys:
            await self.print(key)

    def begin(self, key: str) -> None:
        """Print without waiting; watchers hear of it."""
        Deferred.fromCoroutine(self.print(key)).addErrback(self._unprinted)

    async def print(self, key: str) -> None:
        """Print; a second time, or after a restart, with 重打印 on it. Raises DeviceError,
        KeyError."""
        self._tell(key, "waiting")
        end = "failed"
        try:
            await self._printer.print_raw(key, self.text(key))
            self._journal.printed(key)
            end = "printed"
        finally:
            self._tell(key, end)

    def text(self, key: str, *, copy: bool | None = None) -> str:
        """The slip as it would print now. Raises KeyError."""
        entry = self._journal.get(key)
        if entry is None:
            raise KeyError(key)
        return slip(
            entry,
            hospital_name=self._receipt.hospital_name,
            terminal=self._terminal,
            columns=self._receipt.columns,
            copy=entry.copies > 0 or key in self._reprint if copy is None else copy,
        )

    def _tell(self, key: str, what: str) -> None:
        for watcher in self._watchers:
            watcher(key, what)

    def _unprinted(self, failure: Failure) -> None:
        """Named boundary. The printer is out: the journal knows, and the attendant reprints by
        key. Anything else is a defect, and costs this slip alone."""
        if failure.check(DeviceError):
            _log.warning("slip_not_printed", reason=str(failure.value))
        else:
            _log.error("slip_failed", exc_info=failure.value)
