"""The audit log of a daemon: no audit, no service."""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm.audit import policy
from hsm.audit.chain import RECOVERED, AuditKey
from hsm.audit.counts import Counts
from hsm.audit.record import NUMBER_MAX, Detail, Event
from hsm.audit.writer import AuditBrokenError, Writer

FORMAT: Final = 1


class AuditDown(Exception):  # noqa: N818 - a state of the world, told as one
    """Nothing can be recorded, so nothing may be done: answer 41. The text is a reason's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds the log, in memory and on the disk."""

    file_bytes_max: int = 4 * 2**20
    """A file this long is followed by the next one. Going on after a fault reads one again."""
    free_bytes_min: int = 16 * 2**20
    """With less space than this on the disk the log is down: before the disk is quite full."""
    cells_max: int = 4096
    """(client, command, error) kinds counted in a minute; further ones share one cell."""
    singles_per_minute: int = 60
    """Failed verifications and refused key commands recorded singly for each client in a minute;
    further ones are summarised when it is over."""
    retry_ms: int = 1000
    """How long a log that is down waits before it is tried again."""


class AuditLog:
    """Records who did what. One thread; every time is UTC in milliseconds.

    Ask :attr:`down` before each command and answer 41 while it is not empty.
    """

    def __init__(
        self, writer: Writer, clock: Callable[[], int], daemon_name: str, limits: Limits
    ) -> None:
        """As :meth:`open` makes it."""
        now_ms = clock()
        self._daemon_name = daemon_name
        self._writer = writer
        self._clock = clock
        self._limits = limits
        self._down_since_ms = self._tried_ms = 0
        self._singles: dict[str, int] = {}
        self._beyond = Counts(policy.SUMMARISED, limits.cells_max, now_ms)
        self.counts = Counts(policy.COMMANDS_COUNTED, limits.cells_max, now_ms)
        self.down = ""
        """Why nothing can be recorded: an error's name (``ENOSPC``), ``space``, ``broken``."""

    @classmethod
    def open(
        cls,
        folder: Path,
        key: AuditKey,
        clock: Callable[[], int],
        daemon_name: str,
        *,
        check_values: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> "AuditLog":
        """Begin a log, or check the end of one and go on. ``check_values``: LMK id → check value.

        AuditBrokenError: the log was changed. AuditInUseError: another daemon writes it.
        AuditDown: the disk does not let us.
        """
        limits = limits or Limits()
        writer = Writer(folder, key, clock, limits.file_bytes_max)
        details: dict[str, Detail] = {"daemon": daemon_name, "key_id": key.id, "format": FORMAT}
        for lmk_id, value in (check_values or {}).items():
            details[f"check_value_{lmk_id}"] = value
        log = cls(writer, clock, daemon_name, limits)
        try:
            writer.lock()
            log._go_on("crash")
            began = "log.opened" if writer.last.seq else "log.began"
            log.record(began, who=(daemon_name,), details=details)
        except OSError as error:
            writer.close()
            raise AuditDown(_name(error)) from None
        except (AuditDown, AuditBrokenError, ValueError):
            writer.close()
            raise
        return log

    def record(
        self,
        what: str,
        *,
        who: tuple[str, ...],
        details: Mapping[str, Detail] | None = None,
        result: str = "00",
    ) -> None:
        """Record one event. Once this returns it is on the disk, but for policy.SYNCED_LATER.

        AuditDown: it is not recorded for sure; answer 41. RefusedDetailError: it holds what no log
        may hold.
        """
        event = Event(what=what, who=who, details=details or {}, result=result)
        if self.down:
            raise AuditDown(self.down)
        try:
            self._writer.append(event)
            if what not in policy.SYNCED_LATER:
                self._writer.sync()
        except OSError as error:
            self._fail(_name(error))
            raise AuditDown(self.down) from None

    def performed(
        self,
        client: str,
        command: str,
        error: str,
        details: Mapping[str, Detail] | None = None,
    ) -> None:
        """A host command was done or refused: counted, recorded, or both, as hsm.audit.policy says.

        Call it before the answer goes out. Raises as :meth:`record` does.
        """
        if command in policy.COUNTED:
            self.counts.add(client, command, error)
            if error == "01" and command in policy.VERIFYING:
                self._bounded(policy.FAILED, client, command, error, details)
        elif error in policy.DONE:
            what = policy.EVENTS.get(command, policy.PERFORMED)
            self.record(what, who=(client,), details=_with(command, details), result=error)
        else:
            self._bounded(policy.REFUSED, client, command, error, details)

    def tick(self, now_ms: int) -> None:
        """Call once a second: counts, summaries, the disk, and recovery. Never raises."""
        if self.down:
            self._try_again(now_ms)
        if self.down:
            return
        try:
            if self._writer.free_bytes() < self._limits.free_bytes_min:
                self._fail("space")
                return
            if self.counts.due(now_ms):
                self._flush(now_ms)
            self._writer.sync()
        except OSError as error:
            self._fail(_name(error))

    def close(self) -> None:
        """Write the last counts and ``log.closed``, as far as the disk allows; give the lock up."""
        try:
            if not self.down:
                self._flush(self._clock())
                self._writer.append(Event(what="log.closed", who=(self._daemon_name,)))
                self._writer.sync()
        except OSError as error:
            self._fail(_name(error))
        finally:
            self._writer.close()

    def _bounded(
        self,
        what: str,
        client: str,
        command: str,
        error: str,
        details: Mapping[str, Detail] | None,
    ) -> None:
        recorded = self._singles.get(client, 0)
        if recorded >= self._limits.singles_per_minute or (
            not recorded and len(self._singles) >= self._limits.cells_max
        ):
            self._beyond.add(client, command, error)
            return
        self._singles[client] = recorded + 1
        self.record(what, who=(client,), details=_with(command, details), result=error)

    def _flush(self, now_ms: int) -> None:
        for counts in (self.counts, self._beyond):
            for event, cells in counts.flush(now_ms):
                self._writer.append(event)
                counts.drop(cells)
        self._singles.clear()

    def _fail(self, reason: str) -> None:
        if not self.down:
            self._down_since_ms = self._clock()
        self.down = reason
        self._tried_ms = self._clock()

    def _try_again(self, now_ms: int) -> None:
        # A wall clock that was set back must not make us wait: then now is before the last try.
        if self.down == "broken" or 0 <= now_ms - self._tried_ms < self._limits.retry_ms:
            return
        self._tried_ms = now_ms
        reason = self.down
        try:
            if self._writer.free_bytes() < self._limits.free_bytes_min:
                return
            self._go_on(reason, now_ms)
        except OSError as error:
            self._fail(_name(error))
        except AuditBrokenError:
            self._fail("broken")

    def _go_on(self, reason: str, now_ms: int | None = None) -> None:
        """Check what is on the disk; after a crash or a fault say so in the log."""
        self._writer.resume()
        details = self._writer.torn()
        if now_ms is not None:
            details["down_ms"] = min(max(0, now_ms - self._down_since_ms), NUMBER_MAX - 1)
        if details or self._writer.last_what not in ("", "log.closed"):
            details["reason"] = reason
            self._writer.append(Event(what=RECOVERED, who=(self._daemon_name,), details=details))
            self._writer.sync()
        self.down = ""


def _with(command: str, details: Mapping[str, Detail] | None) -> dict[str, Detail]:
    return {"command": command, **(details or {})}


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "EIO")
