"""Batches that fill up: settled before their totals run out of digits (rule 19).

A settlement message has so many digits for its counts; a batch with more transactions could not be
settled at all. Nearly full: its settlement is ordered, whatever the timetable says, once a day and
once more when it is full. Full: no payment begins on its terminal until the batch is closed; the
bank's other terminals carry the load.
"""

from switch.model.batch import Batch, BatchBank, Batches, BatchSize
from switch.model.logical_terminal import LogicalTerminal
from switch.observe.logs import get_logger
from switch.payment.batch import counted, members, totals
from switch.ports import Timeline

_log = get_logger("settlement")


LOOK_MS = 10_000
"""Between two looks at one bank whose batches are not half full."""
LOOK_CLOSELY_MS = 1_000
"""Between two looks at others: a busy terminal makes dozens of transactions a second."""


class Fullness:
    """Looks at the batches of terminals that this node has."""

    def __init__(self, batches: Batches, timeline: Timeline) -> None:
        self._batches = batches
        self._timeline = timeline
        self._known: dict[LogicalTerminal, tuple[BatchSize, bool]] = {}
        """The size at which it was counted last, and whether it was full."""
        self._found: dict[str, tuple[int, frozenset[LogicalTerminal]]] = {}
        """By bank: until when what was found counts."""

    def closed(self, terminal: LogicalTerminal) -> None:
        """A settlement came to its end: what was found does not count any more."""
        self._found.pop(terminal.bank, None)

    async def look(self, name: str, bank: BatchBank) -> frozenset[LogicalTerminal]:
        """Order what must be settled. Answers the terminals on which nothing may begin. Raises
        JournalDown."""
        now = self._timeline.now_ms()
        until, found = self._found.get(name, (now, frozenset()))
        if now < until:
            return found
        stopped = set()
        wait_ms = LOOK_MS
        for size in await self._batches.sizes(name):
            if 2 * size.messages > bank.terms.nearly_full:
                wait_ms = LOOK_CLOSELY_MS
            if size.messages < bank.terms.nearly_full or size.terminal not in bank.terminals:
                continue
            full = await self._full(bank, size)
            if full:
                stopped.add(size.terminal)
            if bank.mine(size.terminal):
                await self._order(size, full=full)
        self._found[name] = (now + wait_ms, frozenset(stopped))
        return frozenset(stopped)

    async def _order(self, size: BatchSize, *, full: bool) -> None:
        day, _ = self._timeline.wall_clock()
        due = f"{day} {size.number}{' full' if full else ''}"
        if await self._batches.order(size.terminal, due, self._timeline.now_ms()):
            _log.warning("batch_fills_up", messages=size.messages, full=full, **_names(size))

    async def _full(self, bank: BatchBank, size: BatchSize) -> bool:
        """Messages that were refused or reversed are none of the totals: count the others, once for
        each size."""
        if size.messages < bank.terms.full:
            return False
        before, full = self._known.get(size.terminal, (None, False))
        if before == size:
            return full
        batch = Batch(
            terminal=size.terminal, number=size.number, since=size.since, ordered_at=size.since
        )
        found = members(batch, await self._batches.payments(batch))
        standing = counted(bank.terms, found)
        on_their_way = sum(one.open and not one.stands for one in found)
        sums = totals(bank.terms, standing)
        now_full = max(sums.debit_count, sums.credit_count) + on_their_way >= bank.terms.full
        if now_full and not full:
            _log.error("alarm", text="a batch is full: nothing begins in it", **_names(size))
        self._known[size.terminal] = (size, now_full)
        return now_full


def _names(size: BatchSize) -> dict[str, str]:
    terminal = size.terminal
    return {"bank": terminal.bank, "terminal": terminal.terminal, "batch": size.number}
