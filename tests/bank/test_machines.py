"""The sans-IO machines: the MUX and the sign-on session."""

import pytest

from channels.iso8583.errors import LocalError, RemoteError
from channels.iso8583.load import load_dialect
from channels.iso8583.mux import Match, Mux
from channels.iso8583.session import IGNORED, TABLE, Command, Event, State, step

DIALECT = load_dialect("cup-pos")
SALE = {"41": "10000001", "11": "000042", "4": "000000000001"}
KEY = ("0210", "10000001", "000042")


@pytest.fixture
def mux():
    return Mux(DIALECT, 3)


def test_answer_is_matched_by_type_terminal_and_stan(mux):
    """0210 answers 0200 with its F41 and F11, whatever else it carries."""
    key = mux.expect("0200", SALE, "sale")

    assert key == KEY == mux.key_of("0210", {**SALE, "42": "rewritten"})
    assert mux.find(key) == (Match.WAITED, "sale")


def test_reversal_answer_does_not_match_the_sale(mux):
    """0410 with the sale's STAN is the reversal's answer."""
    mux.expect("0200", SALE, "sale")
    mux.expect("0400", SALE, "reversal")

    assert mux.find(mux.key_of("0410", SALE)) == (Match.WAITED, "reversal")


def test_finding_changes_nothing(mux):
    """I10: an answer is looked up before it is proven, so looking must not consume."""
    key = mux.expect("0200", SALE, "sale")
    mux.find(key)

    assert mux.find(key) == (Match.WAITED, "sale")
    assert len(mux) == 1


def test_two_requests_under_one_key_are_refused(mux):
    """What the bank's answers could not tell apart must not be in flight together."""
    mux.expect("0200", SALE, "one")

    with pytest.raises(LocalError, match="0210/10000001/000042"):
        mux.expect("0200", SALE, "two")


def test_late_duplicate_and_unmatched(mux):
    """Expired → late, and then a duplicate; never seen → unmatched."""
    key = mux.expect("0200", SALE, "sale")
    mux.expired(key)
    assert mux.find(key) == (Match.LATE, "sale")

    mux.answered(key)

    assert mux.find(key) == (Match.DUPLICATE, None)
    assert mux.find(("0210", "10000001", "000043")) == (Match.UNMATCHED, None)


def test_I11_ended_exchanges_are_bounded(mux):
    """The oldest is forgotten; its answer is then unmatched, which is logged with both keys."""
    keys = [mux.expect("0200", {**SALE, "11": f"{n:06d}"}, n) for n in range(4)]
    for key in keys:
        mux.expired(key)

    assert [mux.find(key)[0] for key in keys] == [Match.UNMATCHED] + [Match.LATE] * 3


def test_type_that_answers_nothing(mux):
    """A request from the bank is not an answer."""
    with pytest.raises(RemoteError):
        mux.key_of("0200", SALE)


def test_forgotten_request_leaves_no_trace(mux):
    """It never left: its key is free and nothing of it is late."""
    key = mux.expect("0200", SALE, "sale")
    mux.forget(key)

    assert mux.find(key) == (Match.UNMATCHED, None)


def test_session_table_is_total():
    """Every (state, event) is a row or ignored with a reason, and never both."""
    for state in State:
        for event in Event:
            states, reason = IGNORED.get(event, (frozenset(), ""))
            assert ((state, event) in TABLE) != (state in states), (state, event)
            assert reason


def test_every_session_state_can_become_ready_again():
    """Liveness: from every state some events lead to READY (method: search over the table)."""
    reach = {State.READY}
    while True:
        more = {state for (state, _), (after, _) in TABLE.items() if after in reach} - reach
        if not more:
            break
        reach |= more

    assert reach == set(State)


def test_ignored_events_change_nothing():
    """An event outside the table keeps the state and commands nothing."""
    assert step(State.READY, Event.KEYS_BAD) == (State.READY, ())
    assert step(State.OFF, Event.LINK_UP) == (State.SIGNING, (Command.SEND,))
