"""Whatever happens at a kiosk, in any order: what must never be, never is."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from terminal_agent.flows import events as ev
from terminal_agent.flows.view import Button, Screen
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
_MOVES = st.one_of(
    st.tuples(st.just("tap"), _TAPS),
    st.tuples(st.just("about"), _ABOUT),
    st.tuples(st.just("late"), _ABOUT),
    st.tuples(st.just("house"), _HOUSE),
    st.tuples(st.just("wait"), st.sampled_from([1, 10_000, 100_000])),
)
_TIMELESS = frozenset({Screen.HOME, Screen.PAYING, Screen.TAKE_CARD, Screen.CLOSED})


def _play(paper: Paper, move: tuple[str, Any]) -> None:
    kind, what = move
    if kind == "tap":
        paper.tap(*what)
    elif kind == "about":
        paper.about(what[0], **what[1])
    elif kind == "late":
        paper.tell(what[0](visit=paper.state.visit - 1, **what[1]))
    elif kind == "house":
        paper.tell(what)
    else:
        paper.later(what)


@settings(max_examples=1500, deadline=None)
@given(st.lists(_MOVES, max_size=60), st.sampled_from(["to_pick", "to_card", "to_paying"]))
def test_nothing_that_must_never_be(moves: list[tuple[str, Any]], begin: str) -> None:
    """Walks from three places of the way, over taps (of the page as it is), events of this and of
    an earlier visit, the house, and time. Checked after every step:
    Pay comes of a confirming tap alone, with an amount, and once (I7, I8, I16); what is sent is
    left by its end alone; there is a deadline wherever a patient is waited for (I11); a late event
    changes nothing; every state can be shown; at home nothing of a patient is left (I12)."""
    paper = Paper()
    getattr(paper, begin)()
    for move in moves:
        before = paper.state
        _play(paper, move)
        after = paper.state
        if any(isinstance(command, ev.Pay) for command in paper.wants):
            assert move[0] == "tap"
            assert move[1][0] == Button.CONFIRM
            assert before.screen in (Screen.CHECK, Screen.RESULT)
            (pay,) = paper.wants
            assert pay.order.amount_fen >= 1
        if before.screen is Screen.PAYING and after.screen is not Screen.PAYING:
            assert move[0] == "about"
            assert move[1][0] is ev.Ended
        if move[0] == "late":
            assert after is before
        waits = after.deadline_at or after.notice == "cancelling" or after.screen in _TIMELESS
        assert waits, after.screen
        assert after.revision >= before.revision
        assert paper.view.revision == after.revision
        if after.screen is Screen.HOME:
            assert (after.patient, after.order, after.told, after.typed) == (None, None, None, "")
