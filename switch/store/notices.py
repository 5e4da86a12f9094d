"""Notices owed to banks, in the database and in memory."""

from collections.abc import Sequence

from msgspec.structs import replace
from psycopg2.extensions import connection

from switch.model.notice import Notice, NoticeEnd
from switch.model.outcome import Millis
from switch.store.memory_numbers import Settle
from switch.store.reader import Reader


class PostgresNotices:
    """``model.notice.Notices``. JournalDown when the database is away."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def owe(self, key: str, at: Millis) -> None:
        """See ``Notices.owe``."""
        await self._run(
            "INSERT INTO notice (key, due_at) VALUES (%s, %s) ON CONFLICT DO NOTHING", key, at
        )

    async def due(self, at: Millis, limit: int) -> Sequence[Notice]:
        """See ``Notices.due``."""

        def work(conn: connection) -> Sequence[Notice]:
            with conn.cursor() as cursor:
                cursor.execute(
                    "SELECT key, due_at, tries FROM notice WHERE ended = '' AND due_at <= %s"
                    " ORDER BY due_at LIMIT %s",
                    (at, limit),
                )
                return [Notice(key=key, due_at=due, tries=tries) for key, due, tries in cursor]

        return await self._reader.submit(work)

    async def claim(self, notice: Notice, until: Millis) -> bool:
        """See ``Notices.claim``."""
        changed = await self._run(
            "UPDATE notice SET due_at = %s, tries = tries + 1"
            " WHERE key = %s AND due_at = %s AND tries = %s AND ended = ''",
            until,
            notice.key,
            notice.due_at,
            notice.tries,
        )
        return changed == 1

    async def end(self, key: str, end: NoticeEnd, code: str) -> None:
        """See ``Notices.end``."""
        await self._run(
            "UPDATE notice SET ended = %s, code = %s WHERE key = %s AND ended = ''",
            str(end),
            code,
            key,
        )

    async def _run(self, statement: str, *arguments: object) -> int:
        def work(conn: connection) -> int:
            with conn.cursor() as cursor:
                cursor.execute(statement, arguments)
                return int(cursor.rowcount)

        return await self._reader.submit(work)


class NoticeRows:
    """The table in memory: key → notice, and how each ended."""

    def __init__(self) -> None:
        self.owed: dict[str, Notice] = {}
        self.ended: dict[str, tuple[NoticeEnd, str]] = {}


class MemoryNotices:
    """``model.notice.Notices`` of a simulated node."""

    def __init__(self, rows: NoticeRows, settle: Settle) -> None:
        self._rows = rows
        self._settle = settle

    async def owe(self, key: str, at: Millis) -> None:
        """As ``PostgresNotices.owe``."""
        await self._settle(lambda: self._rows.owed.setdefault(key, Notice(key=key, due_at=at)))

    async def due(self, at: Millis, limit: int) -> Sequence[Notice]:
        """As ``PostgresNotices.due``."""

        def work() -> list[Notice]:
            open_ones = [one for key, one in self._rows.owed.items() if key not in self._rows.ended]
            found = sorted((one.due_at, one.key) for one in open_ones if one.due_at <= at)
            return [self._rows.owed[key] for _, key in found[:limit]]

        found: list[Notice] = await self._settle(work)
        return found

    async def claim(self, notice: Notice, until: Millis) -> bool:
        """As ``PostgresNotices.claim``."""

        def work() -> bool:
            if self._rows.owed[notice.key] != notice or notice.key in self._rows.ended:
                return False
            after = replace(notice, due_at=until, tries=notice.tries + 1)
            self._rows.owed[notice.key] = after
            return True

        claimed: bool = await self._settle(work)
        return claimed

    async def end(self, key: str, end: NoticeEnd, code: str) -> None:
        """As ``PostgresNotices.end``."""
        await self._settle(lambda: self._rows.ended.setdefault(key, (end, code)))
