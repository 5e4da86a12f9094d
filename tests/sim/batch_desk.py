"""The bank's settlement of batches, and the auditor's look at it (rule 19)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from channels.iso8583 import reading
from channels.iso8583.dialect import Dialect
from channels.iso8583.message import Message
from switch.model.batch import OPEN, Batch, BatchState
from switch.model.payment import LegState
from switch.store.memory import MemoryDatabase
from tests.sim.entry import Entry
from tests.sim.reading import Identity
from tests.sim.violation import Violation

_SUMS = ("debit_count", "debit_amount", "credit_count", "credit_amount")
_UNSETTLED = frozenset(
    {
        *(LegState.DOING, LegState.ASKING, LegState.UNDOING),
        *(LegState.DO_WAIT, LegState.ASK_WAIT, LegState.UNDO_WAIT),
    }
)
"""Something is out, or waits to be sent: nobody knows what it adds up to."""
Owner = tuple[str, str, str]
"""F42, F41, batch."""


class Closing(Struct, frozen=True):
    """One settlement as the bank took it."""

    claimed: tuple[int, ...]
    """The switch's totals: debits, 分, credits, 分."""
    found: tuple[int, ...]
    """The bank's own."""


class Rows(list[Batch]):
    """The rows of the settlements. ``open_at``: of each, the payments that were open in the batch
    at the commit of its totals."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__()
        self.open_at: dict[int, list[str]] = {}
        self._database = database

    def __setitem__(self, at: Any, batch: Any) -> None:
        if batch.state is BatchState.SETTLING and self[at].state is BatchState.ORDERED:
            self.open_at[batch.id] = [*self._open(batch)]
        super().__setitem__(at, batch)

    def _open(self, batch: Batch) -> Iterator[str]:
        wanted = (batch.terminal.merchant, batch.terminal.terminal, batch.number)
        for known, key in self._database.identities.items():
            legs = self._database.rows[key].payment().legs if known[1:4] == wanted else ()
            for leg in legs:
                facts = leg.facts
                for undo in ("", "void_", "refund_"):
                    named = tuple(facts.get(undo + name) for name in ("F42", "F41", "batch"))
                    sent_at = int(facts.get(f"{undo}sent_at", "0")) if undo else leg.sent_at
                    if named == wanted and sent_at >= batch.since and leg.state in _UNSETTLED:
                        yield key


class BatchDesk:
    """``closed``: batches that take nothing any more."""

    def __init__(self, dialect: Dialect, entries: dict[Identity, Entry]) -> None:
        self.closed: dict[Owner, Closing] = {}
        self._entries = entries
        self._settlement = dialect.settlement
        if dialect.settlement is not None:
            wanted = {*_SUMS, "batch"}
            self._reading = reading.Reading(dialect, dialect.settlement.request, wanted)

    def settle(self, message: Message) -> dict[str, str]:
        """0500: compared with the book; said again, it is answered as the first time."""
        assert self._settlement is not None  # recognised by it
        values = self._reading.values(message.fields)
        owner = (message.fields["42"], message.fields["41"], values["batch"])
        claimed = tuple(int(values[name]) for name in _SUMS)
        if owner not in self.closed:
            self.closed[owner] = Closing(claimed, self.totals(owner))
        closing = self.closed[owner]
        balanced = closing.claimed == closing.found
        words = self._settlement.balanced if balanced else self._settlement.unbalanced
        said, part = message.fields["48"], self._settlement.result
        return {"39": "00", "48": said[: part.at] + min(words) + said[part.at + part.size :]}

    def totals(self, owner: Owner) -> tuple[int, ...]:
        """What stands of a batch."""
        assert self._settlement is not None
        sums = []
        for kinds in (self._settlement.debits, self._settlement.credits):
            amounts = [
                entry.net_fen
                for identity, entry in self._entries.items()
                if identity[:3] == owner and entry.net_fen and entry.operation in kinds
            ]
            sums += [len(amounts), sum(amounts)]
        return tuple(sums)

    # ---- the auditor -----------------------------------------------------------------------------

    def findings(
        self, database: MemoryDatabase, open_at: Mapping[int, Sequence[str]]
    ) -> Iterator[Violation]:
        """Every batch comes to an end, with nothing open at the commit of its totals; what was
        settled is what stands, unless a person had some of it, or it was unproven."""
        doubtful = _doubtful(database)
        for batch in database.batches.rows:
            owner = (batch.terminal.merchant, batch.terminal.terminal, batch.number)
            if batch.state in OPEN:
                yield Violation("I3", f"{owner}: its settlement is {batch.state} for ever")
            if batch.state is not BatchState.CLOSED:
                continue
            for key in open_at.get(batch.id, ()):
                yield Violation("I1", f"{owner}: settled while {key} was open (rule 19)")
            closing = self.closed.get(owner)
            if closing is None:
                yield Violation("I7", f"{owner}: closed, and the bank was never asked")
            elif closing.claimed != self.totals(owner) and owner not in doubtful:
                yield Violation(
                    "I1", f"{owner}: {closing.claimed} settled, {self.totals(owner)} stand"
                )


def _doubtful(database: MemoryDatabase) -> set[Owner]:
    """Batches with a payment that was once a person's, or only ever answered 25."""
    keys = {
        key
        for (key, _), (where, _) in database.events.items()
        if ":stuck" in where or ":unproven" in where
    }
    return {known[1:4] for known, key in database.identities.items() if key in keys}  # type: ignore[misc]
