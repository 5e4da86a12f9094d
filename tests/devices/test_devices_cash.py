"""The cash acceptor: no note is lost and none is counted twice, whatever fails when."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from terminal_agent.config import ConfigError
from terminal_agent.devices.cash_acceptor import CashAcceptor, CashOptions, notes_of
from terminal_agent.devices.cash_emulator import CashEmulator
from terminal_agent.devices.cash_journal import CashJournal
from terminal_agent.devices.ccnet_frames import Decoder, encode
from terminal_agent.devices.emulator import Fault
from terminal_agent.devices.interfaces import Completion, DeviceError
from tests.devices.conftest import Bench

NOTES = {2: 1000, 3: 2000, 5: 10000}


def options(folder: Path) -> CashOptions:
    """An acceptor asked often."""
    return CashOptions(
        port=str(folder / "port"),
        baud=9600,
        answer_timeout_ms=600,
        reopen_min_ms=20,
        reopen_max_ms=50,
        poll_ms=10,
        journal=str(folder / "notes.db"),
        notes=" ".join(f"{kind}={fen}" for kind, fen in NOTES.items()),
    )


def test_notes_are_taken_on_a_real_line(bench: Bench) -> None:
    """Escrow, stacked, over a pseudo terminal; too much and unknown notes go back."""
    emulator = CashEmulator()
    cable = bench.plug(emulator)
    cash = CashAcceptor(options(bench.folder), bench.reactor)
    events = bench.start(cash)
    bench.run(cash.cash_in_start("K-1", 12_000))
    for kind in (3, 7, 5, 5):
        bench.until(lambda: emulator.takes_notes)
        emulator.insert(kind)
        bench.until(lambda: len(emulator.box) + len(emulator.given_back) > 0)
    bench.until(lambda: emulator.takes_notes)
    total = bench.run(cash.cash_in_end())

    assert (total, emulator.box, emulator.given_back) == (12_000, [3, 5], [7, 5])
    assert not emulator.insert(2)
    cable.unplug()
    bench.until(lambda: cash.status() == "noDevice")
    cable.plug()
    bench.until(lambda: cash.status() == "online")
    assert "CashAcceptor.ItemsInsertedEvent" in [event.name for event in events]
    cash.journal.close()


def test_a_full_box(bench: Bench) -> None:
    """No session begins; the state says why."""
    emulator = CashEmulator()
    bench.plug(emulator)
    cash = CashAcceptor(options(bench.folder), bench.reactor)
    bench.start(cash)
    bench.until(lambda: cash.status() == "online")
    emulator.full = True
    bench.until(lambda: cash.status() == "cashBoxFull")
    with pytest.raises(DeviceError) as error:
        bench.run(cash.cash_in_start("K-1", 100))
    assert error.value.completion is Completion.DEVICE_NOT_READY
    cash.journal.close()


class World:
    """A kiosk and an acceptor in memory, whose parts may die between any two bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.emulator = CashEmulator()
        self.inserted: list[int] = []
        self.begin()

    def begin(self) -> None:
        """The kiosk starts."""
        self.ear: Any = None
        self.cash = CashAcceptor(options(self.folder), self.clock, open_port=self.opened)
        self.cash.start()
        self.turn(20)
        self.enable()

    def opened(self, ear: Any, _options: Any, _reactor: Any) -> "World":
        """See Opener."""
        self.ear = ear
        self.emulator.attach(lambda data: self.clock.callLater(0.001, ear.dataReceived, data))
        return self

    def write(self, data: bytes) -> None:
        """Towards the acceptor."""
        self.clock.callLater(0.001, self.emulator.received, data)

    def close(self) -> None:
        """See Port."""

    def turn(self, steps: int) -> None:
        """Time passes, a millisecond a step."""
        for _ in range(steps):
            self.clock.advance(0.001)

    def enable(self) -> None:
        """A session, if one can be."""
        started = Deferred.fromCoroutine(self.cash.cash_in_start("K-1", 10**9))
        started.addErrback(lambda failure: failure.trap(DeviceError))
        self.turn(10)

    def kill(self) -> None:
        """The kiosk's process dies and comes back; what it had sent is still on the wire."""
        self.cash.journal.close()
        self.cash.stop()
        self.begin()


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.sampled_from([2, 3, 5, 7])),
        st.tuples(st.just("turn"), st.integers(1, 40)),
        st.tuples(st.just("kill"), st.just(0)),
        st.tuples(st.just("power"), st.just(0)),
        st.tuples(st.just("lost_ack"), st.integers(1, 3)),
        st.tuples(st.just("fault"), st.sampled_from(list(Fault))),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_no_note_is_lost_or_counted_twice(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, Any]]
) -> None:
    """Any mix of notes, kills, power cuts, lost acknowledgements and bad answers: what the journal
    counts lies in the box; what it does not count and lies there is named as uncertain."""
    world = World(tmp_path_factory.mktemp("cash"))
    for action, value in actions:
        match action:
            case "insert":
                world.emulator.insert(value)
            case "turn":
                world.turn(value)
            case "kill":
                world.kill()
            case "power":
                world.emulator.power_cut()
            case "lost_ack":
                world.emulator.deaf_to_ack += value
            case "fault":
                world.emulator.misbehave(value)
    world.emulator.deaf_to_ack = 0
    world.emulator._faults.clear()
    world.turn(1500)

    journal = world.cash.journal
    truth = sum(NOTES[kind] for kind in world.emulator.box)
    counted = journal.total_fen("K-1")
    unsure = sum(note.amount_fen for note in journal.uncertain())
    assert journal.open_note() is None
    assert counted <= truth <= counted + unsure
    journal.close()


@pytest.mark.parametrize("after_ms", range(0, 60, 3))
def test_a_kiosk_that_dies_at_any_moment_counts_exactly(tmp_path: Path, after_ms: int) -> None:
    """One note, the process killed so many milliseconds later, acknowledgements lost too: it is
    counted if and only if it lies in the box, and nothing is left to people."""
    world = World(tmp_path)
    world.emulator.insert(5)
    world.turn(after_ms)
    world.emulator.deaf_to_ack = 1
    world.kill()
    world.turn(300)

    assert len(world.emulator.box) + len(world.emulator.given_back) == 1
    assert world.cash.journal.total_fen("K-1") == 10_000 * len(world.emulator.box)
    assert world.cash.journal.uncertain() == []
    world.cash.journal.close()


def test_a_journal_keeps_its_rules(tmp_path: Path) -> None:
    """One open note, one end for each; what is written is there for the next process."""
    journal = CashJournal(tmp_path / "notes.db")
    note = journal.seen("S", 1000)
    with pytest.raises(sqlite3.IntegrityError):
        journal.seen("S", 1000)
    journal.became(note, "stacking")
    journal.became(note, "stacked")
    with pytest.raises(AssertionError):
        journal.became(note, "returned")
    journal.close()
    again = CashJournal(tmp_path / "notes.db")
    assert (again.total_fen("S"), again.total_fen("T")) == (1000, 0)
    again.close()


def test_note_types() -> None:
    """Types 0 to 23."""
    assert notes_of("0=100 23=200") == {0: 100, 23: 200}
    for wrong in ("24=100", "1=0"):
        with pytest.raises(ConfigError):
            notes_of(wrong)


@given(st.binary(min_size=1, max_size=200), st.integers(1, 20))
def test_frames_survive_any_cut(body: bytes, step: int) -> None:
    """Cut anywhere."""
    decoder = Decoder()
    wire = encode(body)
    out = [item for at in range(0, len(wire), step) for item in decoder.feed(wire[at : at + step])]
    assert out == [body]
