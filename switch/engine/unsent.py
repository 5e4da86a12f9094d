"""Exchanges that never left: what the machine is told of them."""

from switch.model.outcome import Millis, Outcome, Reply, Verb
from switch.model.payment import Effect, LegKind, Payment

UNPREPARED = Reply(outcome=Outcome.NOT_SENT, code="unprepared")
OVERDUE = Reply(outcome=Outcome.NOT_SENT, code="overdue")

_TAKING = frozenset({LegKind.HOLD, LegKind.DEBIT})


def too_late(payment: Payment, effect: Effect, now: Millis) -> bool:
    """A commit may have waited long for its database: after the deadline nothing is taken from a
    patient who has left."""
    begins = effect.verb is Verb.DO and payment.legs[effect.leg].kind in _TAKING
    return begins and 0 < payment.deadline_at <= now
