"""Exchanges that never left: what the machine is told of them."""

from collections.abc import Callable

from switch.model.outcome import Millis, Outcome, Reply, Verb
from switch.model.payment import Effect, EffectKind, LegKind, Payment
from switch.ports import Counterparty, Order

UNPREPARED = Reply(outcome=Outcome.NOT_SENT, code="unprepared")
OVERDUE = Reply(outcome=Outcome.NOT_SENT, code="overdue")

_TAKING = frozenset({LegKind.HOLD, LegKind.DEBIT})


def too_late(payment: Payment, effect: Effect, now: Millis) -> bool:
    """A commit may have waited long for its database: after the deadline nothing is taken from a
    patient who has left."""
    begins = effect.verb is Verb.DO and payment.legs[effect.leg].kind in _TAKING
    return begins and 0 < payment.deadline_at <= now


def give_back(
    counterparty: Callable[[str], Counterparty], payment: Payment, effects: tuple[Effect, ...]
) -> None:
    """What was prepared is not committed: whoever prepared it gets back what it lent (a logical
    terminal must not wait for its lease to run out, I11)."""
    for effect in effects:
        if effect.kind is EffectKind.SEND and effect.verb is Verb.DO:
            order = Order(payment=payment, leg_index=effect.leg, verb=Verb.DO)
            counterparty(payment.legs[effect.leg].counterparty).release(order)
