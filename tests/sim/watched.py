"""The database of a world, with what an auditor wants to know of its commits."""

from collections.abc import Callable
from typing import Any

from switch.store.memory import MemoryDatabase
from tests.sim.batch_desk import Rows
from tests.sim.clock import SimClock
from tests.sim.reading import Identity


class Watched(MemoryDatabase):
    """``committed``: (key, version) → when. ``settled``: the rows of the settlements."""

    def __init__(self, clock: SimClock, trace: Callable[..., None]) -> None:
        super().__init__()
        self.batches.rows = self.settled = Rows(self)
        self.committed: dict[tuple[str, int], float] = {}
        self.referring: dict[str, list[str]] = {}
        """Original → what was committed for it."""
        self.owners: dict[Identity, str] = {}
        """Numbers at the bank → the payment they were committed for."""
        self.named_at: dict[Identity, float] = {}
        """And when."""
        self._clock = clock
        self._trace = trace

    def apply(self, write: Any, fence: int, node: str, at: int) -> Any:
        """See MemoryDatabase."""
        result = super().apply(write, fence, node, at)
        payment = write.payment
        if result.committed:
            self.committed[payment.key, payment.version] = self._clock.rightNow
            for one in write.identities:
                identity = one.merchant, one.terminal, one.batch, one.stan
                self.owners[identity] = payment.key
                self.named_at[identity] = self._clock.rightNow
            if payment.version == 1 and payment.original:
                self.referring.setdefault(payment.original, []).append(payment.key)
            trail = self.events[payment.key, payment.version][0]
            self._trace(node, "commits", payment.key, payment.version, trail)
        else:
            self._trace(node, "loses", payment.key, payment.version, result.reason)
        return result
