"""The steps that moves are made of: starting a leg, turning back, unwinding, giving up.

All are pure. A step never compares times: a wait becomes ``wake_at`` in the leg and a WAKE effect,
and its end comes back as a TIMER event.
"""

from msgspec.structs import replace

from switch.model.outcome import Verb
from switch.model.payment import (
    Effect,
    EffectKind,
    Event,
    GiveUp,
    Leg,
    LegKind,
    LegState,
    Payment,
    Rest,
    Stage,
)

Step = tuple[Payment, tuple[Effect, ...]]

MONEY_KINDS = frozenset({LegKind.DEBIT, LegKind.BOOK, LegKind.UNBOOK, LegKind.CREDIT})
"""Legs whose undoing makes a payment UNDONE; a released hold leaves it DECLINED."""

SETTLED_BACK = frozenset({LegState.IDLE, LegState.REFUSED, LegState.UNDONE, LegState.UNPROVEN})
"""States in which going back has nothing left to do for a leg."""


def set_leg(payment: Payment, i: int, **changes: object) -> Payment:
    """The payment with leg ``i`` changed."""
    legs = list(payment.legs)
    legs[i] = replace(legs[i], **changes)
    return replace(payment, legs=tuple(legs))


def learn(payment: Payment, i: int, event: Event, **changes: object) -> Payment:
    """Set ``changes`` and keep what the answer said."""
    leg = payment.legs[i]
    facts = {**leg.facts, **event.facts} if event.facts else leg.facts
    return set_leg(
        payment, i, facts=facts, code=event.code or leg.code, text=event.text or leg.text, **changes
    )


def alarm(invariant: str, text: str, i: int) -> Effect:
    """Tell the operators which invariant is at stake."""
    return Effect(kind=EffectKind.ALARM, leg=i, invariant=invariant, text=text)


def wait(payment: Payment, i: int, state: LegState, at: int, **changes: object) -> Step:
    """Leg ``i`` rests in ``state`` until its TIMER at ``at``."""
    payment = set_leg(payment, i, state=state, wake_at=at, **changes)
    return payment, (Effect(kind=EffectKind.WAKE, leg=i, at=at),)


def backoff(leg: Leg, tries: int) -> int:
    """The wait before try number ``tries`` + 1; the last of the list repeats."""
    waits = leg.policy.resend_waits_ms
    return waits[min(max(tries, 1), len(waits)) - 1]


def send_do(payment: Payment, i: int, event: Event, **changes: object) -> Step:
    """Begin an attempt. Its number tells its answer from those of others."""
    attempt = payment.legs[i].attempt + 1
    payment = set_leg(
        payment, i, state=LegState.DOING, attempt=attempt, sent_at=event.at, wake_at=0, **changes
    )
    return payment, (Effect(kind=EffectKind.SEND, leg=i, verb=Verb.DO, attempt=attempt),)


def send_undo(payment: Payment, i: int) -> Step:
    """Send the undo of the current rung (again)."""
    undos = payment.legs[i].undos + 1
    payment = set_leg(payment, i, state=LegState.UNDOING, undos=undos, wake_at=0)
    return payment, (Effect(kind=EffectKind.SEND, leg=i, verb=Verb.UNDO, attempt=undos),)


def start(payment: Payment, i: int, event: Event) -> Step:
    """Begin leg ``i``; a ledger leg is posted by the commit itself and done at once."""
    leg = payment.legs[i]
    if not leg.policy.ledger:
        return send_do(payment, i, event)
    if not event.ledger_ok:
        return turn_back(set_leg(payment, i, state=LegState.REFUSED, code="ledger"), i)
    payment = set_leg(payment, i, state=LegState.DONE, attempt=1, took_effect=True)
    post = Effect(kind=EffectKind.POST, leg=i, verb=Verb.DO)
    payment, effects = advance(payment, i, event)
    return payment, (post, *effects)


def advance(payment: Payment, i: int, event: Event) -> Step:
    """Leg ``i`` is done: on to the next, or to the rest DONE."""
    if i + 1 < len(payment.legs):
        return start(payment, i + 1, event)
    return replace(payment, rest=Rest.DONE, code="", text=""), ()


