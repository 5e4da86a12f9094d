"""What the origin of a payment is told (I7): a pure function of the journal."""

from enum import StrEnum

from msgspec import Struct


class AnswerState(StrEnum):
    """Few public outcomes over many states."""

    APPROVED = "approved"
    DECLINED = "declined"
    RETURNED = "returned"
    """Nothing was booked; money that had moved is given back."""
    PENDING = "pending"
    EXCEPTION = "exception"
    """A person settles it; the patient goes to the window with the slip."""
    UNKNOWN_KEY = "unknown_key"
    """Never seen, and from now on refused (tombstone)."""
    REFUSED = "refused"
    """Not taken at all: bad request, other content under the same key, out of service."""


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Safe to print, journal and log. Amount in 分."""

    key: str
    state: AnswerState
    version: int = 0
    amount_fen: int = 0
    unproven: bool = False
    """RETURNED or EXCEPTION, and nobody has said for certain whether anything is left of it."""
    code: str = ""
    text: str = ""
    receipt: dict[str, str] = {}
    """What the slips print: RRN, STAN, batch, masked card, merchant, receipt number …"""


class Answered(Struct, frozen=True, kw_only=True):
    """One payment of a terminal: its business, and what the terminal was told of it last."""

    business: str
    answer: Answer
