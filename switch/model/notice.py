"""A notice (通知) that is owed to a bank about a finished card: kept until it is acknowledged."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from switch.model.outcome import Millis
from switch.model.payment import Payment


class NoticeEnd(StrEnum):
    """What became of one try."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    """The bank will not have it: no further try, an alarm."""
    NOT_OWED = "not_owed"
    """The bank's dialect has no such notice, or there is nothing to tell."""
    AGAIN = "again"
    """No proven answer, or a refusal that passes: by itself, or when a person has put it right."""
    NOT_NOW = "not_now"
    """Nothing was sent: another node has the terminal, it signs on, or it is not configured."""


class Notice(Struct, frozen=True, kw_only=True):
    """One notice: the results of a payment's issuer scripts (脚本结果通知)."""

    key: str
    """Of the payment."""
    due_at: int
    """Milliseconds on the house's time line."""
    tries: int = 0


class Notices(Protocol):
    """The notices in the database. JournalDown when it is away."""

    async def owe(self, key: str, at: Millis) -> None:
        """The intent, durable when this returns; a second one of a payment is none."""
        ...

    async def due(self, at: Millis, limit: int) -> Sequence[Notice]:
        """What is to be sent by now, most overdue first."""
        ...

    async def claim(self, notice: Notice, until: Millis) -> bool:
        """It is being sent from here until then. False: another node was first."""
        ...

    async def end(self, key: str, end: NoticeEnd, code: str) -> None:
        """No further try."""
        ...


class NoticeBank(Protocol):
    """What a channel does for notices. Nothing raises."""

    def elsewhere(self, payment: Payment) -> bool:
        """Another node has the terminal that the notice must go by: it is that node's to send."""
        ...

    async def script_results(self, payment: Payment) -> tuple[NoticeEnd, str]:
        """Send what the card said of its issuer's scripts: the end, and the bank's code."""
        ...
