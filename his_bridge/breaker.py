"""The circuit breaker: no new debits while the hospital cannot book (I6).

A value without clock or timers of its own; the hospital tells it what happened and asks.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from switch.model.outcome import Millis


class BreakerState(StrEnum):
    """CLOSED: all is well. OPEN: wait. HALF_OPEN: a probe is out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``failures`` in a row open it; ``open_ms`` later a probe goes out."""

    failures: Annotated[int, Meta(ge=1)]
    """Calls in a row without a readable answer."""
    open_ms: Annotated[int, Meta(ge=1)]
    """Until the next probe."""


class Breaker:
    """Counts failures in a row: no answer, or none that can be read. Any readable answer closes."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._failures = 0
        self.state = BreakerState.CLOSED

    def failed(self, now: Millis) -> Millis | None:
        """One more failure; returns when to probe if the breaker opens by it."""
        self._failures += 1
        closed = self.state is BreakerState.CLOSED
        if self.state is BreakerState.OPEN or (closed and self._failures < self._settings.failures):
            return None
        self.state = BreakerState.OPEN
        return Millis(now + self._settings.open_ms)

    def succeeded(self) -> None:
        """The HIS talks to us."""
        self._failures = 0
        self.state = BreakerState.CLOSED

    def probing(self) -> bool:
        """The time has come; True if a probe shall go out now."""
        if self.state is not BreakerState.OPEN:
            return False
        self.state = BreakerState.HALF_OPEN
        return True
