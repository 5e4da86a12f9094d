"""STANs, batches and working keys in memory: the tables of :mod:`.numbers` as dicts."""

from collections.abc import Awaitable, Callable
from typing import Any

from switch.ports import LogicalTerminal, StanBlock, WorkingKeys
from switch.store.errors import WriteRejected
from switch.store.numbers import STAN_MAX

Settle = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a piece of work in the database's time."""

_FIRST_BATCH = "000001"


class Counters:
    """The rows: each terminal's batch and its next STAN."""

    def __init__(self) -> None:
        self.batches: dict[LogicalTerminal, str] = {}
        self.next_stans: dict[LogicalTerminal, int] = {}


class MemoryNumbers:
    """``ports.Numbers``."""

    def __init__(self, counters: Counters, settle: Settle) -> None:
        self._counters = counters
        self._settle = settle

    async def reserve(self, terminal: LogicalTerminal, count: int) -> StanBlock:
        """As ``PostgresNumbers.reserve``."""
        if not 1 <= count <= STAN_MAX:
            raise WriteRejected(f"{count} STANs asked for: 1 to {STAN_MAX} can be given")

        def work() -> StanBlock:
            batch = self._counters.batches.setdefault(terminal, _FIRST_BATCH)
            first = self._counters.next_stans.get(terminal, 1)
            last = min(first + count - 1, STAN_MAX)
            self._counters.next_stans[terminal] = 1 if last == STAN_MAX else last + 1
            return StanBlock(batch=batch, first=first, last=last)

        block: StanBlock = await self._settle(work)
        return block

    async def open_batch(self, terminal: LogicalTerminal) -> str:
        """As ``PostgresNumbers.open_batch``."""
        batch: str = await self._settle(lambda: self._counters.batches.get(terminal, ""))
        return batch

    async def adopt_batch(self, terminal: LogicalTerminal, batch: str) -> None:
        """As ``PostgresNumbers.adopt_batch``."""
        await self._settle(lambda: self._counters.batches.__setitem__(terminal, batch))


class MemoryKeys:
    """``ports.Keys``."""

    def __init__(self, rows: dict[LogicalTerminal, WorkingKeys], settle: Settle) -> None:
        self._rows = rows
        self._settle = settle

    async def load(self, terminal: LogicalTerminal) -> WorkingKeys | None:
        """As ``PostgresKeys.load``."""
        keys: WorkingKeys | None = await self._settle(lambda: self._rows.get(terminal))
        return keys

    async def install(self, terminal: LogicalTerminal, keys: WorkingKeys) -> bool:
        """As ``PostgresKeys.install``."""

        def work() -> bool:
            newest = self._rows.get(terminal)
            if (newest.generation if newest else 0) == keys.generation - 1:
                self._rows[terminal] = keys
            return self._rows.get(terminal) == keys

        installed: bool = await self._settle(work)
        return installed
