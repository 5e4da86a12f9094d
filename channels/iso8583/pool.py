"""The pool of logical terminals: a sale leases one, waits a bounded time, or is not sent.

Behaviour at the limits (I11): ``in_flight_limit`` leases at once over all clearings; a sale that
finds none free waits in line at most ``queue_wait_ms``; ``queue_limit`` may wait, one more is
refused at once. As many undos by messages of their own may wait besides, each in its turn: neither
keeps the other out. A lease that nobody gave back (its payment was lost to another node between
prepare and commit) is taken back after ``lease_limit_ms``.

A terminal dedicated to a kiosk serves that kiosk alone, and a kiosk that has terminals of its own
in a clearing uses no other there (rule 15).
"""

from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred

from channels.iso8583.config import Config
from channels.iso8583.terminal import Terminal
from switch.model.outcome import Millis
from switch.observe.logs import get_logger
from switch.ports import Cancellable, Timeline

_log = get_logger("iso8583.pool")

LeaseKey = tuple[str, int]
"""Payment key and leg index."""


class PoolLimits(Struct, frozen=True, kw_only=True):
    """The pool's bounds."""

    in_flight_limit: int
    queue_limit: int
    queue_wait_ms: int
    lease_limit_ms: int


def pool_limits(config: Config) -> PoolLimits:
    """A bank's, by its configuration."""
    return PoolLimits(
        in_flight_limit=config.in_flight_limit,
        queue_limit=config.queue_limit,
        queue_wait_ms=config.queue_wait_ms,
        # A lease is needed from before the commit to the answer; twice the bank's time is ample.
        lease_limit_ms=2 * config.response_timeout_ms + config.queue_wait_ms,
    )


class _Waiter:
    __slots__ = ("deferred", "ring", "timer", "undo")

    def __init__(self, ring: deque[Terminal], *, undo: bool) -> None:
        self.ring = ring
        self.undo = undo
        self.deferred: Deferred[Terminal | None] = Deferred()
        self.timer: Cancellable | None = None


class Pool:
    """Leases by payment leg. First come, first served within a clearing. ``changed`` is called when
    somebody gets in line for terminals that another node may spare, and when one that is to leave
    is idle."""

    def __init__(
        self,
        bank: str,
        terminals: Sequence[Terminal],
        limits: PoolLimits,
        timeline: Timeline,
        changed: Callable[[], object],
    ) -> None:
        self._bank = bank
        self._limits = limits
        self._timeline = timeline
        self._changed = changed
        self._rings: dict[tuple[str, str], deque[Terminal]] = {}
        """(clearing, kiosk) → its terminals; kiosk "" = everybody's."""
        for terminal in terminals:
            ring = (terminal.config.clearing, terminal.config.kiosk)
            self._rings.setdefault(ring, deque()).append(terminal)
        self._leases: dict[LeaseKey, tuple[Terminal, int]] = {}
        self._line: deque[_Waiter] = deque()

    def ready(self, clearing: str) -> bool:
        """Whether any terminal of this clearing may take new debits: a busy one counts, and so
        does one that another node may give up."""
        rings = [terminals for ring, terminals in self._rings.items() if ring[0] == clearing]
        if not rings:
            self._tell_absent(clearing)
        return any(
            terminal.fresh or terminal.elsewhere for terminals in rings for terminal in terminals
        )

    def leased(self, key: LeaseKey) -> Terminal | None:
        """The terminal a leg holds."""
        lease = self._leases.get(key)
        return lease[0] if lease else None

    def waiting(self) -> list[Sequence[Terminal]]:
        """For each one in line, in order: the terminals that would do."""
        return [waiter.ring for waiter in self._line]

    async def lease(self, key: LeaseKey, clearing: str, kiosk: str = "") -> Terminal | None:
        """A free signed-on terminal, or None when there was none in time. ``kiosk`` is where the
        payment comes from."""
        ring = self._rings.get((clearing, kiosk)) or self._rings.get((clearing, ""))
        if ring is None:
            self._tell_absent(clearing)
            return None
        return await self._lease(key, ring)

    def _tell_absent(self, clearing: str) -> None:
        """It can never be served, whatever the link does: somebody must look at the settings."""
        rule = f"no terminal that everybody may use is of clearing {clearing!r}"
        _log.warning("not_taken", bank=self._bank, field="clearing", rule=rule)

    async def lease_this(
        self, key: LeaseKey, terminal: Terminal, *, undo: bool = False
    ) -> Terminal | None:
        """This terminal and no other: what refers to an original goes by the original's.
        ``undo``: a settlement waits for what is undone, so its undo is let in where a new payment
        is not."""
        return await self._lease(key, deque((terminal,)), undo=undo)

    async def _lease(
        self, key: LeaseKey, ring: deque[Terminal], *, undo: bool = False
    ) -> Terminal | None:
        self.release(key)
        terminal = self._free(ring, undo=undo)
        if terminal is None:
            if sum(waiter.undo is undo for waiter in self._line) >= self._limits.queue_limit:
                return None
            terminal = await self._wait(ring, undo=undo)
            if terminal is None:
                return None
        self._leases[key] = (terminal, self._timeline.now_ms())
        return terminal

    def release(self, key: LeaseKey) -> None:
        """Give back; again is harmless."""
        lease = self._leases.pop(key, None)
        if lease is not None:
            lease[0].leases -= 1
            self.serve()
            if lease[0].leaving and lease[0].idle:
                self._changed()

    def serve(self) -> None:
        """Something became free: the first in line whom it fits gets it."""
        for waiter in tuple(self._line):
            if waiter not in self._line:  # served while we were: one that failed gave back at once
                continue
            terminal = self._free(waiter.ring, undo=waiter.undo)
            if terminal is not None:
                self._leave(waiter, terminal)

    def _free(self, ring: deque[Terminal], *, undo: bool) -> Terminal | None:
        """The next terminal in turn with room, its place counted already."""
        if len(self._leases) >= self._limits.in_flight_limit:
            return None
        for _ in range(len(ring)):
            terminal = ring[0]
            ring.rotate(-1)
            barred = terminal.leaving or (terminal.settling and not undo)
            room = terminal.leases < terminal.config.in_flight and not barred
            if room and terminal.fresh:
                terminal.leases += 1
                return terminal
        return None

    async def _wait(self, ring: deque[Terminal], *, undo: bool) -> Terminal | None:
        self.reclaim()
        waiter = _Waiter(ring, undo=undo)
        self._line.append(waiter)
        at = Millis(self._timeline.now_ms() + self._limits.queue_wait_ms)
        waiter.timer = self._timeline.call_at(at, lambda: self._leave(waiter, None))
        self.serve()
        if waiter in self._line and any(terminal.elsewhere for terminal in ring):
            self._changed()
        return await waiter.deferred

    def _leave(self, waiter: _Waiter, terminal: Terminal | None) -> None:
        self._line.remove(waiter)
        if waiter.timer is not None:
            waiter.timer.cancel()
        waiter.deferred.callback(terminal)

    def reclaim(self) -> None:
        """Take back leases that outlived every exchange they could have been for."""
        oldest = self._timeline.now_ms() - self._limits.lease_limit_ms
        for key, (terminal, since) in tuple(self._leases.items()):
            if since < oldest:
                _log.warning("lease_reclaimed", terminal=terminal.config.terminal)
                self.release(key)
