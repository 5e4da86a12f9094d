"""The table itself: total, without overlap, and with a reason for everything it ignores."""

from collections import Counter

from switch.model.payment import EventKind as E
from switch.model.payment import LegState as S
from switch.payment import moves
from switch.payment.table import EVENTS, PHASES, RULES, STATES, TABLE, expand

UNREACHABLE = "unreachable"


def test_every_triple_stands_in_exactly_one_row() -> None:
    """Total cover without overlap: phases × leg states × events."""
    times = Counter(key for key, _ in expand(TABLE))
    wanted = {(p, s, e) for p in PHASES for s in STATES for e in EVENTS}

    assert set(times) == wanted
    assert [key for key, n in times.items() if n > 1] == []


def test_every_row_gives_its_reason() -> None:
    """An ignored pair says why in a sentence; no two rows with a move and a reason are equal."""
    for row in TABLE:
        assert row.why.strip(), row
        if row.move is None:
            assert len(row.why) >= len("at rest"), row


def test_unreachable_states_are_whole_states() -> None:
    """A (phase, leg state) is unreachable for all events or for none, so the walk can prove it by
    looking at states alone."""
    for phase in PHASES:
        for state in STATES:
            reasons = {RULES[phase, state, event].why.startswith(UNREACHABLE) for event in EVENTS}

            assert len(reasons) == 1, (phase, state)


def test_I5_no_row_leaves_a_refused_or_undone_leg() -> None:
    """What is refused or acknowledged as undone stays so; a late approval is only recorded. (The
    walk drops messages by this.)"""
    for (_, state, _), row in RULES.items():
        if state in (S.REFUSED, S.UNDONE):
            assert row.move in (None, moves.record_late, moves.contradiction), row


def test_a_no_counts_only_while_its_exchange_is_out() -> None:
    """Refused, NotSent, not found and the like are looked at in one state only. (The walk drops
    messages by this.)"""
    only = {
        S.DOING: (E.DO_REFUSED, E.DO_AGAIN, E.DO_NOT_SENT, E.DO_UNKNOWN),
        S.ASKING: (E.ASK_NOT_FOUND, E.ASK_UNKNOWN),
        S.UNDOING: (E.UNDO_REFUSED, E.UNDO_NOT_FOUND, E.UNDO_UNKNOWN),
    }
    for state, events in only.items():
        for key, row in RULES.items():
            if key[2] in events and row.move is not None:
                assert key[1] == state, key


def test_I7_rests_have_only_the_doors_of_the_law() -> None:
    """DONE leaves when the origin reverses, UNDONE when an unproven leg is heard of; DECLINED has
    no door. Everything else recorded there changes no state."""
    quiet = (None, moves.contradiction, moves.record_late)
    doors = {
        key
        for key, row in RULES.items()
        if key[0] in ("done", "declined", "undone") and row.move not in quiet
    }

    assert {key[:2] for key in doors} == {("done", "done"), ("undone", "unproven")}
    assert {key[2] for key in doors if key[0] == "done"} == {E.ORIGIN_REVERSES}
    assert {key[2] for key in doors if key[0] == "undone"} == {
        E.DO_DONE, E.ASK_FOUND, E.STANDS, E.UNDO_DONE, E.ABSENT,
    }  # fmt: skip
