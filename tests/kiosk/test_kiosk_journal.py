"""The kiosk's journal: keys never repeat, answers only move forward, notes may be lost."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_agent.journal import Journal, PaymentOrder
from terminal_agent.protocol import Told

DAY = "20260301"


def order(bill: str = "B1") -> PaymentOrder:
    """One order."""
    return PaymentOrder(business="outpatient_bill", amount_fen=100, patient="P1", bill=bill)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A fresh one."""
    made = Journal(tmp_path / "j" / "journal.db", "K1")
    yield made
    made.close()


def test_I8_keys_go_on_after_a_restart(tmp_path: Path) -> None:
    """A counter per business date, never back, whatever was made at once."""
    path = tmp_path / "journal.db"
    first = Journal(path, "K1")
    keys = first.create([order(), order()], DAY, 1)
    first.close()

    second = Journal(path, "K1")
    keys += second.create([order()], DAY, 2)
    other_day = second.create([order()], "20260302", 3)
    second.close()

    assert keys == ["K1-20260301-000001", "K1-20260301-000002", "K1-20260301-000003"]
    assert other_day == ["K1-20260302-000001"]


def test_a_key_is_durable_before_anything_else(journal: Journal, tmp_path: Path) -> None:
    """Another connection sees it at once, and the commit was synchronous (FULL)."""
    (key,) = journal.create([order()], DAY, 1)

    other = sqlite3.connect(tmp_path / "j" / "journal.db")
    assert other.execute("SELECT key, state FROM payments").fetchall() == [(key, "created")]
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)


@given(
    st.lists(st.tuples(st.sampled_from(["pending", "exception", "approved"]), st.integers(0, 9)))
)
def test_I7_answers_only_move_forward(answers: list[tuple[str, int]]) -> None:
    """Whatever order answers come in: the first counts, then only higher versions."""
    made = Journal(Path(":memory:"), "K1")
    (key,) = made.create([order()], DAY, 1)
    best = -1

    for state, version in answers:
        news = made.told([Told(key=key, state=state, version=version)], 2)
        assert bool(news) == (version > best)
        best = max(best, version)

    entry = made.get(key)
    assert entry is not None
    assert (entry.told.version if entry.told else -1) == best
    made.close()


def test_open_and_unprinted_are_found_after_a_restart(journal: Journal) -> None:
    """Created, sent and pending are open; answered without a slip is unprinted (K10)."""
    created, sent, pending, approved, printed, declined, quiet = (
        *journal.create([order()] * 6, DAY, 1),
        *journal.create([order()], DAY, 2, slip=False),
    )
    journal.sent([sent])
    journal.told([Told(key=pending, state="pending", version=1)], 3)
    for key in (approved, printed, quiet):
        journal.told([Told(key=key, state="approved", version=2, amount_fen=100)], 3)
    journal.told([Told(key=declined, state="declined", version=2)], 3)
    journal.printed(printed)

    assert journal.open_keys() == [created, sent, pending]
    assert journal.unprinted_keys() == [approved]
    entry = journal.get(printed)
    assert entry is not None
    assert (entry.state, entry.copies) == ("printed", 1)


def test_the_ledger_says_what_was_told(journal: Journal) -> None:
    """One line for each told key; what was never told is not in it."""
    told, _ = journal.create([order()] * 2, DAY, 1)
    journal.told([Told(key=told, state="approved", version=3, amount_fen=100)], 9)
    foreign = journal.told([Told(key="K2-20260301-000001", state="approved", version=3)], 9)

    (line,) = journal.ledger()

    assert (line.key, line.state, line.version, line.amount_fen, line.at) == (
        *(told, "approved", 3, 100),
        9,
    )
    assert foreign == []


def test_an_unknown_key_is_none(journal: Journal) -> None:
    """No such payment here."""
    assert journal.get("K1-20260301-999999") is None
