"""Settlements of batches in memory: the table of :mod:`.batches` as a list."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from switch.model.batch import FROZEN, OPEN, Batch, BatchSize, BatchState, Gate
from switch.model.outcome import Millis
from switch.model.payment import Payment
from switch.ports import LogicalTerminal
from switch.store.batches import SLACK_MS
from switch.store.memory_numbers import Counters, Settle


class BatchRows:
    """The rows."""

    def __init__(self) -> None:
        self.rows: list[Batch] = []
        self.messages: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}
        """By bank, merchant, terminal and batch: each identity, and when it was taken."""

    def take(self, identities: Iterable[tuple[str, ...]], at: int) -> None:
        """Messages enter their batches."""
        for one in identities:
            self.messages.setdefault(one[:4], {})[one] = at

    def since(self, of: tuple[str, ...], since: int) -> list[tuple[str, ...]]:
        """Identities of a batch that are no older."""
        return [one for one, at in self.messages.get(of, {}).items() if at >= since]

    def of(self, terminal: LogicalTerminal, number: str) -> list[Batch]:
        """All settlements of a batch."""
        return [one for one in self.rows if (one.terminal, one.number) == (terminal, number)]

    def shut(self, identity: tuple[str, ...], counters: Counters) -> bool:
        """Whether a message of this identity comes too late for its batch: its totals are
        committed, or it is closed and not in use again."""
        bank, merchant, terminal, number = identity[:4]
        of = LogicalTerminal(bank=bank, merchant=merchant, terminal=terminal)
        present = counters.batches.get(of, number) == number
        return any(
            one.state in FROZEN or (one.state is BatchState.CLOSED and not present)
            for one in self.of(of, number)
        )


class Row(Protocol):
    """A payment's row."""

    def payment(self) -> Payment: ...


class Tables(Protocol):
    """What it needs of the database."""

    batches: BatchRows
    counters: Counters
    identities: dict[tuple[str, ...], str]

    @property
    def rows(self) -> Mapping[str, Row]: ...


class MemoryBatches:
    """``model.batch.Batches``."""

    def __init__(self, tables: Tables, settle: Settle) -> None:
        self._rows = tables.batches
        self._counters = tables.counters
        self._tables = tables
        self._settle = settle

    async def order(self, terminal: LogicalTerminal, due: str, at: Millis) -> bool:
        """As ``PostgresBatches.order``."""

        def work() -> bool:
            number = self._counters.batches.get(terminal)
            own = [one for one in self._rows.rows if one.terminal == terminal]
            if number is None or any(one.state in OPEN for one in own):
                return False
            if due and any(one.due == due for one in own):
                return False
            since = max((one.closed_at for one in self._rows.of(terminal, number)), default=0)
            row = Batch(
                terminal=terminal,
                number=number,
                id=len(self._rows.rows) + 1,
                due=due,
                ordered_at=at,
                since=since,
            )
            self._rows.rows.append(row)
            return True

        done: bool = await self._settle(work)
        return done

    async def open(self, bank: str) -> Sequence[Batch]:
        """As ``PostgresBatches.open``."""
        found: Sequence[Batch] = await self._settle(
            lambda: [o for o in self._rows.rows if o.terminal.bank == bank and o.state in OPEN]
        )
        return found

    async def sizes(self, bank: str) -> Sequence[BatchSize]:
        """As ``PostgresBatches.sizes``."""

        def size(terminal: LogicalTerminal, number: str) -> BatchSize:
            of = (terminal.bank, terminal.merchant, terminal.terminal, number)
            since = max((one.closed_at for one in self._rows.of(terminal, number)), default=0)
            messages = len(self._rows.since(of, since - SLACK_MS))
            return BatchSize(terminal=terminal, number=number, messages=messages, since=since)

        def work() -> list[BatchSize]:
            batches = self._counters.batches.items()
            return [size(terminal, number) for terminal, number in batches if terminal.bank == bank]

        found: Sequence[BatchSize] = await self._settle(work)
        return found

    async def payments(self, batch: Batch) -> Sequence[Payment]:
        """As ``PostgresBatches.payments``."""
        terminal = batch.terminal
        wanted = (terminal.bank, terminal.merchant, terminal.terminal, batch.number)

        def work() -> list[Payment]:
            taken = self._rows.since(wanted, batch.since - SLACK_MS)
            keys = {self._tables.identities[one] for one in taken}
            return [self._tables.rows[key].payment() for key in sorted(keys)]

        found: Sequence[Payment] = await self._settle(work)
        return found

    async def move(self, batch: Batch) -> bool:
        """As ``PostgresBatches.move``."""

        def work() -> bool:
            at = batch.id - 1
            before = self._rows.rows[at]
            if before.version != batch.version - 1:
                return before == batch
            self._rows.rows[at] = batch
            closes = batch.state is BatchState.CLOSED and bool(batch.next_number)
            if closes and self._counters.batches.get(batch.terminal) == batch.number:
                self._counters.batches[batch.terminal] = batch.next_number
            return True

        moved: bool = await self._settle(work)
        return moved

    async def gate(self, terminal: LogicalTerminal, number: str) -> Gate:
        """As ``PostgresBatches.gate``."""

        def work() -> Gate:
            rows = self._rows.of(terminal, number)
            return Gate(
                frozen=any(one.state in FROZEN for one in rows),
                closed_at=max((one.closed_at for one in rows), default=0),
            )

        gate: Gate = await self._settle(work)
        return gate
