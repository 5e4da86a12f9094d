"""Whatever happens at a kiosk, in any order: what must never be, never is."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from terminal_agent.flows import events as ev
from terminal_agent.flows.state import State
from terminal_agent.flows.view import Button, Screen, Tap
from terminal_agent.protocol import Opaque, Told
from tests.flows.world import BILLS, PATIENT, Paper

_STATES = ("approved", "declined", "returned", "pending", "exception", "refused")
_TAPS = st.tuples(
    st.sampled_from(["tile", "choice", "payment", *Button]),
    st.sampled_from(["outpatient_bill", "registration", "slip_reprint", "B1", "0", "5"]),
)
_ABOUT = st.sampled_from(
    [
        (ev.Identified, {"medium": "visit", "number": Opaque("C")}),
        (ev.Found, {"patient": PATIENT}),
        (ev.Offered, {"choices": BILLS}),
        (ev.Failed, {"code": "timeOut"}),
        (ev.Ended, {"told": None, "code": "canceled"}),
        (ev.Admitted, {"right": True}),
        *((ev.Progress, {"stage": stage, "key": "K1"}) for stage in ev.Stage),
        *((ev.Ended, {"told": Told(key="K1", state=state, code="55")}) for state in _STATES),
    ]
)
_HOUSE = st.sampled_from(
    [
        ev.CardNews(inside=True),
        ev.CardNews(inside=False),
        ev.LinkNews(up=False),
        ev.LinkNews(up=True),
        ev.LockNews(""),
        ev.LockNews(None),
        ev.SlipNews(key="K1", slip="printed"),
        ev.News(Told(key="K1", state="approved")),
    ]
)
MOVES = st.one_of(
    st.tuples(st.just("tap"), _TAPS),
    st.tuples(st.just("stale"), _TAPS),
    st.tuples(st.just("about"), _ABOUT),
    st.tuples(st.just("late"), _ABOUT),
    st.tuples(st.just("house"), _HOUSE),
    st.tuples(st.just("wait"), st.sampled_from([1, 10_000, 100_000])),
)
WALKS = st.lists(MOVES, max_size=60)
BEGINNINGS = st.sampled_from(["to_pick", "to_card", "to_paying", "to_wrong_pin"])
_TIMELESS = frozenset({Screen.HOME, Screen.PAYING, Screen.TAKE_CARD, Screen.CLOSED})


def _play(paper: Paper, move: tuple[str, Any]) -> None:
    kind, what = move
    if kind == "tap":
        paper.tap(*what)
    elif kind == "stale":
        what, choice = what
        revision = max(0, paper.state.offered_since - 1)
        paper.tell(ev.Tapped(Tap(revision=revision, what=what, id=choice)))
    elif kind == "about":
        paper.about(what[0], **what[1])
    elif kind == "late":
        paper.tell(what[0](visit=paper.state.visit - 1, **what[1]))
    elif kind == "house":
        paper.tell(what)
    else:
        paper.later(what)


def walk(moves: list[tuple[str, Any]], begin: str) -> None:
    """One walk, checked after every step. Raises AssertionError."""
    paper = Paper()
    getattr(paper, begin)()
    for move in moves:
        before = paper.state
        _play(paper, move)
        after = paper.state
        for command in paper.wants:
            if isinstance(command, ev.Pay):
                _check_pay(paper, move, before, command)
        if before.screen is Screen.PAYING and after.screen is not Screen.PAYING:
            assert move[0] == "about"
            assert move[1][0] is ev.Ended
        if move[0] in ("late", "stale") and before.offered_since:
            assert after is before
        waits = after.deadline_at or after.notice == "cancelling" or after.screen in _TIMELESS
        assert waits, after.screen
        assert after.revision >= before.revision
        assert paper.view.revision == after.revision
        if after.screen is Screen.HOME:
            assert (after.patient, after.order, after.told, after.typed) == (None, None, None, "")


def _check_pay(paper: Paper, move: tuple[str, Any], before: State, pay: ev.Pay) -> None:
    """What costs money: one of it, for one confirmation, under a key of its own."""
    assert move[0] == "tap"
    assert move[1][0] == Button.CONFIRM
    assert before.screen in (Screen.CHECK, Screen.RESULT)
    assert paper.wants == (pay,)
    assert pay.order.amount_fen >= 1
    assert (paper.state.key, paper.state.told) == ("", None)
    if before.told is not None:
        assert before.told.state == "declined"
        assert pay.order.retry_of == before.told.key


@settings(max_examples=1500, deadline=None)
@given(WALKS, BEGINNINGS)
def test_nothing_that_must_never_be(moves: list[tuple[str, Any]], begin: str) -> None:
    """Walks from four places of the way, over taps (of the page as it is, and of one that is
    gone), events of this and of an earlier visit, the house, and time. Checked after every step:
    Pay comes of a confirming tap alone, with an amount, and once (I7, I8, I16), and a retry names
    the payment before (rule 17); what is sent is left by its end alone; there is a deadline
    wherever a patient is waited for (I11); a late event and a stale tap change nothing; every state
    can be shown; at home nothing of a patient is left (I12)."""
    walk(moves, begin)
