"""Every reachable state of the payment machine, under every order of what can happen."""

from collections.abc import Callable
from functools import cache

import pytest

from switch.model.payment import EventKind as E
from switch.payment import moves
from switch.payment.diagram import LEADS, all_changes, changes
from switch.payment.table import RULES
from tests.payment import world
from tests.payment.cases import BY_NAME
from tests.payment.walk import Result, Walk


@cache
def walked(name: str) -> Result:
    """One walk per case and process: several tests look at it."""
    return Walk(BY_NAME[name]).run()


@pytest.mark.parametrize("name", BY_NAME)
def test_I1_I2_I3_I4_I5_I6_I7_I9_hold_in_every_state(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """All invariants hold in every state that this plan of legs can reach, whatever is lost,
    doubled, late or killed, and from each of them a fair path comes to rest."""
    result = walked(name)

    record_property(
        "walk",
        f"{name:30} {result.states:7,} states {result.steps:8,} steps {result.seconds:6.2f} s",
    )
    assert result.finding is None, str(result.finding)
    assert "done" in result.rests
    assert result.changes <= all_changes(), "the diagrams in docs/ know every change"


def test_every_change_of_the_diagrams_happens() -> None:
    """The diagrams promise nothing that no walk has seen."""
    seen = set().union(*(walked(name).changes for name in BY_NAME))
    for lead in LEADS:
        mine = [change for change in changes(lead) if change in seen]

        assert {x.next_phase for x in mine} == set(lead.phases.split()), lead
        assert len({x.next_state for x in mine}) >= len(lead.states.split()), lead


def test_I9_an_honest_counterparty_never_contradicts_itself() -> None:
    """The rows that raise the alarm *contradiction* are for lies only: no walk gets there, and
    every other row with a move is either walked or answers the same as one that is."""
    seen = {(c.phase, c.state, c.event) for name in BY_NAME for c in walked(name).changes}
    for key, row in RULES.items():
        if row.move is moves.contradiction:
            assert key not in seen
        if row.move in (moves.done, moves.undo_again) and key[2] in (E.ASK_FOUND, E.STANDS):
            assert RULES[key[0], key[1], E.DO_DONE].move is row.move


@pytest.mark.parametrize(
    "name", ["debit+book L3", "debit+book L2", "debit+ledger book", "un-book L2+plain credit"]
)
def test_dropping_messages_loses_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk drops messages that can change nothing more. Without that, and with undo tries
    counted apart, there are many more states, and nothing else is ever seen."""
    quick = walked(name)
    monkeypatch.setattr(world, "prune", lambda party, cell, state: cell)
    slow = Walk(BY_NAME[name], undo_cap=2).run()

    assert slow.finding is None, str(slow.finding)
    assert slow.states > quick.states
    assert slow.changes == quick.changes
    assert slow.rests == quick.rests
