"""Settlements of batches in both stores: the one on PostgreSQL and the simulator's in memory."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from switch.model.batch import BatchState, Gate, Totals

sys.path.insert(0, str(Path(__file__).parent))
import store_worlds as worlds

sys.path.pop(0)

write, identity, TERMINAL = worlds.write, worlds.identity, worlds.TERMINAL


@pytest.fixture(params=["postgres", "memory"])
def world(request: pytest.FixtureRequest) -> Iterator:
    """A database without nodes."""
    if request.param == "memory":
        made = worlds.MemoryWorld()
    else:
        made = worlds.PostgresWorld(request.getfixturevalue("dsn"))
    yield made
    made.close()


def ordered(world, node, due: str = ""):
    """An order of the terminal's present batch, as stored."""
    assert world.run(node.batches.order(TERMINAL, due, 1_000))
    return world.run(node.batches.open("b"))[-1]


def moved(world, node, batch, **changes):
    """The next version of it, stored."""
    after = replace(batch, version=batch.version + 1, **changes)
    assert world.run(node.batches.move(after))
    return after


def test_a_terminal_that_never_was_used_has_nothing_to_settle(world) -> None:
    """No batch, no order."""
    assert not world.run(world.node("a").batches.order(TERMINAL, "", 1))


def test_one_settlement_at_a_time_over_all_nodes(world) -> None:
    """A second order finds the first under way, and one a day by the timetable."""
    one, two = world.node("a"), world.node("b")
    world.run(one.numbers.reserve(TERMINAL, 1))
    batch = ordered(world, one, due="20260704")
    assert not world.run(two.batches.order(TERMINAL, "", 2_000))
    assert world.run(two.batches.open("b")) == [batch]

    moved(world, one, batch, state=BatchState.EMPTY)
    assert world.run(two.batches.open("b")) == []
    assert not world.run(two.batches.order(TERMINAL, "20260704", 3_000))
    assert world.run(two.batches.order(TERMINAL, "20260705", 3_000))


def test_I13_of_two_nodes_that_move_a_settlement_one_does(world) -> None:
    """Compare-and-set on the version; the very same move again counts as done (K19)."""
    one, two = world.node("a"), world.node("b")
    world.run(one.numbers.reserve(TERMINAL, 1))
    batch = ordered(world, one)
    mine = replace(batch, version=2, totals=Totals(debit_count=1, debit_fen=5))
    theirs = replace(batch, version=2, totals=Totals(debit_count=2, debit_fen=9))

    assert world.run(one.batches.move(mine))
    assert not world.run(two.batches.move(theirs))
    assert world.run(one.batches.move(mine))
    assert world.run(two.batches.open("b")) == [mine]


def test_K16_closing_and_the_next_number_are_one_commit(world) -> None:
    """After it the next STAN is of the next batch and goes on (I5), and the gate of the old one is
    closed."""
    node = world.node("a")
    world.run(node.numbers.reserve(TERMINAL, 1))
    batch = ordered(world, node)
    moved(world, node, batch, state=BatchState.CLOSED, next_number="000002", closed_at=7_000)

    block = world.run(node.numbers.reserve(TERMINAL, 1))
    assert (block.batch, block.first) == ("000002", 2)
    gate = world.run(node.batches.gate(TERMINAL, "000001"))
    assert gate == Gate(frozen=False, closed_at=7_000)


def test_K16_a_batch_that_the_bank_named_meanwhile_stays(world) -> None:
    """A sign-on during the settlement named batch 9: closing batch 1 does not go back to 2."""
    node = world.node("a")
    world.run(node.numbers.reserve(TERMINAL, 1))
    batch = ordered(world, node)
    world.run(node.numbers.adopt_batch(TERMINAL, "000009"))
    moved(world, node, batch, state=BatchState.CLOSED, next_number="000002", closed_at=7_000)

    assert world.run(node.numbers.reserve(TERMINAL, 1)).batch == "000009"


def test_a_number_used_again_knows_when_it_was_closed(world) -> None:
    """The bank goes on with number 1: its next settlement has only what is newer."""
    node = world.node("a")
    world.run(node.numbers.reserve(TERMINAL, 1))
    batch = ordered(world, node)
    assert batch.since == 0
    moved(world, node, batch, state=BatchState.CLOSED, next_number="000002", closed_at=7_000)
    world.run(node.numbers.adopt_batch(TERMINAL, "000001"))

    assert ordered(world, node).since == 7_000


