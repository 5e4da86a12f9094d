"""The simulator's journal under its faults: crash, database away, result unknown (K19)."""

import sys
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from switch.ports import JournalDown
from switch.store.memory import MemoryDatabase, MemoryJournal
from switch.timeline import ReactorTimeline

sys.path.insert(0, str(Path(__file__).parent))
import store_worlds as worlds

sys.path.pop(0)
write = worlds.write


class Faults:
    """Set by hand."""

    def __init__(self) -> None:
        self.away = False

    def down(self) -> bool:
        return self.away

    def commit_ms(self) -> int:
        return 10

    def tell_ms(self) -> int:
        return 20


@pytest.fixture
def clock() -> Clock:
    """Virtual time."""
    return Clock()


@pytest.fixture
def faults() -> Faults:
    """None yet."""
    return Faults()


@pytest.fixture
def database() -> MemoryDatabase:
    """Survives the nodes."""
    return MemoryDatabase()


@pytest.fixture
def journal(clock: Clock, faults: Faults, database: MemoryDatabase) -> MemoryJournal:
    """A node with a lease of one second."""
    timeline = ReactorTimeline(clock, monotonic_s=clock.seconds, epoch_s=lambda: 0.0)
    return MemoryJournal(database, timeline, "a", 1_000, faults)


def start(work) -> list:
    """Run ``work`` until it waits; its result lands in the list."""
    told: list = []
    Deferred.fromCoroutine(work).addBoth(told.append)
    return told


def test_a_crash_before_the_disk_loses_the_write(journal, database, clock) -> None:
    """And nobody is told."""
    told = start(journal.commit(write("k")))
    clock.advance(0.005)
    journal.crash()
    clock.advance(60)

    assert (told, database.payments()) == ([], [])


def test_K19_a_crash_after_the_disk_keeps_the_write_untold(journal, database, clock) -> None:
    """Committed, not told."""
    told = start(journal.commit(write("k")))
    clock.advance(0.015)
    journal.crash()
    clock.advance(60)

    assert told == []
    assert [payment.key for payment in database.payments()] == ["k"]


def test_database_away_refuses_births_and_holds_later_versions(journal, faults, clock) -> None:
    """JournalDown at once or on the way; a later version comes through when it is back."""
    first = start(journal.commit(write("k")))
    clock.advance(0.01)
    clock.advance(0.02)
    on_the_way = start(journal.commit(write("k2")))
    later = start(journal.commit(write("k", 2)))
    late = start(journal.record_late("k", b"{}"))
    faults.away = True
    at_once = start(journal.commit(write("k3")))
    read = start(journal.load("k"))
    clock.pump([0.01] * 100)

    assert first[0].committed
    for refused in (on_the_way, at_once, read):
        refused[0].trap(JournalDown)
    assert (later, late) == ([], [])
    faults.away = False
    clock.pump([0.01] * 100)
    assert later[0].committed
    assert late == [None]


def test_I13_the_lease_runs_out_unless_renewed(journal, faults, clock) -> None:
    """Renewal fails while the database is away."""
    clock.advance(0.6)
    journal.renew()
    assert journal.lease_left_ms() == 1_000
    faults.away = True
    clock.advance(0.6)
    journal.renew()
    assert journal.lease_left_ms() == 400
    clock.advance(0.6)
    assert journal.lease_left_ms() == 0
