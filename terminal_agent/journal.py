"""The kiosk's own journal: SQLite (WAL), the payment key assigned before anything is sent.

States: ``created`` → ``sent`` → ``answered`` → ``printed``. A key is durable before its request
leaves, an answer before the patient sees it (synchronous=FULL); ``sent`` and ``printed`` are
notes that may be lost, since after a restart every open key is asked for anyway (I7). Of a card
nothing stands here (I12), but for what a reversal of a chip's payment needs of the chip (rule 18).
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from terminal_agent.protocol import FINAL, Told, payment_key

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (business_date TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS payments (
    key TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    order_json BLOB NOT NULL,
    slip INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    told_state TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL DEFAULT -1,
    amount_fen INTEGER NOT NULL DEFAULT 0,
    code TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '',
    receipt_json BLOB NOT NULL DEFAULT x'7b7d',
    told_at INTEGER NOT NULL DEFAULT 0,
    copies INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS open_payments ON payments (told_state)
    WHERE told_state IN ('', 'pending');
CREATE TABLE IF NOT EXISTS card_ends (
    key TEXT PRIMARY KEY,
    result TEXT NOT NULL,
    chip TEXT NOT NULL,
    told INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS card_ends_open ON card_ends (key) WHERE told = 0;
CREATE INDEX IF NOT EXISTS latest ON payments (created_at);
CREATE INDEX IF NOT EXISTS unprinted ON payments (state) WHERE slip = 1 AND state = 'answered';
"""


class PaymentOrder(Struct, frozen=True, kw_only=True):
    """What was ordered, without card data: for the slip and for the attendant."""

    business: str
    amount_fen: int
    patient: str
    bill: str = ""
    patient_name: str = ""
    title: str = ""
    retry_of: str = ""


class Entry(Struct, frozen=True, kw_only=True):
    """One payment as the journal knows it."""

    key: str
    state: str
    order: PaymentOrder
    created_at: int
    told: Told | None
    told_at: int
    copies: int
    slip: bool
    """False for payments that no patient waits for (load)."""


class CardEnd(Struct, frozen=True, kw_only=True):
    """How the card of a payment ended, for ever."""

    key: str
    result: str
    """confirmed or declined."""
    chip: str = ""
    """Field 55 of a reversal, hex."""


class LedgerLine(Struct, frozen=True, kw_only=True):
    """What the terminal was told, for whoever checks the books from outside."""

    key: str
    state: str
    version: int
    amount_fen: int
    code: str
    at: int


