"""Logical terminals belong to one node at a time: the same promises from PostgreSQL and memory."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from switch.ports import LogicalTerminal, WorkingKeys

sys.path.insert(0, str(Path(__file__).parent))
import store_worlds as worlds

sys.path.pop(0)

ONE, TWO, THREE = (
    LogicalTerminal(bank="b", merchant="m", terminal=f"1000000{n}") for n in (1, 2, 3)
)
ALL = (ONE, TWO, THREE)
MINUTE_MS = 60_000


@pytest.fixture(params=["postgres", "memory"])
def world(request: pytest.FixtureRequest) -> Iterator:
    """A database without nodes."""
    if request.param == "memory":
        made = worlds.MemoryWorld()
    else:
        made = worlds.PostgresWorld(request.getfixturevalue("dsn"))
    yield made
    made.close()


def _ours(world, node, terminals=ALL, patience_ms=0) -> list[LogicalTerminal]:
    """What the node holds after a look."""
    held = world.run(node.terminals.hold(terminals, patience_ms))
    ours = [one.terminal for one in held if one.ours]
    assert [one for one in terminals if node.terminals.holds(one)] == sorted(
        ours, key=lambda one: one.terminal
    )
    return ours


def test_I13_who_comes_first_holds_them_all_and_keeps_them(world) -> None:
    """Free ones are taken; the other node sees whose they are, look after look."""
    a, b = world.node("a"), world.node("b")

    assert set(_ours(world, a)) == set(ALL)
    assert _ours(world, b) == []
    assert set(_ours(world, a)) == set(ALL)

    seen = world.run(b.terminals.hold((ONE,), 0))
    assert [(one.node, one.ours, one.wanted_by) for one in seen] == [("a", False, "")]


def test_I13_two_nodes_that_race_never_hold_the_same(world) -> None:
    """Many looks at once from both: each terminal has one holder."""
    nodes = [world.node("a"), world.node("b")]

    world.run_all([nodes[n % 2].terminals.hold(ALL, 0) for n in range(16)])

    for one in ALL:
        assert [node.terminals.holds(one) for node in nodes].count(True) == 1


def test_a_wanted_terminal_goes_to_the_node_that_wants_it(world) -> None:
    """Wish, hand-over, and the number of the holding that tells of it."""
    a, b = world.node("a"), world.node("b")
    _ours(world, a)
    (before,) = world.run(b.terminals.hold((TWO,), 0))

    world.run(b.terminals.want((TWO,), MINUTE_MS))
    (wished,) = [one for one in world.run(a.terminals.hold(ALL, 0)) if one.wanted_by]
    world.run(a.terminals.give_up(TWO))

    assert (wished.terminal, wished.wanted_by) == (TWO, "b")
    assert not a.terminals.holds(TWO)
    assert set(_ours(world, a)) == {ONE, THREE}
    assert _ours(world, b) == [TWO]
    (after,) = world.run(b.terminals.hold((TWO,), 0))
    assert (after.number, after.wanted_by) == (before.number + 1, "")


def test_a_terminal_nobody_wants_is_anybodys(world) -> None:
    """Given up at a clean stop: the next node that looks takes it, without waiting."""
    a, b = world.node("a"), world.node("b")
    _ours(world, a)

    world.run(a.terminals.give_up(ONE))

    assert _ours(world, b, patience_ms=MINUTE_MS) == [ONE]


def test_a_wish_of_another_node_stands_until_it_ends(world) -> None:
    """Who asked first is served; one's own terminals are not wished for."""
    a, b, c = (world.node(name) for name in "abc")
    _ours(world, a)
    world.run(b.terminals.want((ONE,), MINUTE_MS))

    world.run(c.terminals.want((ONE, TWO), MINUTE_MS))
    world.run(a.terminals.want((THREE,), MINUTE_MS))

    wishes = {one.terminal: one.wanted_by for one in world.run(a.terminals.hold(ALL, 0))}
    assert wishes == {ONE: "b", TWO: "c", THREE: ""}


def test_a_wish_of_a_dead_node_gives_the_terminal_to_nobody(world) -> None:
    """The one that wished is gone: whoever looks next has it."""
    a, b, c = (world.node(name) for name in "abc")
    _ours(world, a)
    world.run(b.terminals.want((ONE,), MINUTE_MS))
    world.expire("b")

    world.run(a.terminals.give_up(ONE))

    assert _ours(world, c) == [ONE]


def test_I13_a_dead_nodes_terminals_are_taken_after_lease_and_patience(world) -> None:
    """What it sent last is answered before another node uses its terminal."""
    a, b = world.node("a"), world.node("b")
    _ours(world, a)
    world.expire("a")

    assert _ours(world, b, patience_ms=24 * worlds.HOUR_MS) == []
    assert set(_ours(world, b, patience_ms=0)) == set(ALL)


def test_I13_a_node_without_a_lease_takes_nothing(world) -> None:
    """Its lease has run out in the database: free terminals are not for it."""
    a = world.node("a")
    world.expire("a")

    held = world.run(a.terminals.hold(ALL, 0))

    assert not any(one.ours for one in held)


def test_I13_the_next_process_of_a_node_takes_its_terminals_at_once(world) -> None:
    """After a stop without a hand-over (a crash on the same machine): no patience is needed."""
    a = world.node("a")
    _ours(world, a)
    if isinstance(world, worlds.PostgresWorld):
        world.run(world.journals.pop().close())

    again = world.node("a")

    assert set(_ours(world, again, patience_ms=MINUTE_MS)) == set(ALL)


def test_I13_what_is_given_up_is_not_ours_from_that_moment(world) -> None:
    """A look under way, whose answer says *ours*, does not bring it back."""
    a = world.node("a")
    _ours(world, a)
    told = []

    async def leave() -> None:
        told.append(a.terminals.holds(ONE))
        await a.terminals.give_up(ONE)

    async def look() -> None:
        await a.terminals.hold((ONE, TWO), 0)
        told.append(a.terminals.holds(ONE))

    world.run_all([look(), leave()])

    assert told == [True, False]


def test_every_look_tells_the_newest_key_generation_and_who_is_alive(world) -> None:
    """So a node learns of keys that another one installed, and whether it is the last."""
    a = world.node("a")
    (before,) = world.run(a.terminals.hold((ONE,), 0))
    keys = WorkingKeys(generation=1, pik="p", mak="m", pik_kcv="", mak_kcv="", installed_at=1)

    b = world.node("b")
    world.run(b.keys.install(ONE, keys))
    (after,) = world.run(a.terminals.hold((ONE,), 0))
    world.expire("b")
    (last,) = world.run(a.terminals.hold((ONE,), 0))

    assert [one.key_generation for one in (before, after, last)] == [0, 1, 1]
    assert [one.alone for one in (before, after, last)] == [True, False, True]


def test_I14_a_banks_day_never_goes_back(world) -> None:
    """The newest date announced counts, for all nodes, bank by bank."""
    a, b = world.node("a").bank_days, world.node("b").bank_days

    assert world.run(a.newest("icbc")) == ""
    assert world.run(a.announce("icbc", "20260705")) == "20260705"
    assert world.run(b.announce("icbc", "20260704")) == "20260705"
    assert world.run(b.newest("icbc")) == "20260705"
    assert world.run(b.newest("abc")) == ""