def turn_back(payment: Payment, i: int) -> Step:
    """Leg ``i`` will not be done: go back over what was. Behind a refund's pivot there is no way
    back: what is owed to the patient goes to a person (rule 10, 应退未退)."""
    leg = payment.legs[i]
    if payment.past_pivot:
        return stick(payment, i, "money owed to the patient: the credit cannot be made")
    return unwind(replace(payment, stage=Stage.BACKWARD, code=leg.code, text=leg.text))


def unwind(payment: Payment, *, ledger_ok: bool = True) -> Step:
    """Undo from the end, one leg after the other: nothing is undone while a later leg is open
    (I6), and un-booking comes before giving money back. ``ledger_ok`` is False when the ledger
    refused the posting that undoes (a top-up that was spent meanwhile)."""
    posted: tuple[Effect, ...] = ()
    for i in range(len(payment.legs) - 1, -1, -1):
        leg = payment.legs[i]
        if leg.state in SETTLED_BACK or (leg.state is LegState.DONE and leg.policy.lapses):
            continue
        if leg.state is LegState.STUCK:
            return replace(payment, rest=Rest.EXCEPTION), posted
        if leg.state is not LegState.DONE:
            return payment, posted
        if leg.policy.ledger and not ledger_ok:
            return stick(payment, i, "the account no longer covers it")
        if leg.policy.ledger:
            payment = set_leg(payment, i, state=LegState.UNDONE)
            posted = (*posted, Effect(kind=EffectKind.POST, leg=i, verb=Verb.UNDO))
            continue
        if not leg.policy.ladder:
            payment, effects = stick(payment, i, "it stands and cannot be undone by machine")
        else:
            rung = max(leg.rung, leg.policy.approved_rung)
            payment, effects = send_undo(set_leg(payment, i, rung=rung), i)
        return payment, (*posted, *effects)
    return replace(payment, rest=_rest_of(payment)), posted


def _rest_of(payment: Payment) -> Rest:
    gone = (LegState.UNDONE, LegState.UNPROVEN)
    undone = any(leg.state in gone and leg.kind in MONEY_KINDS for leg in payment.legs)
    return Rest.UNDONE if undone else Rest.DECLINED


def stick(payment: Payment, i: int, why: str) -> Step:
    """Only evidence or two people settle this leg now (I15)."""
    payment = set_leg(payment, i, state=LegState.STUCK, wake_at=0)
    leg = payment.legs[i]
    payment = replace(payment, rest=Rest.EXCEPTION, code=leg.code, text=leg.text)
    return payment, (alarm("I15", f"{leg.kind}: {why}", i),)


def settle_by_undo(payment: Payment, i: int, event: Event) -> Step:
    """An open leg is settled by undoing it, no earlier than its answer could still come
    (rule 9: a reversal that overtakes its sale is answered 25, and then the sale books)."""
    leg = payment.legs[i]
    if leg.policy.lapses:
        return turn_back(set_leg(payment, i, state=LegState.REFUSED), i)
    if not leg.policy.ladder:
        return stick(payment, i, "its outcome is unknown and it cannot be undone by machine")
    if payment.stage is Stage.FORWARD:
        payment = replace(payment, stage=Stage.BACKWARD, code=leg.code, text=leg.text)
    at = max(event.at, leg.sent_at + leg.policy.timeout_ms)
    return wait(payment, i, LegState.UNDO_WAIT, at)


def give_up(payment: Payment, i: int, event: Event) -> Step:
    """Asking or resending has come to its limit."""
    leg = payment.legs[i]
    if leg.policy.give_up is GiveUp.ABANDON:
        return turn_back(set_leg(payment, i, state=LegState.REFUSED), i)
    if leg.policy.give_up is GiveUp.UNDO or payment.stage is Stage.BACKWARD:
        return settle_by_undo(payment, i, event)
    return stick(payment, i, "its outcome is unknown")


def out_of_exception(payment: Payment, but: int = -1) -> Payment:
    """The rest EXCEPTION lasts while any (other) leg is stuck."""
    if payment.rest is not Rest.EXCEPTION:
        return payment
    stuck = (leg.state is LegState.STUCK for i, leg in enumerate(payment.legs) if i != but)
    return payment if any(stuck) else replace(payment, rest=None)
