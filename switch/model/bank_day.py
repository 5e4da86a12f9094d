"""The business day of a bank (日切), as its own messages tell it (I14)."""

from typing import Protocol


class BankDays(Protocol):
    """The newest business date that each bank has announced, for all nodes."""

    async def newest(self, bank: str) -> str:
        """YYYYMMDD; empty when the bank never announced one. JournalDown when the database is
        away."""
        ...

    async def announce(self, bank: str, date: str) -> str:
        """The bank says that ``date`` (YYYYMMDD) has begun. A day never goes back: the newest is
        returned. JournalDown when the database is away."""
        ...
