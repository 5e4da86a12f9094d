"""What the bank remembers: debits, working keys, batches, tombstones. In SQLite, in one file.

Nothing is answered before :meth:`Ledger.commit`, so a ``kill -9`` at any moment loses no debit
that anybody was told of. WAL with ``synchronous=NORMAL`` is enough for that: it survives the death
of the process; a power cut of the machine is not what is rehearsed here.
"""

import sqlite3
from enum import StrEnum

from msgspec import Struct

_SCHEMA = """
CREATE TABLE IF NOT EXISTS debit (
    merchant TEXT NOT NULL, terminal TEXT NOT NULL, batch TEXT NOT NULL, stan TEXT NOT NULL,
    date TEXT NOT NULL, amount_fen INTEGER NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL,
    rrn TEXT NOT NULL, card TEXT NOT NULL,
    PRIMARY KEY (merchant, terminal, batch, stan)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS working_key (
    merchant TEXT NOT NULL, terminal TEXT NOT NULL,
    pik BLOB NOT NULL, mak BLOB NOT NULL, batch TEXT NOT NULL,
    PRIMARY KEY (merchant, terminal)
) WITHOUT ROWID;
"""

Key = tuple[str, str, str, str]
"""Merchant, terminal, batch, STAN: what makes a sale one sale."""


class State(StrEnum):
    """What became of a sale."""

    DEBITED = "debited"
    REVERSED = "reversed"
    DECLINED = "declined"
    TOMBSTONE = "tombstone"
    """Its reversal came first, and this bank remembers that (not all do)."""


class Entry(Struct, frozen=True, kw_only=True):
    """One sale as the bank keeps it."""

    merchant: str
    terminal: str
    batch: str
    stan: str
    date: str
    amount_fen: int
    state: State
    code: str
    """Field 39 as first answered."""
    rrn: str
    card: str
    """Name of the card; never its number."""

    @property
    def key(self) -> Key:
        """See :data:`Key`."""
        return (self.merchant, self.terminal, self.batch, self.stan)


class WorkingKeys(Struct, frozen=True, kw_only=True):
    """The keys of the last sign-on, in clear: this is a bank made of paper."""

    pik: bytes
    mak: bytes
    batch: str

    def __repr__(self) -> str:
        return "<WorkingKeys>"


class Ledger:
    """``path`` is a file, or ``:memory:`` for seeded simulations."""

    def __init__(self, path: str = ":memory:") -> None:
        self._db = sqlite3.connect(path, isolation_level=None, cached_statements=64)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self._keys: dict[tuple[str, str], WorkingKeys] = {}
        self._spent: dict[str, int] = {}
        self._rrn = 0
        self._open = False
        self._read()

    def _read(self) -> None:
        rows = self._db.execute("SELECT merchant, terminal, pik, mak, batch FROM working_key")
        for merchant, terminal, pik, mak, batch in rows:
            self._keys[merchant, terminal] = WorkingKeys(pik=pik, mak=mak, batch=batch)
        rows = self._db.execute(
            "SELECT card, sum(amount_fen) FROM debit WHERE state = 'debited' GROUP BY card"
        )
        self._spent = dict(rows)
        (highest,) = self._db.execute("SELECT max(rrn) FROM debit").fetchone()
        self._rrn = int(highest or 0)

    def commit(self) -> None:
        """Make everything so far durable; call before any answer leaves."""
        if self._open:
            self._db.execute("COMMIT")
            self._open = False

    def close(self) -> None:
        """Commit and let go of the file."""
        self.commit()
        self._db.close()

    # ---- debits ----------------------------------------------------------------------------------

    def next_rrn(self) -> str:
        """A retrieval reference number, 12 digits, rising."""
        self._rrn += 1
        return f"{self._rrn:012d}"

    def find(self, key: Key) -> Entry | None:
        """The sale with this identity."""
        row = self._db.execute(
            "SELECT merchant, terminal, batch, stan, date, amount_fen, state, code, rrn, card"
            " FROM debit WHERE merchant = ? AND terminal = ? AND batch = ? AND stan = ?",
            key,
        ).fetchone()
        return _entry(row) if row else None

    def add(self, entry: Entry) -> None:
        """A sale seen for the first time."""
        self._begin()
        self._db.execute(
            "INSERT INTO debit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *entry.key,
                entry.date,
                entry.amount_fen,
                str(entry.state),
                entry.code,
                entry.rrn,
                entry.card,
            ),
        )
        if entry.state is State.DEBITED:
            self._spent[entry.card] = self._spent.get(entry.card, 0) + entry.amount_fen

    def reverse(self, entry: Entry) -> None:
        """Give the money back."""
        self._begin()
        self._db.execute(
            "UPDATE debit SET state = 'reversed'"
            " WHERE merchant = ? AND terminal = ? AND batch = ? AND stan = ?",
            entry.key,
        )
        self._spent[entry.card] = self._spent.get(entry.card, 0) - entry.amount_fen

    def spent_fen(self, card: str) -> int:
        """Net debits of a card."""
        return self._spent.get(card, 0)

    def entries(self) -> list[Entry]:
        """Every sale that moved money once, by identity; what an auditor may see."""
        rows = self._db.execute(
            "SELECT merchant, terminal, batch, stan, date, amount_fen, state, code, rrn, card"
            " FROM debit WHERE state IN ('debited', 'reversed')"
        )
        return [_entry(row) for row in rows]

    # ---- keys ------------------------------------------------------------------------------------

    def keys(self, merchant: str, terminal: str) -> WorkingKeys | None:
        """The keys of the last sign-on."""
        return self._keys.get((merchant, terminal))

    def set_keys(self, merchant: str, terminal: str, keys: WorkingKeys) -> None:
        """A sign-on: from now on these keys and no others."""
        self._begin()
        self._db.execute(
            "INSERT OR REPLACE INTO working_key VALUES (?, ?, ?, ?, ?)",
            (merchant, terminal, keys.pik, keys.mak, keys.batch),
        )
        self._keys[merchant, terminal] = keys

    def _begin(self) -> None:
        if not self._open:
            self._db.execute("BEGIN IMMEDIATE")
            self._open = True


def _entry(row: tuple[str, str, str, str, str, int, str, str, str, str]) -> Entry:
    merchant, terminal, batch, stan, date, amount_fen, state, code, rrn, card = row
    return Entry(
        merchant=merchant,
        terminal=terminal,
        batch=batch,
        stan=stan,
        date=date,
        amount_fen=amount_fen,
        state=State(state),
        code=code,
        rrn=rrn,
        card=card,
    )
