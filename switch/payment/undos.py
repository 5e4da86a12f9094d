"""What the machine does on the answers to an undo (rules 8 and 9).

All are pure, see ``switch.payment.moves``.
"""

from switch.model.payment import Event, Leg, LegKind, LegState, Payment, RungKind
from switch.payment.steps import (
    MONEY_KINDS,
    Step,
    backoff,
    learn,
    out_of_exception,
    set_leg,
    stick,
    unwind,
    wait,
)


def undone(payment: Payment, i: int, event: Event) -> Step:
    """Undone and acknowledged; an acknowledged reversal of a void frees the way for the next."""
    if payment.legs[i].unvoiding:
        return _void_anew(payment, i, event)
    payment = learn(payment, i, event, state=LegState.UNDONE, wake_at=0)
    return unwind(out_of_exception(payment))


def undo_refused(payment: Payment, i: int, event: Event) -> Step:
    """Down the ladder, on a definite Refused only: never on Unknown, never on 25 (rule 8)."""
    payment = learn(payment, i, event)
    leg = payment.legs[i]
    below = leg.policy.ladder[leg.rung + 1 :]
    if leg.unvoiding or not below or (below[0].kind is RungKind.REFUND and not _may_refund(leg)):
        return stick(set_leg(payment, i, undo_refused=True), i, "its undo was refused")
    payment = set_leg(payment, i, rung=leg.rung + 1, not_founds=0)
    return wait(payment, i, LegState.UNDO_WAIT, event.at)


def undo_not_found(payment: Payment, i: int, event: Event) -> Step:
    """25 proves nothing: say it again later. It is no end for what is known to have happened, nor
    for a booking, which must be definite before money goes back (I6)."""
    leg = payment.legs[i]
    if _once_only(leg):
        return undo_unknown(payment, i, event)
    waits = leg.policy.not_found_waits_ms
    payment = learn(payment, i, event, not_founds=leg.not_founds + 1, undo_unknown=True)
    if leg.not_founds < len(waits):
        return wait(payment, i, LegState.UNDO_WAIT, event.at + waits[leg.not_founds])
    if leg.kind not in MONEY_KINDS:  # a lock that is not found holds nothing
        return unwind(out_of_exception(set_leg(payment, i, state=LegState.UNDONE, wake_at=0)))
    if leg.unvoiding:
        return _void_anew(payment, i, event)
    if leg.took_effect or leg.kind is LegKind.BOOK:
        return stick(payment, i, "its original is not found for undoing, and it may stand")
    return unwind(set_leg(payment, i, state=LegState.UNPROVEN, wake_at=0))


def undo_not_sent(payment: Payment, i: int, event: Event) -> Step:
    """No byte left, or it was refused for stale keys (``doubtful``: without proof): the same rung
    again, whatever it is."""
    leg = payment.legs[i]
    if event.doubtful and _once_only(leg):
        return undo_unknown(payment, i, event)
    payment = learn(payment, i, event, undo_unknown=leg.undo_unknown or event.doubtful)
    return wait(payment, i, LegState.UNDO_WAIT, event.at + backoff(leg, leg.undos))


def undo_unknown(payment: Payment, i: int, event: Event) -> Step:
    """Undos repeat with back-off and are never dropped (I3); a void is itself reversed, a plain
    refund waits for evidence (rule 8)."""
    payment = learn(payment, i, event, undo_unknown=True)
    leg = payment.legs[i]
    rung = leg.policy.ladder[leg.rung]
    if _once_only(leg):
        return stick(payment, i, f"its {rung.kind} may be sent once only and is unknown")
    if rung.repeats or leg.unvoiding:
        return wait(payment, i, LegState.UNDO_WAIT, event.at + backoff(leg, leg.undos))
    payment = set_leg(payment, i, unvoiding=True, not_founds=0)
    return wait(payment, i, LegState.UNDO_WAIT, event.at + leg.policy.timeout_ms)


def _void_anew(payment: Payment, i: int, event: Event) -> Step:
    """A void without an answer is reversed, or was never there as often as one asked (25): the
    next may go. Had it worked after all, the bank refuses the next, and a person has it."""
    leg = payment.legs[i]
    payment = set_leg(payment, i, unvoiding=False, not_founds=0)
    return wait(payment, i, LegState.UNDO_WAIT, event.at + backoff(leg, leg.undos))


def _may_refund(leg: Leg) -> bool:
    """A bank that looks at nothing pays a refund of what it never took, or has given back already:
    it is sent for what certainly stands alone (I1). What was undone without our hearing of it is
    refused later as well."""
    return leg.took_effect and not leg.undo_unknown


def _once_only(leg: Leg) -> bool:
    """A plain refund: neither repeated nor reversed (rule 8)."""
    rung = leg.policy.ladder[leg.rung]
    return not (rung.repeats or rung.reversible or leg.unvoiding)
