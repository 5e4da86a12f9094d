"""The lane of reversals (冲正通道): beside the sales, never starved by them, and in order.

Rules
- It has ``limit`` places of its own for the whole bank, whatever the sales do (I3, I11).
- Of one logical terminal no more go at once than it takes payments at once, those of the oldest
  sales first; a terminal whose reversals wait holds up no other terminal.
- Whoever finds no place within ``wait_ms``, or ``line_limit`` before it, does not enter: nothing is
  sent, and the payment machine tries again after its back-off. Nothing is dropped.
"""

from collections import Counter
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred

from switch.model.outcome import Millis
from switch.ports import Cancellable, Timeline

Terminal = TypeVar("Terminal")


class _Waiter(Generic[Terminal]):
    __slots__ = ("deferred", "places", "since", "terminal", "timer")

    def __init__(self, terminal: Terminal, places: int, since: int) -> None:
        self.terminal = terminal
        self.since = since
        self.places = places
        self.deferred: Deferred[bool] = Deferred()
        self.timer: Cancellable | None = None


class Lane(Generic[Terminal]):
    """See the module."""

    def __init__(self, limit: int, line_limit: int, wait_ms: int, timeline: Timeline) -> None:
        self._limit = limit
        self._line_limit = line_limit
        self._wait_ms = wait_ms
        self._timeline = timeline
        self._out: Counter[Terminal] = Counter()
        self._line: list[_Waiter[Terminal]] = []

    async def enter(self, terminal: Terminal, places: int, since: int) -> bool:
        """A place among the ``places`` of this terminal; False: none in time. Of those that wait
        the oldest ``since`` goes first. A place that was got must be left."""
        ahead = any(waiter.terminal == terminal for waiter in self._line)
        if not ahead and self._free(terminal, places):
            self._out[terminal] += 1
            return True
        if len(self._line) >= self._line_limit:
            return False
        waiter = _Waiter(terminal, places, since)
        self._line.append(waiter)
        at = Millis(self._timeline.now_ms() + self._wait_ms)
        waiter.timer = self._timeline.call_at(at, lambda: self._end(waiter, entered=False))
        return await waiter.deferred

    def leave(self, terminal: Terminal) -> None:
        """Its exchange has ended: whoever may go next, goes."""
        self._out[terminal] -= 1
        if not self._out[terminal]:
            del self._out[terminal]
        for waiter in sorted(self._line, key=lambda one: one.since):
            # One that goes may fail at once and leave, and serve the others before we do.
            if waiter in self._line and self._free(waiter.terminal, waiter.places):
                self._out[waiter.terminal] += 1
                self._end(waiter, entered=True)

    def _free(self, terminal: Terminal, places: int) -> bool:
        return self._out.total() < self._limit and self._out[terminal] < places

    def _end(self, waiter: "_Waiter[Terminal]", *, entered: bool) -> None:
        self._line.remove(waiter)
        if waiter.timer is not None:
            waiter.timer.cancel()
        waiter.deferred.callback(entered)