def test_I8_no_message_enters_a_batch_whose_totals_are_committed(world) -> None:
    """Before and while it is ordered, yes; settling, no; one of another batch all the time."""
    node = world.node("a")
    world.run(node.numbers.reserve(TERMINAL, 1))
    batch = ordered(world, node)
    assert world.run(node.commit(write("k1", identities=(identity(1),)))).committed
    batch = moved(world, node, batch, state=BatchState.SETTLING)

    late = world.run(node.commit(write("k2", identities=(identity(2),))))
    other = world.run(node.commit(write("k3", identities=(identity(3, batch="000002"),))))
    assert (late.committed, late.reason, other.committed) == (False, "identity", True)
    assert world.run(node.batches.gate(TERMINAL, "000001")).frozen
    moved(world, node, batch, state=BatchState.FAILED)
    assert world.run(node.commit(write("k2", identities=(identity(2),)))).committed


def test_the_payments_of_a_batch_are_found_by_their_messages(world) -> None:
    """Each once, however many messages it has in the batch; none of another batch."""
    node = world.node("a")
    world.run(node.numbers.reserve(TERMINAL, 1))
    both = (identity(1), identity(2))
    world.run(node.commit(write("k2", identities=both)))
    world.run(node.commit(write("k1", identities=(identity(3),))))
    world.run(node.commit(write("k3", identities=(identity(4, batch="000002"),))))

    found = world.run(node.batches.payments(ordered(world, node)))
    assert [payment.key for payment in found] == ["k1", "k2"]


def test_a_batch_says_how_many_messages_entered_it(world) -> None:
    """Of each terminal's present batch, over all nodes; a closed one starts the next from none, and
    a number used again says when it was closed."""
    one, two = world.node("a"), world.node("b")
    assert world.run(one.batches.sizes("b")) == []
    world.run(one.numbers.reserve(TERMINAL, 3))
    world.run(one.commit(write("k1", identities=(identity(1),))))
    world.run(two.commit(write("k2", identities=(identity(2),))))
    world.run(two.commit(write("k3", identities=(identity(3, batch="000002"),))))

    (size,) = world.run(two.batches.sizes("b"))
    assert (size.terminal, size.number, size.messages, size.since) == (TERMINAL, "000001", 2, 0)
    batch = ordered(world, one)
    moved(world, one, batch, state=BatchState.CLOSED, next_number="000002", closed_at=7_000)
    (size,) = world.run(one.batches.sizes("b"))
    assert (size.number, size.messages, size.since) == ("000002", 1, 0)
    world.run(one.numbers.adopt_batch(TERMINAL, "000001"))
    assert world.run(one.batches.sizes("b"))[0].since == 7_000
    assert world.run(one.batches.sizes("another")) == []


def test_I8_no_message_enters_a_batch_that_is_closed(world) -> None:
    """A process that did not hear of its end tries with a number of it; once the bank uses the
    number again, it is in use."""
    node = world.node("a")
    world.run(node.numbers.reserve(TERMINAL, 1))
    batch = ordered(world, node)
    moved(world, node, batch, state=BatchState.CLOSED, next_number="000002", closed_at=7_000)

    late = world.run(node.commit(write("k1", identities=(identity(1),))))
    assert (late.committed, late.reason) == (False, "identity")
    assert world.run(node.commit(write("k2", identities=(identity(2, batch="000002"),)))).committed
    world.run(node.numbers.adopt_batch(TERMINAL, "000001"))
    assert world.run(node.commit(write("k1", identities=(identity(1),)))).committed


def test_I9_doubt_and_the_place_of_an_upload_are_stored(world) -> None:
    """What the next process must know of a settlement that it goes on with."""
    node = world.node("a")
    world.run(node.numbers.reserve(TERMINAL, 1))
    batch = moved(
        world,
        node,
        ordered(world, node),
        state=BatchState.UPLOADING,
        unknown_seen=True,
        uploaded=1,
        uploaded_last="000001 k1",
    )
    assert world.run(node.batches.open("b")) == [batch]


def test_a_number_used_for_ever_is_counted_from_its_last_closing(world) -> None:
    """A bank that never changes it: what came before is neither counted nor read."""
    node = world.node("a")
    world.run(node.numbers.reserve(TERMINAL, 3))
    for number in (1, 2):
        taken = write(f"k{number}", identities=(identity(number),))
        assert world.run(node.commit(taken)).committed
    batch = ordered(world, node)
    assert len(world.run(node.batches.payments(batch))) == 2
    moved(world, node, batch, state=BatchState.CLOSED, next_number="000002", closed_at=10**15)
    world.run(node.numbers.adopt_batch(TERMINAL, "000001"))

    (size,) = world.run(node.batches.sizes("b"))
    assert (size.messages, size.since) == (0, 10**15)
    assert world.run(node.batches.payments(ordered(world, node))) == []
