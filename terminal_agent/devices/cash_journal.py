"""The journal of notes: SQLite, each step on the disk before the note moves.

A note is ``escrow`` (seen, neither ours nor the patient's), ``stacking`` or ``returning`` (ordered,
not yet told done), and ends as ``stacked``, ``returned`` or ``uncertain``: the last is for people,
and is counted by nobody else. At most one note is open: the channel holds one.
"""

import sqlite3
from pathlib import Path
from typing import Final

from msgspec import Struct

ESCROW, STACKING, RETURNING = "escrow", "stacking", "returning"
STACKED, RETURNED, UNCERTAIN = "stacked", "returned", "uncertain"
OPEN: Final = (ESCROW, STACKING, RETURNING)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS note (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    state TEXT NOT NULL CHECK (state IN
        ('escrow', 'stacking', 'returning', 'stacked', 'returned', 'uncertain')),
    heard INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_open ON note ((1))
    WHERE state IN ('escrow', 'stacking', 'returning');
"""


class Note(Struct, frozen=True):
    """One note of one session."""

    id: int
    session: str
    amount_fen: int
    state: str
    heard: bool
    """Whether the acceptor has certainly heard that its event was taken."""


class CashJournal:
    """The notes of one acceptor. Raises sqlite3.Error when the disk does not keep them."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(file, isolation_level=None)
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = FULL")
        self._base.executescript(_SCHEMA)

    def seen(self, session: str, amount_fen: int, state: str = ESCROW) -> Note:
        """A note appeared."""
        row = self._base.execute(
            "INSERT INTO note (session, amount_fen, state) VALUES (?, ?, ?) RETURNING id",
            (session, amount_fen, state),
        ).fetchone()
        return Note(row[0], session, amount_fen, state, False)

    def became(self, note: Note, state: str) -> None:
        """It moved on; a note that has ended does not move again."""
        changed = self._base.execute(
            "UPDATE note SET state = ? WHERE id = ? AND state IN (?, ?, ?)", (state, note.id, *OPEN)
        )
        assert changed.rowcount == 1, "a note ends once"

    def heard(self) -> None:
        """The acceptor tells something else now: it knows that its last event was taken."""
        self._base.execute("UPDATE note SET heard = 1 WHERE heard = 0 AND state = ?", (STACKED,))

    def open_note(self) -> Note | None:
        """The note in the channel."""
        return self._one("WHERE state IN (?, ?, ?)", OPEN)

    def last(self) -> Note | None:
        """The newest note."""
        return self._one("ORDER BY id DESC LIMIT 1", ())

    def total_fen(self, session: str) -> int:
        """What was stacked in a session."""
        return self._sum(
            "SELECT sum(amount_fen) FROM note WHERE session = ? AND state = ?", session
        )

    def uncertain(self) -> list[Note]:
        """What people have to look at."""
        rows = self._base.execute("SELECT * FROM note WHERE state = ? ORDER BY id", (UNCERTAIN,))
        return [_note(row) for row in rows]

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def _one(self, where: str, values: tuple[str, ...]) -> Note | None:
        row = self._base.execute(f"SELECT * FROM note {where}", values).fetchone()  # noqa: S608
        return None if row is None else _note(row)

    def _sum(self, query: str, session: str) -> int:
        return int(self._base.execute(query, (session, STACKED)).fetchone()[0] or 0)


def _note(row: tuple[int, str, int, str, int]) -> Note:
    number, session, amount_fen, state, heard = row
    return Note(number, session, amount_fen, state, bool(heard))
