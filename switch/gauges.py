"""Figures that are read from the engine's state now and then: reversal backlog and its age."""

from collections import defaultdict

from switch.engine import Engine
from switch.model.outcome import Millis
from switch.model.payment import LegState
from switch.observe import metrics
from switch.ports import Cancellable, Timeline

EVERY_MS = 1_000

_GOING_BACK = (LegState.UNDOING, LegState.UNDO_WAIT)


class Gauges:
    """Refreshes the backlog gauges once a second (I3, I15)."""

    def __init__(self, engine: Engine, timeline: Timeline) -> None:
        self._engine = engine
        self._timeline = timeline
        self._next: Cancellable | None = None
        self._named: set[str] = set()

    def start(self) -> None:
        """Read now, and again every second."""
        self._read()
        at = Millis(self._timeline.now_ms() + EVERY_MS)
        self._next = self._timeline.call_at(at, self.start)

    def stop(self) -> None:
        """No more reading."""
        if self._next is not None:
            self._next.cancel()

    def _read(self) -> None:
        now = self._timeline.now_ms()
        waiting: dict[str, int] = defaultdict(int)
        oldest: dict[str, int] = defaultdict(int)
        for driver in self._engine.live():
            for leg in driver.payment.legs:
                if leg.state in _GOING_BACK:
                    waiting[leg.counterparty] += 1
                    age = now - (leg.sent_at or now)
                    oldest[leg.counterparty] = max(oldest[leg.counterparty], age)
        self._named |= waiting.keys()
        for name in self._named:
            metrics.REVERSALS_WAITING.labels(name).set(waiting[name])
            metrics.REVERSAL_OLDEST_SECONDS.labels(name).set(oldest[name] / 1000)
