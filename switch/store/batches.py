"""Settlements of batches in the database (rule 19 of docs/payment-law.md)."""

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import connection

from switch.model.batch import Batch, BatchSize, BatchState, Gate, Totals
from switch.model.outcome import Millis
from switch.model.payment import Payment
from switch.ports import LogicalTerminal
from switch.store.reader import Reader
from switch.store.rows import decode_payment

COLUMNS = (
    "id, bank, merchant, terminal, batch, state, version, due, ordered_at, since, debit_count,"
    " debit_fen, credit_count, credit_fen, result, code, text, tries, uploaded, next_batch,"
    " closed_at, uploaded_last, unknown_seen"
)
IS_OPEN = "state IN ('ordered', 'settling', 'uploading')"
_OF = "(bank, merchant, terminal) = (%s, %s, %s)"

_MOVE = """
UPDATE settlement SET state = %s, version = %s, debit_count = %s, debit_fen = %s,
    credit_count = %s, credit_fen = %s, result = %s, code = %s, text = %s, tries = %s,
    uploaded = %s, next_batch = %s, closed_at = %s, uploaded_last = %s, unknown_seen = %s,
    moved_at = clock_timestamp()
WHERE id = %s AND version = %s
"""
_PAYMENTS = """
SELECT p.key, p.state::text, p.checksum FROM payment p
WHERE p.key IN (SELECT x.payment_key FROM exchange_identity x
    WHERE (x.bank, x.merchant, x.terminal, x.batch) = (%s, %s, %s, %s) AND x.taken_at >= %s)
ORDER BY p.key
"""
_SIZES = """
SELECT t.merchant, t.terminal, t.batch,
    (SELECT count(*) FROM exchange_identity x
        WHERE (x.bank, x.merchant, x.terminal, x.batch)
            = (t.bank, t.merchant, t.terminal, t.batch) AND x.taken_at >= former.closed_at - %s),
    former.closed_at
FROM logical_terminal t CROSS JOIN LATERAL (
    SELECT coalesce(max(s.closed_at), 0) AS closed_at FROM settlement s
        WHERE (s.bank, s.merchant, s.terminal, s.batch)
            = (t.bank, t.merchant, t.terminal, t.batch)) former
WHERE t.bank = %s ORDER BY 1, 2
"""
SLACK_MS = 3_600_000
"""Between the clock of the database, which says when a message got its number, and the house's time
line. A batch is told from the former of its number by the latter alone; this only keeps years of
messages from being read."""


class PostgresBatches:
    """``model.batch.Batches``. JournalDown when the database is away."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def order(self, terminal: LogicalTerminal, due: str, at: Millis) -> bool:
        """See ``Batches.order``. A terminal that never was used has no batch."""

        def work(conn: connection) -> bool:
            return order(conn, terminal, due, at)

        return await self._reader.submit(work)

    async def open(self, bank: str) -> Sequence[Batch]:
        """See ``Batches.open``."""

        def work(conn: connection) -> Sequence[Batch]:
            return select(conn, f"bank = %s AND {IS_OPEN} ORDER BY id", (bank,))

        return await self._reader.submit(work)

    async def sizes(self, bank: str) -> Sequence[BatchSize]:
        """See ``Batches.sizes``. One scan of an index for each terminal, of its present batch."""

        def work(conn: connection) -> Sequence[BatchSize]:
            with conn.cursor() as cursor:
                cursor.execute(_SIZES, (SLACK_MS, bank))
                return [
                    BatchSize(
                        terminal=LogicalTerminal(bank=bank, merchant=merchant, terminal=terminal),
                        number=number,
                        messages=messages,
                        since=since,
                    )
                    for merchant, terminal, number, messages, since in cursor
                ]

        return await self._reader.submit(work)

    async def payments(self, batch: Batch) -> Sequence[Payment]:
        """See ``Batches.payments``. Raises Corrupt (I1)."""

        def work(conn: connection) -> Sequence[Payment]:
            with conn.cursor() as cursor:
                since = batch.since - SLACK_MS
                cursor.execute(_PAYMENTS, (*_triple(batch.terminal), batch.number, since))
                return [decode_payment(key, state, crc) for key, state, crc in cursor]

        return await self._reader.submit(work)

    async def move(self, batch: Batch) -> bool:
        """See ``Batches.move``."""

        def work(conn: connection) -> bool:
            with conn.cursor() as cursor:
                cursor.execute(_MOVE, (*_movable(batch), batch.id, batch.version - 1))
                if cursor.rowcount == 1:
                    return True
            # K19: our own attempt before a lost connection counts.
            return select(conn, "id = %s", (batch.id,)) == [batch]

        return await self._reader.submit(work)

    async def gate(self, terminal: LogicalTerminal, number: str) -> Gate:
        """See ``Batches.gate``."""

        def work(conn: connection) -> Gate:
            with conn.cursor() as cursor:
                cursor.execute(
                    "SELECT coalesce(bool_or(state IN ('settling', 'uploading')), false),"  # noqa: S608 - constants
                    f" coalesce(max(closed_at), 0) FROM settlement WHERE {_OF} AND batch = %s",
                    (*_triple(terminal), number),
                )
                frozen, closed_at = cursor.fetchone() or (False, 0)
            return Gate(frozen=frozen, closed_at=closed_at)

        return await self._reader.submit(work)


def order(conn: connection, terminal: LogicalTerminal, due: str, at: int | None) -> bool:
    """One order; ``at`` None: now by the database's clock, for a command that has no time line."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT settlement_order(%s, %s, %s, %s, %s)", (*_triple(terminal), due, at))
        return bool((cursor.fetchone() or (False,))[0])


def select(conn: connection, which: str, arguments: tuple[object, ...]) -> list[Batch]:
    """Settlements by a condition that is a constant of this program."""
    with conn.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM settlement WHERE {which}", arguments)  # noqa: S608 - constants
        return [batch_of(row) for row in cursor]


def batch_of(row: Sequence[Any]) -> Batch:
    """A row in the order of :data:`COLUMNS`."""
    number, bank, merchant, terminal, batch, state, version, due, ordered_at, since = row[:10]
    debit_count, debit_fen, credit_count, credit_fen, result, code, text, tries = row[10:18]
    uploaded, next_batch, closed_at, uploaded_last, unknown_seen = row[18:]
    return Batch(
        id=number,
        terminal=LogicalTerminal(bank=bank, merchant=merchant, terminal=terminal),
        number=batch,
        state=BatchState(state),
        version=version,
        due=due,
        ordered_at=ordered_at,
        since=since,
        totals=Totals(
            debit_count=debit_count,
            debit_fen=debit_fen,
            credit_count=credit_count,
            credit_fen=credit_fen,
        ),
        result=result,
        code=code,
        text=text,
        tries=tries,
        uploaded=uploaded,
        uploaded_last=uploaded_last,
        unknown_seen=unknown_seen,
        next_number=next_batch,
        closed_at=closed_at,
    )


def _movable(batch: Batch) -> tuple[object, ...]:
    sums = batch.totals
    return (
        str(batch.state),
        batch.version,
        sums.debit_count,
        sums.debit_fen,
        sums.credit_count,
        sums.credit_fen,
        batch.result,
        batch.code,
        batch.text,
        batch.tries,
        batch.uploaded,
        batch.next_number,
        batch.closed_at,
        batch.uploaded_last,
        batch.unknown_seen,
    )


def _triple(terminal: LogicalTerminal) -> tuple[str, str, str]:
    return (terminal.bank, terminal.merchant, terminal.terminal)
