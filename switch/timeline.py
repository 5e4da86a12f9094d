"""The shell's clock over Twisted's reactor (I14)."""

import time
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall

from switch.model.outcome import Millis
from switch.ports import Cancellable


class ReactorTime(Protocol):
    """What is used of a reactor, or of ``twisted.internet.task.Clock``."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: object, *args: object) -> IDelayedCall: ...  # noqa: A002 - Twisted's names


class _Call:
    """A delayed call that may be cancelled at any time."""

    __slots__ = ("_call",)

    def __init__(self, call: IDelayedCall) -> None:
        self._call = call

    def cancel(self) -> None:
        if self._call.active():
            self._call.cancel()


class ReactorTimeline:
    """Wall time at start plus monotonic time since: a step of the wall clock moves no timer.

    ``monotonic_s`` and ``epoch_s`` are the two clocks (the simulator gives its own).
    """

    def __init__(
        self,
        reactor: ReactorTime,
        monotonic_s: Callable[[], float] = time.monotonic,
        epoch_s: Callable[[], float] = time.time,
    ) -> None:
        self._reactor = reactor
        self._monotonic_s = monotonic_s
        self._epoch_s = epoch_s
        self._offset_s = epoch_s() - monotonic_s()

    def now_ms(self) -> Millis:
        """Now, on the house's time line."""
        return Millis(int((self._monotonic_s() + self._offset_s) * 1000))

    def call_at(self, at: Millis, what: Callable[[], object]) -> Cancellable:
        """Call ``what`` at ``at``, or in the next turn when that is past."""
        delay_s = max(0, at - self.now_ms()) / 1000
        return _Call(self._reactor.callLater(delay_s, what))

    def wall_clock(self) -> tuple[str, str]:
        """Local date and time as a slip and fields 12 and 13 show them."""
        now = time.localtime(self._epoch_s())
        return time.strftime("%Y%m%d", now), time.strftime("%H%M%S", now)
