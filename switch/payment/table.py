"""The payment machine as a table over (phase, leg state, event).

Rules
- A *phase* is a rest, or else the stage: forward, backward, done, declined, undone, exception.
- Every triple stands in exactly one row; a row without a move is ignored, for the reason it gives.
  A test expands the table and proves the cover; the diagrams in docs/ are drawn from it.
- Lateness is a matter of state: the same DO_DONE goes on when the leg is open and is only recorded
  once the payment goes backward (I5). There are no "late" events.
- *Unknown is not failed* (I9), and it is sticky: see ``moves.refused`` and ``moves.not_sent``.
- BACKWARD is a one-way door: no row leads from backward to forward (I5).
- Nothing is undone while a later leg is open (I6): see ``moves._unwind``.
- Undos never give up by themselves (I3): no row leaves UNDO_WAIT but by its timer, evidence, or
  the settling of the batch, which makes an exception of it.

Theory: what the machine does not know is kept in the leg (``unknown_seen``, ``took_effect``,
counters); what it must not do is kept in the table.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from switch.model.payment import Event, EventKind, LegState, Payment
from switch.payment import moves, undos
from switch.payment.steps import Step

Move = Callable[[Payment, int, Event], Step]


class Row(NamedTuple):
    """For all phases × states × events named: make ``move``, or ignore it because of ``why``."""

    phases: str
    states: str
    events: str
    move: Move | None
    why: str


PHASES = ("forward", "backward", "done", "declined", "undone", "exception")
STATES = tuple(str(state) for state in LegState)
EVENTS = tuple(str(kind) for kind in EventKind)

OPEN = "doing do_wait asking ask_wait"
UNDO = "undoing undo_wait"
DO_NO = "do_refused do_doubted do_again do_not_sent do_unknown"
ASKS = "ask_found ask_absent ask_not_found ask_unknown"
UNDOS = "undo_done undo_refused undo_not_found undo_not_sent undo_unknown"
CLOCKS = "timer deadline batch_closing batch_deadline"

_stale = "an answer, timer or notice of something already settled"
_barred = "unreachable: the walk proves that no payment gets here"

# fmt: off
TABLE: tuple[Row, ...] = (
    # -- forward: one leg is open, those before it are done, those after it idle ------------------
    Row("forward", OPEN, "do_done ask_found stands", moves.done, "it happened: go on"),
    Row("forward", "doing", "do_refused", moves.refused, "a definite no turns back"),
    Row("forward backward", "doing", "do_doubted", moves.doubted, "I10: a no without proof"),
    Row("forward", "doing", "do_again", moves.again, "fresh keys, one more attempt (rule 17)"),
    Row("forward", "doing", "do_not_sent", moves.not_sent, "rule 2"),
    Row("forward", "doing", "do_unknown", moves.unknown, "I9: the policy finds the truth"),
    Row("forward", "do_wait ask_wait", "timer", moves.wake, "resend, or ask"),
    Row("forward", "asking", "ask_absent", moves.absent, "definitely not: turn back"),
    Row("forward", "asking", "ask_not_found", moves.ask_not_found, "not yet is not never"),
    Row("forward", "asking", "ask_unknown", moves.ask_failed,
        "ask again, a stated number of times"),
    Row("forward", "asking ask_wait do_wait", "absent", moves.absent, "evidence settles it"),
    Row("forward", "doing asking", "deadline", moves.mark_overdue, "the answer decides"),
    Row("forward", "do_wait ask_wait", "deadline", moves.deadline, "no more resends"),
    Row("forward", "do_wait asking ask_wait", "batch_deadline", moves.batch_deadline, "rule 19"),
    Row("forward", "doing asking", "origin_reverses", moves.origin_reverses_in_flight, "§3"),
    Row("forward", "do_wait ask_wait", "origin_reverses", moves.origin_reverses_waiting, "§3"),
    Row("forward", "doing",
        f"timer absent batch_closing batch_deadline {UNDOS} ask_absent ask_not_found ask_unknown",
        None, "the exchange that is out decides"),
    Row("forward", "asking", f"timer batch_closing {DO_NO} {UNDOS}", None, _stale),
    Row("forward", "do_wait ask_wait",
        f"batch_closing {DO_NO} {UNDOS} ask_absent ask_not_found ask_unknown", None, _stale),
    Row("forward", "idle done",
        f"do_done {DO_NO} {ASKS} {UNDOS} {CLOCKS} stands absent origin_reverses", None,
        "a leg before or after the open one"),
    Row("forward", "refused undoing undo_wait undone unproven stuck", "*", None, _barred),
    # -- backward: the last leg that is not settled is being undone --------------------------------
    Row("backward", "doing asking ask_wait", "do_done ask_found stands", moves.done,
        "it happened: now undo it"),
    Row("backward", "doing", "do_refused", moves.refused, "nothing to undo here"),
    Row("backward", "doing", "do_again", moves.again, "no fresh attempt on the way back"),
    Row("backward", "doing", "do_not_sent", moves.not_sent, "nothing to undo here"),
    Row("backward", "doing", "do_unknown", moves.unknown, "settle it by undoing it"),
    Row("backward", "ask_wait", "timer", moves.wake, "ask"),
    Row("backward", "asking", "ask_absent", moves.absent, "nothing to undo here"),
    Row("backward", "asking", "ask_not_found", moves.ask_not_found, "not yet is not never"),
    Row("backward", "asking", "ask_unknown", moves.ask_failed, "ask again"),
    Row("backward", "asking ask_wait", "absent", moves.absent, "evidence settles it"),
    Row("backward", "asking ask_wait", "batch_deadline", moves.batch_deadline, "rule 19"),
    Row("backward exception", UNDO, "do_done ask_found stands", moves.record_late,
        "I5: recorded; the undo under way answers it"),
    Row("backward exception", UNDO, "undo_done", undos.undone, "acknowledged: the leg before it"),
    Row("backward exception", "undoing", "undo_refused", undos.undo_refused, "rule 8: next rung"),
    Row("backward exception", "undoing", "undo_not_found", undos.undo_not_found, "rule 9: 25"),
    Row("backward exception", "undoing", "undo_not_sent", undos.undo_not_sent, "I3: again"),
    Row("backward exception", "undoing", "undo_unknown", undos.undo_unknown, "I3: again"),
    Row("backward exception", "undo_wait", "timer", moves.wake, "I3: again"),
    Row("backward exception", "undo_wait", "batch_closing", moves.closing, "rule 9: after a 25"),
    Row("backward exception", UNDO, "absent", moves.proven_absent, "evidence settles it"),
    Row("backward exception", "undo_wait", "batch_deadline", moves.batch_deadline, "rule 19"),
    Row("backward undone exception", "unproven", "do_done ask_found stands", moves.undo_again,
        "I5: it happened after all, so undo it (the door out of UNDONE-unproven)"),
    Row("backward undone exception", "unproven", "undo_done absent", moves.proven_absent,
        "proof came later"),
    Row("backward", "doing", f"timer absent {UNDOS} ask_absent ask_not_found ask_unknown", None,
        "the exchange that is out decides"),
    Row("backward", "asking ask_wait", f"{DO_NO} {UNDOS}", None, _stale),
    Row("backward", "asking", "timer", None, _stale),
    Row("backward", "ask_wait", "ask_absent ask_not_found ask_unknown", None, _stale),
    Row("backward exception", UNDO, f"{DO_NO} ask_absent ask_not_found ask_unknown", None,
        "Unknown is sticky: once it is being undone only the undo or evidence settles it"),
    Row("backward exception", "undoing", "timer", None, _stale),
    Row("backward exception", "undo_wait",
        "undo_refused undo_not_found undo_not_sent undo_unknown", None, _stale),
    Row("backward", "doing", "batch_deadline", None, "its answer or time-out decides"),
    Row("backward exception", "undoing", "batch_deadline", None, "its answer or time-out decides"),
    Row("backward undone exception", "unproven", f"{DO_NO} timer ask_absent ask_not_found "
        "ask_unknown undo_refused undo_not_found undo_not_sent undo_unknown batch_deadline", None,
        "nothing is out; evidence, the settlement file or a late approval moves it"),
    Row("backward", "do_wait stuck", "*", None, _barred),
    Row("backward", "doing asking ask_wait undoing undo_wait unproven", "deadline", None,
        "I3: going back has no deadline"),
    Row("backward", "doing asking ask_wait undoing unproven", "batch_closing", None,
        "something is out, or nothing is to be sent"),
    Row("backward", "doing asking ask_wait undoing undo_wait unproven", "origin_reverses", None,
        "already going back"),
    # -- exception: at least one leg is stuck ------------------------------------------------------
    Row("exception", "stuck", "do_done ask_found stands", moves.stuck_stands,
        "an authentic answer or evidence: it stands"),
    Row("exception", "stuck", "ask_absent absent", moves.stuck_absent, "evidence: it does not"),
    Row("exception", "stuck", "undo_done", moves.proven_absent, "the acknowledgement came late"),
    Row("exception", "stuck",
        f"{DO_NO} ask_not_found ask_unknown undo_refused undo_not_found undo_not_sent undo_unknown "
        f"{CLOCKS}", None, "I15: only evidence or two people settle it"),
    Row("exception", "stuck", "origin_reverses", moves.origin_reverses_stuck,
        "a person has it; it does not go forward any more"),
    Row("exception", "undoing undo_wait unproven", "origin_reverses", None, "already going back"),
    Row("exception", UNDO, "deadline", None, "I3: going back has no deadline"),
    Row("exception", "undoing unproven", "batch_closing", None, "nothing is to be sent"),
    Row("exception", "unproven", "deadline", None, "at rest"),
    Row("exception", OPEN, "*", None, _barred),
    # -- what is settled stays settled -------------------------------------------------------------
    Row("backward declined undone exception", "refused", "do_done ask_found stands",
        moves.contradiction, "it was definitely refused: alarm"),
    Row("backward declined undone exception", "refused",
        f"{DO_NO} ask_absent ask_not_found ask_unknown {UNDOS} {CLOCKS} absent", None, _stale),
    Row("backward undone exception declined", "undone", "do_done ask_found", moves.record_late,
        "I5: the acknowledged undo stands"),
    Row("backward undone exception declined", "undone", "stands", moves.contradiction,
        "acknowledged as undone, yet the file says it stands: alarm"),
    Row("backward undone exception declined", "undone",
        f"{DO_NO} ask_absent ask_not_found ask_unknown {UNDOS} {CLOCKS} absent", None, _stale),
    Row("backward declined undone exception", "done idle",
        f"do_done {DO_NO} {ASKS} {UNDOS} {CLOCKS} stands absent", None, "not this leg's turn"),
    Row("backward", "refused undone done idle", "origin_reverses", None, "already going back"),
    Row("exception", "refused undone done idle", "origin_reverses", None, "a person has it"),
    # -- rests -------------------------------------------------------------------------------------
    Row("done", "done", "origin_reverses", moves.origin_reverses_done, "the door out of DONE (§3)"),
    Row("done", "done", "absent", moves.contradiction, "answered as done, yet not in the file"),
    Row("done", "done", f"do_done {DO_NO} {ASKS} {UNDOS} {CLOCKS} stands", None,
        "I7: DONE stands; a repeat changes nothing"),
    Row("done", f"idle {OPEN} refused {UNDO} undone unproven stuck", "*", None, _barred),
    Row("undone", "unproven", "deadline batch_closing", None, "at rest"),
    Row("undone declined", "refused undone done idle", "origin_reverses", None, "already undone"),
    Row("undone", "unproven", "origin_reverses", None, "already undone"),
    Row("undone", f"{OPEN} {UNDO} stuck", "*", None, _barred),
    Row("declined", f"{OPEN} {UNDO} unproven stuck", "*", None, _barred),
)
# fmt: on


def _names(field: str, all_names: tuple[str, ...]) -> tuple[str, ...]:
    return all_names if field == "*" else tuple(field.split())


def expand(table: tuple[Row, ...]) -> Iterator[tuple[tuple[str, str, str], Row]]:
    """Every (phase, state, event) that ``table`` speaks of, with the row that does."""
    for row in table:
        for phase in _names(row.phases, PHASES):
            for state in _names(row.states, STATES):
                for event in _names(row.events, EVENTS):
                    yield (phase, state, event), row


RULES: dict[tuple[str, str, str], Row] = dict(expand(TABLE))
"""The table as the machine looks it up."""
