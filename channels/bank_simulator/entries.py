"""One line of the bank's book: what was asked, what it moved, what became of it."""

from enum import StrEnum

from msgspec import Struct

from switch.model.operation import Operation

Key = tuple[str, str, str, str]
"""Merchant, terminal, batch, STAN: what makes a message one message."""

TAKES = frozenset({Operation.SALE, Operation.QR_SALE, Operation.COMPLETION})
"""Move money from the card to the merchant: debits of a batch."""
GIVES = frozenset(
    {
        Operation.VOID,
        Operation.REFUND,
        Operation.COMPLETION_VOID,
        Operation.QR_VOID,
        Operation.QR_REFUND,
    }
)
"""Move money back: credits of a batch."""


class State(StrEnum):
    """What became of it."""

    BOOKED = "booked"
    REVERSED = "reversed"
    DECLINED = "declined"
    TOMBSTONE = "tombstone"
    """Its reversal came first, and this bank remembers that (not all do)."""


class Entry(Struct, frozen=True, kw_only=True):
    """One business as the bank keeps it. Amounts in 分."""

    merchant: str
    terminal: str
    batch: str
    stan: str
    date: str
    """YYYYMMDD: the settlement date it was booked on (F15)."""
    operation: str
    amount_fen: int
    state: State
    code: str
    """Field 39 as first answered."""
    rrn: str
    authorisation: str = ""
    """Field 38, where it was given one."""
    card: str
    """Name of the card; never its number."""
    net_fen: int = 0
    """What it moved to the merchant and still stands: less than zero for what went back."""
    held_fen: int = 0
    """A pre-authorisation: what is set aside now."""
    given_fen: int = 0
    """What later ones took of it: voids and refunds of a sale, the completion or the void of a
    pre-authorisation."""
    original_batch: str = ""
    original_stan: str = ""
    """Of a void, a refund or a completion: what it refers to."""

    @property
    def key(self) -> Key:
        """See :data:`Key`."""
        return (self.merchant, self.terminal, self.batch, self.stan)

    @property
    def original(self) -> Key | None:
        """The key of what it refers to."""
        if not self.original_stan:
            return None
        return (self.merchant, self.terminal, self.original_batch, self.original_stan)

    @property
    def booked(self) -> bool:
        """It stands."""
        return self.state is State.BOOKED


class WorkingKeys(Struct, frozen=True, kw_only=True):
    """The keys of the last sign-on or key reset, in clear: this is a bank made of paper."""

    pik: bytes
    mak: bytes
    batch: str
    """The open batch."""

    def __repr__(self) -> str:
        return "<WorkingKeys>"


class Totals(Struct, frozen=True, kw_only=True):
    """What a batch or a day came to."""

    debit_count: int = 0
    debit_fen: int = 0
    credit_count: int = 0
    credit_fen: int = 0


class Settled(Struct, frozen=True, kw_only=True):
    """A batch that was settled, or that tries to be."""

    merchant: str
    terminal: str
    batch: str
    claimed: Totals
    """What its terminal said."""
    balanced: bool
    closed: bool
    uploads: int = 0
    """Transactions uploaded one by one, since the totals differed."""
    differences: tuple[str, ...] = ()
    """STANs on which the upload and our book do not agree."""


class Notice(Struct, frozen=True, kw_only=True):
    """脚本结果通知: how a card took the issuer's scripts."""

    merchant: str
    terminal: str
    batch: str
    stan: str
    original_stan: str
    result: str
    """Tag DF31 in hexadecimal."""
