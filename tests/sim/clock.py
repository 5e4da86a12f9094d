"""Virtual time: Twisted's Clock with a heap, so that idle hours cost nothing."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from twisted.internet.task import Clock


class Call:
    """A delayed call (IDelayedCall, as far as the house uses it)."""

    __slots__ = ("args", "done", "function", "kwargs", "time")

    def __init__(
        self, time: float, function: Callable[..., object], args: tuple, kwargs: dict[str, Any]
    ) -> None:
        self.time = time
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.done = False

    def active(self) -> bool:
        return not self.done

    def cancel(self) -> None:
        self.done = True
        self.function = _nothing
        self.args = ()

    def getTime(self) -> float:
        return self.time


class SimClock(Clock):
    """One heap for the whole world; equal times run in the order they were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._heap: list[tuple[float, int, Call]] = []
        self._number = 0

    def callLater(self, delay: float, function: Any, *args: Any, **kwargs: Any) -> Any:
        call = Call(self.rightNow + delay, function, args, kwargs)
        self._number += 1
        heappush(self._heap, (call.time, self._number, call))
        return call

    def run(self, until_s: float, enough: Callable[[], bool] | None = None) -> None:
        """Make every call due before ``until_s``; stop early when ``enough`` says so."""
        heap = self._heap
        while heap and heap[0][0] <= until_s:
            at, _, call = heappop(heap)
            if call.done:
                continue
            self.rightNow = at
            call.done = True
            call.function(*call.args, **call.kwargs)
            if enough is not None and enough():
                return
        self.rightNow = max(self.rightNow, until_s)


def _nothing() -> None:
    """What a cancelled call calls."""
