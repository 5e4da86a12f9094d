"""What the bank remembers: its book, working keys, batches, used payment codes. In one SQLite file.

Nothing is answered before :meth:`Ledger.commit`, so a ``kill -9`` at any moment loses no entry
that anybody was told of. WAL with ``synchronous=NORMAL`` is enough for that: it survives the death
of the process; a power cut of the machine is not what is rehearsed here.
"""

import hashlib
import sqlite3
from typing import Any

import msgspec
from msgspec import structs

from channels.bank_simulator.entries import (
    GIVES,
    TAKES,
    Entry,
    Key,
    Notice,
    Settled,
    State,
    Totals,
    WorkingKeys,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    merchant TEXT NOT NULL, terminal TEXT NOT NULL, batch TEXT NOT NULL, stan TEXT NOT NULL,
    date TEXT NOT NULL, operation TEXT NOT NULL, amount_fen INTEGER NOT NULL,
    state TEXT NOT NULL, code TEXT NOT NULL, rrn TEXT NOT NULL, authorisation TEXT NOT NULL,
    card TEXT NOT NULL, net_fen INTEGER NOT NULL, held_fen INTEGER NOT NULL,
    given_fen INTEGER NOT NULL, original_batch TEXT NOT NULL, original_stan TEXT NOT NULL,
    PRIMARY KEY (merchant, terminal, batch, stan)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entry_number ON entry (stan, date);
CREATE TABLE IF NOT EXISTS working_key (
    merchant TEXT NOT NULL, terminal TEXT NOT NULL,
    pik BLOB NOT NULL, mak BLOB NOT NULL, batch TEXT NOT NULL,
    PRIMARY KEY (merchant, terminal)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled (
    merchant TEXT NOT NULL, terminal TEXT NOT NULL, batch TEXT NOT NULL, what BLOB NOT NULL,
    PRIMARY KEY (merchant, terminal, batch)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS upload (
    merchant TEXT NOT NULL, terminal TEXT NOT NULL, batch TEXT NOT NULL, stan TEXT NOT NULL,
    amount_fen INTEGER NOT NULL,
    PRIMARY KEY (merchant, terminal, batch, stan)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notice (
    merchant TEXT NOT NULL, terminal TEXT NOT NULL, batch TEXT NOT NULL, stan TEXT NOT NULL,
    original_stan TEXT NOT NULL, result TEXT NOT NULL,
    PRIMARY KEY (merchant, terminal, batch, stan)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used_code (digest TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS day (only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    date TEXT NOT NULL);
"""
_COLUMNS = ", ".join(Entry.__struct_fields__)
_PLACES = ", ".join("?" * len(Entry.__struct_fields__))
_WHERE = "merchant = ? AND terminal = ? AND batch = ? AND stan = ?"
_SAME_NUMBER = "stan = ? AND date = ? AND (merchant, terminal) <> (?, ?)"
_FIND = f"SELECT {_COLUMNS} FROM entry WHERE {_WHERE}"  # noqa: S608 - names of columns only
_ADD = f"INSERT INTO entry ({_COLUMNS}) VALUES ({_PLACES})"  # noqa: S608
_CHANGE = f"UPDATE entry SET state = ?, net_fen = ?, held_fen = ?, given_fen = ? WHERE {_WHERE}"  # noqa: S608


class LedgerError(Exception):
    """The file is no ledger of the simulator, or cannot be opened; the text says why."""


class Ledger:
    """``path`` is a file, or ``:memory:`` for seeded simulations. Raises LedgerError."""

    def __init__(self, path: str = ":memory:") -> None:
        self._keys: dict[tuple[str, str], WorkingKeys] = {}
        self._spent: dict[str, int] = {}
        self._rrn = 0
        self._open = False
        self.day = ""
        """YYYYMMDD of a day cut that came before its time; else empty."""
        try:
            self._db = sqlite3.connect(path, isolation_level=None, cached_statements=64)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            self._read()
        except sqlite3.Error as error:
            raise LedgerError(str(error)) from None

    def _read(self) -> None:
        rows = self._db.execute("SELECT merchant, terminal, pik, mak, batch FROM working_key")
        for merchant, terminal, pik, mak, batch in rows:
            self._keys[merchant, terminal] = WorkingKeys(pik=pik, mak=mak, batch=batch)
        rows = self._db.execute("SELECT card, sum(net_fen + held_fen) FROM entry GROUP BY card")
        self._spent = dict(rows)
        (highest,) = self._db.execute("SELECT max(rrn) FROM entry").fetchone()
        self._rrn = int(highest) if highest and highest.isdecimal() else 0
        for (date,) in self._db.execute("SELECT date FROM day"):
            self.day = date

    def commit(self) -> None:
        """Make everything so far durable; call before any answer leaves."""
        if self._open:
            self._db.execute("COMMIT")
            self._open = False

    def close(self) -> None:
        """Commit and let go of the file."""
        self.commit()
        self._db.close()

    # ---- the book --------------------------------------------------------------------------------

    def next_rrn(self) -> str:
        """A retrieval reference number, 12 digits, rising."""
        self._rrn += 1
        return f"{self._rrn:012d}"

    def find(self, key: Key) -> Entry | None:
        """The entry with this identity."""
        row = self._db.execute(_FIND, key).fetchone()
        return _entry(row) if row else None

    def number_taken(self, entry: Key, date: str) -> bool:
        """Whether another terminal used the same STAN on this day."""
        merchant, terminal, _, stan = entry
        return bool(self._rows(_SAME_NUMBER, stan, date, merchant, terminal))

    def find_rrn(self, merchant: str, rrn: str) -> Entry | None:
        """The booked entry with this reference number."""
        rows = self._rows("merchant = ? AND rrn = ? AND state = 'booked'", merchant, rrn)
        return rows[0] if rows else None

    def add(self, entry: Entry) -> None:
        """An entry seen for the first time."""
        self._begin()
        self._db.execute(_ADD, structs.astuple(entry))
        self._spend(entry.card, entry.net_fen + entry.held_fen)

    def change(
        self,
        entry: Entry,
        *,
        net_fen: int,
        held_fen: int,
        given_fen: int,
        state: State = State.BOOKED,
    ) -> None:
        """What stands of an entry from now on."""
        self._begin()
        self._db.execute(_CHANGE, (str(state), net_fen, held_fen, given_fen, *entry.key))
        self._spend(entry.card, net_fen + held_fen - entry.net_fen - entry.held_fen)

    def spent_fen(self, card: str) -> int:
        """Net debits of a card, and what is set aside on it."""
        return self._spent.get(card, 0)

    def entries(self) -> list[Entry]:
        """Everything that moved money once, by identity; what an auditor may see."""
        return self._rows("state IN ('booked', 'reversed')")

    def batch(self, merchant: str, terminal: str, batch: str) -> list[Entry]:
        """What stands in a batch."""
        where = "merchant = ? AND terminal = ? AND batch = ? AND state = 'booked'"
        return self._rows(where, merchant, terminal, batch)

    # ---- keys and batches ------------------------------------------------------------------------

    def keys(self, merchant: str, terminal: str) -> WorkingKeys | None:
        """The keys of the last sign-on or reset."""
        return self._keys.get((merchant, terminal))

    def set_keys(self, merchant: str, terminal: str, keys: WorkingKeys) -> None:
        """From now on these keys and this batch and no others."""
        self._begin()
        self._db.execute(
            "INSERT OR REPLACE INTO working_key VALUES (?, ?, ?, ?, ?)",
            (merchant, terminal, keys.pik, keys.mak, keys.batch),
        )
        self._keys[merchant, terminal] = keys

    def settled(self, merchant: str, terminal: str, batch: str) -> Settled | None:
        """How far the settlement of a batch is; None: not begun."""
        row = self._db.execute(
            "SELECT what FROM settled WHERE merchant = ? AND terminal = ? AND batch = ?",
            (merchant, terminal, batch),
        ).fetchone()
        return msgspec.json.decode(row[0], type=Settled) if row else None

    def settle(self, settled: Settled) -> None:
        """Keep it."""
        self._begin()
        self._db.execute(
            "INSERT OR REPLACE INTO settled VALUES (?, ?, ?, ?)",
            (settled.merchant, settled.terminal, settled.batch, msgspec.json.encode(settled)),
        )

    def settlements(self) -> list[Settled]:
        """Every batch that was settled or tries to be."""
        rows = self._db.execute("SELECT what FROM settled ORDER BY merchant, terminal, batch")
        return [msgspec.json.decode(what, type=Settled) for (what,) in rows]

    def upload(self, key: Key, amount_fen: int) -> None:
        """One transaction of a batch whose totals differ; a second time it is the same one."""
        self._begin()
        self._db.execute("INSERT OR REPLACE INTO upload VALUES (?, ?, ?, ?, ?)", (*key, amount_fen))

    def uploads(self, merchant: str, terminal: str, batch: str) -> dict[str, int]:
        """STAN → amount of what was uploaded."""
        rows = self._db.execute(
            "SELECT stan, amount_fen FROM upload WHERE merchant = ? AND terminal = ? AND batch = ?",
            (merchant, terminal, batch),
        )
        return dict(rows)

    # ---- notices, codes, the day -----------------------------------------------------------------

    def notice(self, notice: Notice) -> None:
        """A script-result notice; a second time it is the same one."""
        self._begin()
        self._db.execute(
            "INSERT OR REPLACE INTO notice VALUES (?, ?, ?, ?, ?, ?)", structs.astuple(notice)
        )

    def notices(self) -> list[Notice]:
        """All of them."""
        rows = self._db.execute(f"SELECT {', '.join(Notice.__struct_fields__)} FROM notice")  # noqa: S608
        return [Notice(**dict(zip(Notice.__struct_fields__, row, strict=True))) for row in rows]

    def use_code(self, code: str) -> bool:
        """Use a payment code; False when it was used before."""
        self._begin()
        digest = hashlib.sha256(code.encode()).hexdigest()
        added = self._db.execute("INSERT OR IGNORE INTO used_code VALUES (?)", (digest,))
        return added.rowcount == 1

    def cut_day(self, date: str) -> None:
        """From now on it is this day, until the calendar comes to it."""
        self._begin()
        self._db.execute("INSERT OR REPLACE INTO day VALUES (1, ?)", (date,))
        self.day = date

    # ---- small things ----------------------------------------------------------------------------

    def _rows(self, where: str, *values: str) -> list[Entry]:
        query = f"SELECT {_COLUMNS} FROM entry WHERE {where}"  # noqa: S608 - ours alone
        return [_entry(row) for row in self._db.execute(query, values)]

    def _spend(self, card: str, fen: int) -> None:
        self._spent[card] = self._spent.get(card, 0) + fen

    def _begin(self) -> None:
        if not self._open:
            self._db.execute("BEGIN IMMEDIATE")
            self._open = True


def totals(entries: list[Entry]) -> Totals:
    """Debits and credits of what stands."""
    taken = [entry.amount_fen for entry in entries if entry.operation in TAKES]
    given = [entry.amount_fen for entry in entries if entry.operation in GIVES]
    return Totals(
        debit_count=len(taken),
        debit_fen=sum(taken),
        credit_count=len(given),
        credit_fen=sum(given),
    )


def _entry(row: tuple[Any, ...]) -> Entry:
    values = dict(zip(Entry.__struct_fields__, row, strict=True))
    return Entry(**{**values, "state": State(values["state"])})
