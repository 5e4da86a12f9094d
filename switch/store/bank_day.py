"""The business dates that banks have announced (I14), in the database and in memory."""

from psycopg2.extensions import connection

from switch.store.memory_numbers import Settle
from switch.store.reader import Reader


class PostgresBankDays:
    """``ports.BankDays``."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def newest(self, bank: str) -> str:
        """See ``ports.BankDays.newest``."""
        return await self._text("SELECT business_date FROM bank_day WHERE bank = %s", bank)

    async def announce(self, bank: str, date: str) -> str:
        """See ``ports.BankDays.announce``; again is the same as once."""
        return await self._text("SELECT announce_day(%s, %s)", bank, date)

    async def _text(self, statement: str, *values: str) -> str:
        def work(conn: connection) -> str:
            with conn.cursor() as cursor:
                cursor.execute(statement, values)
                return str((cursor.fetchone() or ("",))[0])

        return await self._reader.submit(work)


class MemoryBankDays:
    """As :class:`PostgresBankDays`; ``rows`` is the table."""

    def __init__(self, rows: dict[str, str], settle: Settle) -> None:
        self._rows = rows
        self._settle = settle

    async def newest(self, bank: str) -> str:
        """As ``PostgresBankDays.newest``."""
        return str(await self._settle(lambda: self._rows.get(bank, "")))

    async def announce(self, bank: str, date: str) -> str:
        """As ``PostgresBankDays.announce``."""

        def work() -> str:
            self._rows[bank] = max(date, self._rows.get(bank, ""))
            return self._rows[bank]

        return str(await self._settle(work))
