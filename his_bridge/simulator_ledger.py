"""The simulated hospital's books: SQLite, so that kill -9 loses nothing that was answered.

Writes collect in one open db_transaction; :meth:`Ledger.commit` makes them durable before any
answer of that batch leaves (group commit). WAL with ``synchronous=NORMAL`` survives the death of
the process; the loss of power is not simulated.
"""

import sqlite3
import zlib
from pathlib import Path
from typing import Any

from msgspec import Struct

_SCHEMA = """
CREATE TABLE IF NOT EXISTS bills (
    bill TEXT PRIMARY KEY, patient TEXT NOT NULL, amount_fen INTEGER NOT NULL,
    title TEXT NOT NULL, department TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS bills_by_patient ON bills (patient);
CREATE TABLE IF NOT EXISTS holds (
    bill TEXT PRIMARY KEY, key TEXT NOT NULL, patient TEXT NOT NULL,
    amount_fen INTEGER NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS holds_by_key ON holds (key);
CREATE TABLE IF NOT EXISTS bookings (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, bill TEXT NOT NULL,
    patient TEXT NOT NULL, amount_fen INTEGER NOT NULL, state TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS bookings_by_key ON bookings (key);
CREATE INDEX IF NOT EXISTS bookings_by_bill ON bookings (bill);
CREATE TABLE IF NOT EXISTS tombstones (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""

_TITLES = ("西药费", "检查费", "化验费", "治疗费", "中成药费")
_DEPARTMENTS = ("内科门诊", "外科门诊", "儿科门诊", "口腔科", "眼科")
BILLS_AT_ONCE_MAX = 10_000

LOAD_PREFIX = "LOAD-"
"""Bills of this name exist for every patient and amount, so that load needs no preparation."""


class BillRow(Struct, frozen=True):
    """A bill as it was written; amount in 分."""

    bill: str
    patient: str
    amount_fen: int
    title: str
    department: str


class HoldRow(Struct, frozen=True):
    """A bill fixed for one key until ``expires_at`` (ms)."""

    bill: str
    key: str
    patient: str
    amount_fen: int
    expires_at: int


class BookingRow(Struct, frozen=True):
    """Money in the hospital's books; ``state`` is ``booked`` or ``cancelled``."""

    number: int
    key: str
    bill: str
    patient: str
    amount_fen: int
    state: str