class Journal:
    """One SQLite file, one process, one thread."""

    def __init__(self, path: Path, terminal: str, *, power_safe: bool = True) -> None:
        """``power_safe`` False (load): what is committed outlives the process, not the power, so
        that one generator standing for many kiosks does not wait for a disk they do not share."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._terminal = terminal
        self._durable = "FULL" if power_safe else "NORMAL"
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def create(
        self, orders: Sequence[PaymentOrder], business_date: str, now_ms: int, *, slip: bool = True
    ) -> list[str]:
        """Assign a key to each order, durably: one commit for all. ``business_date`` YYYYMMDD."""
        keys: list[str] = []
        with _Durable(self._db, self._durable):
            (last,) = self._db.execute(
                "INSERT INTO counters VALUES (?, ?) ON CONFLICT (business_date)"
                " DO UPDATE SET last = last + excluded.last RETURNING last",
                (business_date, len(orders)),
            ).fetchone()
            rows = []
            for counter, order in enumerate(orders, last - len(orders) + 1):
                key = payment_key(self._terminal, business_date, counter)
                keys.append(key)
                rows.append((key, "created", msgspec.json.encode(order), slip, now_ms))
            self._db.executemany(
                "INSERT INTO payments (key, state, order_json, slip, created_at)"
                " VALUES (?, ?, ?, ?, ?)",
                rows,
            )
        return keys

    def sent(self, keys: Iterable[str]) -> None:
        """Note that requests left."""
        self._note("UPDATE payments SET state = 'sent' WHERE key = ? AND state = 'created'", keys)

    def printed(self, key: str) -> None:
        """Note that a slip came out."""
        self._note(
            "UPDATE payments SET copies = copies + 1,"
            " state = iif(state = 'answered', 'printed', state) WHERE key = ?",
            (key,),
        )

    def told(self, answers: Sequence[Told], now_ms: int) -> list[Told]:
        """Keep answers, durably: one commit for all. Returns those that are news: the first one of
        a key, then only higher versions (I7). An answer for a foreign key is no news."""
        news: list[Told] = []
        with _Durable(self._db, self._durable):
            for told in answers:
                cursor = self._db.execute(
                    "UPDATE payments SET told_state = ?, version = ?, amount_fen = ?, code = ?,"
                    " text = ?, receipt_json = ?, told_at = ?,"
                    " state = iif(? = 'pending', 'sent', 'answered')"
                    " WHERE key = ? AND version < ?",
                    (
                        *(told.state, told.version, told.amount_fen, told.code, told.text),
                        *(msgspec.json.encode(told.receipt), now_ms, told.state),
                        *(told.key, told.version),
                    ),
                )
                if cursor.rowcount == 1:
                    news.append(told)
        return news

    def get(self, key: str) -> Entry | None:
        """One payment, or None."""
        row = self._db.execute(
            "SELECT state, order_json, created_at, told_state, version, amount_fen, code, text,"
            " receipt_json, told_at, copies, slip FROM payments WHERE key = ?",
            (key,),
        ).fetchone()
        if row is None:
            return None
        state, order, created_at, told_state, version, amount_fen, code, text, receipt, *rest = row
        told = None
        if told_state:
            told = Told(
                key=key,
                state=told_state,
                version=version,
                amount_fen=amount_fen,
                code=code,
                text=text,
                receipt=msgspec.json.decode(receipt),
            )
        return Entry(
            key=key,
            state=state,
            order=msgspec.json.decode(order, type=PaymentOrder),
            created_at=created_at,
            told=told,
            told_at=rest[0],
            copies=rest[1],
            slip=bool(rest[2]),
        )

    def open_keys(self) -> list[str]:
        """Keys whose outcome the terminal does not know yet, oldest first."""
        assert "pending" not in FINAL
        rows = self._db.execute(
            "SELECT key FROM payments WHERE told_state IN ('', 'pending') ORDER BY created_at, key"
        )
        return [key for (key,) in rows]

    def unprinted_keys(self) -> list[str]:
        """Answered payments whose slip may not have come out (K10)."""
        rows = self._db.execute(
            "SELECT key FROM payments WHERE slip = 1 AND state = 'answered'"
            " AND told_state IN ('approved', 'returned', 'exception') ORDER BY key"
        )
        return [key for (key,) in rows]

    def latest(self, limit: int, patient: str = "") -> list[Entry]:
        """The payments of a patient, or of everybody, that somebody waited for; newest first."""
        rows = self._db.execute(
            "SELECT key FROM payments WHERE slip = 1"
            " AND (? = '' OR json_extract(CAST(order_json AS TEXT), '$.patient') = ?)"
            " ORDER BY created_at DESC, key DESC LIMIT ?",
            (patient, patient, limit),
        ).fetchall()
        found = (self.get(key) for (key,) in rows)
        return [entry for entry in found if entry is not None]

    # ---- cards -----------------------------------------------------------------------------------

    def count_chip(self) -> int:
        """The terminal's own counter of chip payments (9F41), 1 to 99999999."""
        with _Durable(self._db, "NORMAL"):
            (last,) = self._db.execute(
                "INSERT INTO counters VALUES ('chip', 1) ON CONFLICT (business_date)"
                " DO UPDATE SET last = last % 99999999 + 1 RETURNING last"
            ).fetchone()
        return int(last)

    def card_ended(self, end: CardEnd) -> CardEnd:
        """Keep how a card ended, durably, before anybody hears of it. What is kept already stands;
        it is returned."""
        with _Durable(self._db, self._durable):
            self._db.execute(
                "INSERT INTO card_ends (key, result, chip) VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO NOTHING",
                (end.key, end.result, end.chip),
            )
        kept = self.card_end(end.key)
        assert kept is not None
        return kept

    def card_end(self, key: str) -> CardEnd | None:
        """How the card of a payment ended; None: it did not yet."""
        row = self._db.execute("SELECT key, result, chip FROM card_ends WHERE key = ?", (key,))
        found = row.fetchone()
        return None if found is None else CardEnd(key=found[0], result=found[1], chip=found[2])

    def card_end_told(self, key: str) -> None:
        """The switch has it; may be lost, it is then told again."""
        self._note("UPDATE card_ends SET told = 1 WHERE key = ?", (key,))

    def card_ends_open(self) -> list[str]:
        """Keys whose card's end the switch has not confirmed to have."""
        return [key for (key,) in self._db.execute("SELECT key FROM card_ends WHERE told = 0")]

    def ledger(self) -> list[LedgerLine]:
        """Everything this terminal was ever told."""
        rows = self._db.execute(
            "SELECT key, told_state, version, amount_fen, code, told_at FROM payments"
            " WHERE told_state <> '' ORDER BY key"
        )
        return [
            LedgerLine(key=key, state=state, version=version, amount_fen=fen, code=code, at=at)
            for key, state, version, fen, code, at in rows
        ]

    def _note(self, statement: str, keys: Iterable[str]) -> None:
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("BEGIN")
        self._db.executemany(statement, [(key,) for key in keys])
        self._db.execute("COMMIT")


class _Durable:
    """One db_transaction that is on the disk when the block ends."""

    def __init__(self, db: sqlite3.Connection, synchronous: str) -> None:
        self._db = db
        self._synchronous = synchronous

    def __enter__(self) -> None:
        self._db.execute(f"PRAGMA synchronous={self._synchronous}")
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, _error: object, _trace: object) -> None:
        self._db.execute("ROLLBACK" if kind is not None else "COMMIT")
