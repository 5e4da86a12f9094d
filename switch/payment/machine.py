"""``decide(payment, event) -> (payment, effects)``: the pure heart of the switch.

The shell does, for every event and in this order: decide, commit to the journal, act (I4).
"""

from msgspec.structs import replace

from switch.model.outcome import Millis
from switch.model.payment import (
    Effect,
    EffectKind,
    Event,
    EventKind,
    Leg,
    LegState,
    OnUnknown,
    Payment,
    Stage,
)
from switch.payment import moves, steps
from switch.payment.table import RULES

SENDING_MS = 2_000
"""What an Unknown would have undone is not sent any more so long after it was decided: a commit or
an HSM that took longer ends it NotSent, and a recovery knows when its answer is overdue."""

_PAYMENT_EVENTS = frozenset({EventKind.DEADLINE, EventKind.ORIGIN_REVERSES})
_DO_ANSWERS = frozenset(
    {
        EventKind.DO_DONE,
        EventKind.DO_REFUSED,
        EventKind.DO_DOUBTED,
        EventKind.DO_AGAIN,
        EventKind.DO_NOT_SENT,
        EventKind.DO_UNKNOWN,
    }
)
_ASK_ANSWERS = frozenset(
    {
        EventKind.ASK_FOUND,
        EventKind.ASK_ABSENT,
        EventKind.ASK_NOT_FOUND,
        EventKind.ASK_UNKNOWN,
    }
)
_UNDO_ANSWERS = frozenset(
    {
        EventKind.UNDO_DONE,
        EventKind.UNDO_REFUSED,
        EventKind.UNDO_NOT_FOUND,
        EventKind.UNDO_NOT_SENT,
        EventKind.UNDO_UNKNOWN,
    }
)

_RECOVERED = {
    LegState.DOING: EventKind.DO_UNKNOWN,
    LegState.ASKING: EventKind.ASK_UNKNOWN,
    LegState.UNDOING: EventKind.UNDO_UNKNOWN,
}


def begin(payment: Payment, event: Event) -> steps.Step:
    """Start the first leg of a new payment. ``event.at`` is its birth."""
    assert payment.version == 0, "a payment begins once"
    payment, effects = steps.start(payment, 0, event)
    if payment.rest is not None:
        effects = (*effects, Effect(kind=EffectKind.TELL))
    return replace(payment, version=1), effects


def decide(payment: Payment, event: Event) -> steps.Step:
    """What ``event`` changes. An ignored event returns the very same payment and no effects.

    The origin is told whenever the phase changes: it may have a new answer (I7)."""
    i = _focus(payment) if event.kind in _PAYMENT_EVENTS else event.leg
    leg = payment.legs[i]
    if _of_another_attempt(leg, event):
        if event.kind is EventKind.DO_DONE:
            return moves.contradiction(payment, i, event)
        return payment, ()
    move = RULES[payment.phase, leg.state, event.kind].move
    if move is None:
        return payment, ()
    after, effects = move(payment, i, event)
    assert not (payment.stage is Stage.BACKWARD and after.stage is Stage.FORWARD), "I5"
    if after is not payment:
        after = replace(after, version=payment.version + 1)
    if after.phase != payment.phase:
        effects = (*effects, Effect(kind=EffectKind.TELL))
    return after, effects


def recover(payment: Payment, at: Millis) -> tuple[tuple[Event, ...], tuple[Effect, ...]]:
    """After a restart or a take-over: what was out without an answer is Unknown, and waits go on.

    The events are decided in order like any other; the effects only re-arm timers.
    """
    events = tuple(
        Event(kind=_RECOVERED[leg.state], at=_unknown_at(leg, at), leg=i, attempt=_attempt(leg))
        for i, leg in enumerate(payment.legs)
        if leg.state in _RECOVERED
    )
    waits = tuple(
        Effect(kind=EffectKind.WAKE, leg=i, at=leg.wake_at)
        for i, leg in enumerate(payment.legs)
        if leg.state in (LegState.DO_WAIT, LegState.ASK_WAIT, LegState.UNDO_WAIT)
    )
    return events, waits


def _unknown_at(leg: Leg, at: Millis) -> Millis:
    """What is settled by undoing is Unknown when no answer can come any more. Whoever sent it may
    have done so SENDING_MS after the decision (rule 9), by a clock that was not ours: since it is
    dead or without a lease, nothing was sent after ``at`` (rule 13)."""
    if leg.state is not LegState.DOING or leg.policy.on_unknown is not OnUnknown.UNDO:
        return at
    return Millis(max(at, leg.sent_at + SENDING_MS) + leg.policy.timeout_ms)


def _attempt(leg: Leg) -> int:
    return leg.attempt if leg.state is LegState.DOING else 0


def _focus(payment: Payment) -> int:
    """The leg that a payment-level event is about: the last one begun."""
    begun = [i for i, leg in enumerate(payment.legs) if leg.state is not LegState.IDLE]
    return begun[-1] if begun else 0


def _of_another_attempt(leg: Leg, event: Event) -> bool:
    """Does ``event`` answer an exchange that is not the one its leg is about? Zero names none.

    - A ``do``: an answer to an attempt that was definitely refused (A0) says nothing of the one
      after it. Attempts under one key (``attempts`` 1) are the same thing said again.
    - An ``ask``: only what the latest query did not find counts; found is found.
    - An ``undo``: a late answer of one rung, or of a reversed void, must not be taken for the
      answer of the next, so it counts while it is out only. Repeats of the first rung are one.
    """
    attempt, kind = event.attempt, event.kind
    if not attempt:
        return False
    if kind in _DO_ANSWERS:
        another_key = leg.policy.attempts > 1 or kind is not EventKind.DO_DONE
        return attempt != leg.attempt and another_key
    if kind in _ASK_ANSWERS:
        return attempt != leg.asks and kind is not EventKind.ASK_FOUND
    if kind in _UNDO_ANSWERS:
        if leg.rung == 0 and leg.policy.ladder[0].repeats:
            return attempt != leg.undos and kind is not EventKind.UNDO_DONE
        return attempt != leg.undos or leg.state is not LegState.UNDOING
    return False