class Ledger:
    """All that the simulated HIS remembers."""

    def __init__(self, path: Path | str) -> None:
        """``:memory:`` for simulations. Raises sqlite3.Error when the file is no ledger."""
        self._db = sqlite3.connect(path, isolation_level=None, cached_statements=64)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def commit(self) -> None:
        """Everything written so far is durable afterwards."""
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def close(self) -> None:
        self.commit()
        self._db.close()

    # ---- bills ---------------------------------------------------------------------------------

    def unpaid(self, patient: str) -> list[BillRow]:
        """The bills to pay; a patient never seen before gets one to three, always the same."""
        if not self._one("SELECT 1 FROM bills WHERE patient = ? LIMIT 1", patient):
            self.add_bills(patient, 1 + zlib.crc32(patient.encode()) % 3, None)
        rows = self._db.execute(
            "SELECT bill, patient, amount_fen, title, department FROM bills AS b"
            " WHERE patient = ? AND NOT EXISTS"
            " (SELECT 1 FROM bookings WHERE bill = b.bill AND state = 'booked') ORDER BY bill",
            (patient,),
        )
        return [BillRow(*row) for row in rows]

    def bill(self, bill: str, patient: str, asked_fen: int = 0) -> BillRow | None:
        """One bill of this patient; a load generator's bill is whatever it says it is."""
        if bill.startswith(LOAD_PREFIX):
            return BillRow(bill, patient, asked_fen, "LOAD", "LOAD")
        sql = (
            "SELECT bill, patient, amount_fen, title, department FROM bills"
            " WHERE bill = ? AND patient = ?"
        )
        row = self._one(sql, bill, patient)
        if row is None:
            self.unpaid(patient)
            row = self._one(sql, bill, patient)
        return BillRow(*row) if row else None

    def add_bills(self, patient: str, count: int, amount_fen: int | None) -> list[BillRow]:
        """New bills, numbered on from the patient's last; amounts from the number unless given."""
        row = self._one("SELECT count(*) FROM bills WHERE patient = ?", patient)
        first = (row[0] if row else 0) + 1
        bills = []
        for number in range(first, first + count):
            name = f"B{patient}-{number}"
            mark = zlib.crc32(name.encode())
            amount = amount_fen if amount_fen is not None else 100 + mark % 49_901
            title, department = _TITLES[mark % 5], _DEPARTMENTS[mark // 5 % 5]
            bills.append(BillRow(name, patient, amount, title, department))
        self._begin()
        self._db.executemany(
            "INSERT INTO bills VALUES (?, ?, ?, ?, ?)",
            [(bill.bill, patient, bill.amount_fen, bill.title, bill.department) for bill in bills],
        )
        return bills

    # ---- holds ---------------------------------------------------------------------------------

    def hold_of_bill(self, bill: str, now_ms: int) -> HoldRow | None:
        """The live hold."""
        row = self._one("SELECT * FROM holds WHERE bill = ? AND expires_at > ?", bill, now_ms)
        return HoldRow(*row) if row else None

    def hold_of_key(self, key: str) -> HoldRow | None:
        row = self._one("SELECT * FROM holds WHERE key = ?", key)
        return HoldRow(*row) if row else None

    def put_hold(self, hold: HoldRow) -> None:
        """Replaces one that has lapsed."""
        self._write(
            "INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?)",
            hold.bill,
            hold.key,
            hold.patient,
            hold.amount_fen,
            hold.expires_at,
        )

    def drop_hold(self, key: str) -> None:
        self._write("DELETE FROM holds WHERE key = ?", key)

    # ---- bookings ------------------------------------------------------------------------------

    def booking_of_key(self, key: str) -> BookingRow | None:
        """The newest of this key."""
        row = self._one("SELECT * FROM bookings WHERE key = ? ORDER BY number DESC LIMIT 1", key)
        return BookingRow(*row) if row else None

    def booking_of_bill(self, bill: str) -> BookingRow | None:
        """The one that stands."""
        row = self._one("SELECT * FROM bookings WHERE bill = ? AND state = 'booked'", bill)
        return BookingRow(*row) if row else None

    def book(self, key: str, bill: BillRow) -> BookingRow:
        """Writes one more booking; whether that is right is the host's matter."""
        cursor = self._write(
            "INSERT INTO bookings (key, bill, patient, amount_fen, state)"
            " VALUES (?, ?, ?, ?, 'booked')",
            key,
            bill.bill,
            bill.patient,
            bill.amount_fen,
        )
        number = cursor.lastrowid or 0
        return BookingRow(number, key, bill.bill, bill.patient, bill.amount_fen, "booked")

    def cancel(self, key: str) -> None:
        """Bookings and hold of the key are taken back, and it can never be booked again."""
        self._write("UPDATE bookings SET state = 'cancelled' WHERE key = ?", key)
        self.drop_hold(key)
        self._write("INSERT OR IGNORE INTO tombstones VALUES (?)", key)

    def tombstoned(self, key: str) -> bool:
        return self._one("SELECT 1 FROM tombstones WHERE key = ?", key) is not None

    def bookings(self) -> list[BookingRow]:
        """Every booking ever made, durable ones only (commits first)."""
        self.commit()
        return [BookingRow(*row) for row in self._db.execute("SELECT * FROM bookings")]

    # ---- inside --------------------------------------------------------------------------------

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return row

    def _write(self, sql: str, *values: object) -> sqlite3.Cursor:
        self._begin()
        return self._db.execute(sql, values)

    def _begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
