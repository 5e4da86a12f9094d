"""One case for every named crash point: what leads there, and what must hold afterwards."""

from collections.abc import Mapping

from msgspec import Struct

DEBIT_OUT = "forward|hold:done|debit:doing|book:idle"
BOOK_OUT = "forward|hold:done|debit:done|book:doing"
FINISH_OUT = "forward|hold:done|debit:done|finish:doing|book:idle"
UNDO_OUT = "backward|hold:"
NOTHING = ""
APPROVED, RETURNED, DECLINED, NEVER_SEEN = "approved", "returned", "declined", "unknown_key"


class Case(Struct, frozen=True, kw_only=True):
    """One kill. ``sales`` and ``reversals``: how many the bank reads in all, first and last."""

    told: str
    """What the terminal is told in the end."""
    last_words: str
    """How the last trail begins that the dying process committed; "" = it committed nothing."""
    sales: int
    reversals: range
    process: str = "switch"
    card: str = "canary"
    his: str = ""
    """The hospital's habit that leads there."""
    bank: Mapping[str, str] = {}
    """The bank's habit that leads there."""
    entries: int = 0
    """What the bank has of it, when that is more than its sales."""
    starts_with: tuple[str, ...] = ()
    """Points to die at before this one, each in a process of its own."""
    slip: str = ""
    """What must stand on the slip."""
    may_refuse: bool = False
    """Nothing was journaled, so the fresh process may refuse the repeat: it has no bank yet."""


_none, _one, _more = range(1), range(1, 2), range(1, 50)
_repeated = range(2, 50)

_unborn = Case(told=APPROVED, last_words=NOTHING, sales=1, reversals=_none, may_refuse=True)
_never_left = Case(told=RETURNED, last_words=DEBIT_OUT, sales=0, reversals=_more)
_debited = Case(told=RETURNED, last_words=DEBIT_OUT, sales=1, reversals=_more)
_booking = Case(told=APPROVED, last_words=BOOK_OUT, sales=1, reversals=_none)
_undoing = Case(told=RETURNED, last_words=UNDO_OUT, sales=1, reversals=_repeated, his="refuse")

CASES: Mapping[str, Case] = {
    "K1": _unborn,
    "K2 committed, not sent": _never_left,
    "K3 half a frame": _never_left,
    "K4 sent, no answer": _debited,
    # The bank refuses the reversal, so a void goes out: the next process reverses it, voids anew.
    "K4 sent, no answer#2": Case(
        told=RETURNED,
        last_words=UNDO_OUT,
        sales=1,
        reversals=_repeated,
        his="refuse",
        bank={"habit": "decline", "on": "reversal", "code": "12"},
        entries=3,
    ),
    "K5": _debited,
    "K6 booking committed, HIS not called": _booking,
    "K7 HIS called, no reply": _booking,
    "K8 HIS reply read, not committed": _booking,
    "K8": _booking,
    "K9": Case(told=APPROVED, last_words="done|", sales=1, reversals=_none),
    "K10 told, not printed": Case(
        process="kiosk-1",
        told=APPROVED,
        last_words="done|",
        sales=1,
        reversals=_none,
        slip="重打印",
    ),
    "K11": Case(told=RETURNED, last_words=UNDO_OUT, sales=1, reversals=_one, his="refuse"),
    "K12 reversal sent, no ack": _undoing,
    "K13": _undoing,
    "K14": Case(
        told=RETURNED,
        last_words=DEBIT_OUT,
        sales=1,
        reversals=_more,
        starts_with=("K4 sent, no answer",),
    ),
    "K17 keys verified, not installed": Case(
        told=RETURNED,
        last_words=UNDO_OUT,
        sales=1,
        reversals=_repeated,
        his="refuse",
        starts_with=("K12 reversal sent, no ack",),
    ),
    "K17 keys installed, not used": Case(
        told=RETURNED,
        last_words=UNDO_OUT,
        sales=1,
        reversals=_repeated,
        his="refuse",
        starts_with=("K12 reversal sent, no ack",),
    ),
    # The issuer's data died with the switch: the card is asked how it ended, and was not finished.
    "F1 finish committed, terminal not asked": Case(
        card="chip", told=RETURNED, last_words=FINISH_OUT, sales=1, reversals=_one
    ),
    "F2 card finished, not committed": Case(
        card="chip", told=APPROVED, last_words=FINISH_OUT, sales=1, reversals=_none
    ),
    "T4 card finished, not journaled": Case(
        process="kiosk-1",
        card="chip",
        told=RETURNED,
        last_words="undone|",
        sales=1,
        reversals=_one,
    ),
    "T5 card's end journaled, not told": Case(
        process="kiosk-1",
        card="chip",
        told=APPROVED,
        last_words="done|",
        sales=1,
        reversals=_none,
    ),
    "T1 key assigned, not sent": Case(
        process="kiosk-1",
        told=NEVER_SEEN,
        last_words="declined",
        sales=0,
        reversals=_none,
    ),
    "T3 answer read, not journaled": Case(
        process="kiosk-1",
        told=APPROVED,
        last_words="done|",
        sales=1,
        reversals=_none,
    ),
    "before commit": _unborn,
    "before commit#3": _debited,
    "committed, not told": Case(
        # The hold is Unknown and the PIN block died with the process: no debit comes after it.
        told=DECLINED,
        last_words="forward|hold:doing|debit:idle|book:idle",
        sales=0,
        reversals=_none,
    ),
    "committed, not told#3": _booking,
}
"""By point, with ``#n`` for its n-th hit in one process."""

SETTLEMENTS = (
    "K16 totals committed, not sent",
    "K16 batch settled, not closed",
    "K16 batch closed, next number not in use",
)
"""Points on the way of a batch's settlement, which is no payment's."""
