"""A batch (批次) of a logical terminal, and what settling it (批结算) needs of database and bank.

Rule 19 of docs/payment-law.md: a batch does not settle while a leg of it is Unknown or going back.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from switch.model.logical_terminal import LogicalTerminal
from switch.model.operation import Operation
from switch.model.outcome import Millis
from switch.model.payment import Leg, Payment


class BatchState(StrEnum):
    """Where a settlement stands."""

    ORDERED = "ordered"
    """Wanted: no new debit enters the batch, what is open comes to its end."""
    SETTLING = "settling"
    """The totals are committed: from here on nothing of the batch is reversed any more."""
    UPLOADING = "uploading"
    """The bank's totals differ: transactions are sent one by one."""
    CLOSED = "closed"
    EMPTY = "empty"
    """There was nothing to settle; the batch goes on."""
    FAILED = "failed"
    """The bank answered that it cannot: the batch goes on, a person looks."""


NOT_OURS = "not_ours"
"""Code of an order that failed because the bank's batches are not settled by us."""
OPEN = frozenset({BatchState.ORDERED, BatchState.SETTLING, BatchState.UPLOADING})
FROZEN = frozenset({BatchState.SETTLING, BatchState.UPLOADING})
"""No debit enters the batch, and nothing of it is reversed."""


class BatchResult(StrEnum):
    """What the bank says of our totals."""

    BALANCED = "balanced"
    UNBALANCED = "unbalanced"
    FAILED = "failed"
    """An answer that is neither."""
    UNKNOWN = "unknown"
    """No proven answer: the same is asked again."""
    NOT_SENT = "not_sent"


class Totals(Struct, frozen=True, kw_only=True):
    """Counts, and amounts in 分."""

    debit_count: int = 0
    debit_fen: int = 0
    credit_count: int = 0
    credit_fen: int = 0

    @property
    def count(self) -> int:
        """Transactions in all."""
        return self.debit_count + self.credit_count


class Batch(Struct, frozen=True, kw_only=True):
    """One settlement of one batch. ``id`` 0: not stored yet."""

    terminal: LogicalTerminal
    number: str
    """F60.2, 6 digits."""
    state: BatchState = BatchState.ORDERED
    id: int = 0
    version: int = 1
    """Every change is a compare-and-set on it."""
    due: str = ""
    """``YYYYMMDD`` of the timetable that wanted it; empty: an operator."""
    ordered_at: int
    """Milliseconds on the house's time line."""
    since: int = 0
    """When a batch of this number was closed before (banks use numbers again): what is older is
    none of this one's."""
    totals: Totals = Totals()
    result: str = ""
    """``balanced`` or ``unbalanced``, as the bank said."""
    code: str = ""
    text: str = ""
    tries: int = 0
    """Definite failures."""
    uploaded: int = 0
    """Transactions that the bank has acknowledged one by one …"""
    uploaded_last: str = ""
    """… and the last of them, by its place in the batch (``switch.payment.batch.Member.place``)."""
    unknown_seen: bool = False
    """The totals were sent, or may have been, and no answer came: the bank may have closed it."""
    next_number: str = ""
    """The terminal's batch from the commit on that closed this one."""
    closed_at: int = 0


class Gate(Struct, frozen=True, kw_only=True):
    """Whether something of a batch may still be reversed."""

    frozen: bool
    """It is being settled at this moment."""
    closed_at: int
    """When the newest batch of this number was closed; 0: none was."""


class BatchSize(Struct, frozen=True, kw_only=True):
    """How full a terminal's present batch is."""

    terminal: LogicalTerminal
    number: str
    messages: int
    """Messages that were sent under its number since it was closed last, or a little longer: no
    fewer than its transactions."""
    since: int
    """As of :class:`Batch`."""


class Batches(Protocol):
    """The settlements in the database. JournalDown when it is away."""

    async def order(self, terminal: LogicalTerminal, due: str, at: Millis) -> bool:
        """Want the terminal's present batch settled. False: it is under way, or was for ``due``."""
        ...

    async def open(self, bank: str) -> Sequence[Batch]:
        """Those that have not come to their end, oldest first."""
        ...

    async def sizes(self, bank: str) -> Sequence[BatchSize]:
        """Of every terminal that was ever used."""
        ...

    async def payments(self, batch: Batch) -> Sequence[Payment]:
        """Every payment that has a message in this batch, by key; of a number used before, a few
        of the former batch may be among them."""
        ...

    async def move(self, batch: Batch) -> bool:
        """Store ``batch`` over the version before it. Closing makes ``next_number`` the terminal's
        batch in the same commit (K16): either all of it happened, or nothing. False: another node
        was first."""
        ...

    async def gate(self, terminal: LogicalTerminal, number: str) -> Gate: ...


class BatchTerms(Struct, frozen=True, kw_only=True):
    """How a bank's terminals are settled: configuration and dialect."""

    at: str
    """``HH:MM`` local time, every day; empty: on an operator's order only."""
    deadline_ms: int
    """From the order on: what is open then becomes an exception, and the batch settles."""
    waits_ms: tuple[int, ...]
    """Before the same message is sent again; the last one repeats."""
    tries: int
    """Definite failures before it is left to a person."""
    debits: frozenset[Operation]
    """Operations whose amounts are debits in the totals …"""
    credits: frozenset[Operation]
    """… and credits. What is in neither moves no money (a pre-authorisation)."""
    uploads: bool
    """The bank takes the transactions one by one when totals differ."""
    count_max: int
    """Debits, and credits, that the totals have digits for …"""
    amount_max_fen: int
    """… and their sums."""

    @property
    def nearly_full(self) -> int:
        """So many transactions: settle it now, without haste."""
        return self.count_max * 75 // 100

    @property
    def full(self) -> int:
        """So many: nothing more may begin in it; what is on its way still fits."""
        return self.count_max * 90 // 100

    def fits(self, totals: Totals) -> bool:
        """Whether a message can say them."""
        return (
            max(totals.debit_count, totals.credit_count) <= self.count_max
            and max(totals.debit_fen, totals.credit_fen) <= self.amount_max_fen
        )


class BatchAnswer(Struct, frozen=True, kw_only=True):
    """The end of one exchange of a settlement."""

    result: BatchResult
    code: str = ""
    text: str = ""


class BatchBank(Protocol):
    """What a channel does for a settlement. Nothing raises."""

    terms: BatchTerms
    terminals: Sequence[LogicalTerminal]

    def mine(self, terminal: LogicalTerminal) -> bool:
        """Whether this node may send for it now: its own, signed on, a link up."""
        ...

    def pause(self, terminal: LogicalTerminal) -> None:
        """No new payment on it, until :meth:`resume`."""
        ...

    def resume(self, terminal: LogicalTerminal) -> None:
        """Payments again, with numbers read anew: its batch may be another one by now."""
        ...

    def quiet(self, terminal: LogicalTerminal) -> bool:
        """No payment has it: every number it gave out stands in the journal."""
        ...

    async def settle(self, batch: Batch) -> BatchAnswer:
        """The totals."""
        ...

    async def upload(self, batch: Batch, leg: Leg) -> BatchAnswer:
        """One transaction; BALANCED: taken."""
        ...

    async def upload_end(self, batch: Batch) -> BatchAnswer:
        """All of them were sent; BALANCED: taken."""
        ...

    def begin(self, batch: Batch) -> None:
        """It is closed: the terminal's numbers are read anew from now on (those of
        ``batch.next_number``), and a fresh sign-on where the bank names batches."""
        ...
