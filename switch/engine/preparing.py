"""Before a commit: what is about to be sent gets its facts and its identity (I4)."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from switch.engine.events import event_of
from switch.engine.unsent import UNPREPARED
from switch.model.outcome import Millis, Verb
from switch.model.payment import Effect, EffectKind, Payment, RungKind
from switch.model.undo import UNDOES
from switch.payment import machine
from switch.ports import CardSecrets, Counterparty, Identity, Order, Timeline


class Preparer(Protocol):
    """What is needed of the engine."""

    timeline: Timeline

    def counterparty(self, name: str) -> Counterparty: ...


def rung_of(payment: Payment, effect: Effect) -> RungKind | None:
    """Which undo is sent; None for what is not one."""
    leg = payment.legs[effect.leg]
    return leg.policy.ladder[leg.rung].kind if effect.verb is Verb.UNDO else None


async def prepare(
    house: Preparer,
    after: Payment,
    effects: tuple[Effect, ...],
    secrets: CardSecrets | None,
    *,
    sending: bool,
) -> tuple[Payment, tuple[Effect, ...], tuple[Identity, ...]]:
    """The payment to commit, what is to be done after it, and the identities it takes.

    What cannot be prepared, or is not to be sent (``sending``), is decided as NotSent here, so that
    the journal never says "out" of what has no identity to undo."""
    identities: list[Identity] = []
    acts: list[Effect] = []
    left = deque(effects)
    while left:
        effect = left.popleft()
        if not _has_numbers(after, effect):
            acts.append(effect)
            continue
        leg, is_do = after.legs[effect.leg], effect.verb is Verb.DO
        party, order = house.counterparty(leg.counterparty), _order(after, effect)
        prepared = await party.prepare(order, secrets if is_do else None) if sending else None
        if prepared is None:
            after, more = _unprepared(after, effect, house.timeline.now_ms())
            left.extend(more)
            continue
        acts.append(effect)
        if prepared.identity is not None:
            identities.append(prepared.identity)
        leg = replace(leg, facts={**leg.facts, **prepared.facts})
        if is_do:  # a terminal may have been waited for
            leg = replace(leg, sent_at=house.timeline.now_ms())
        legs = (*after.legs[: effect.leg], leg, *after.legs[effect.leg + 1 :])
        after = replace(after, legs=legs)
    return after, tuple(acts), tuple(identities)


def give_back(
    counterparty: Callable[[str], Counterparty], payment: Payment, effects: tuple[Effect, ...]
) -> None:
    """What was prepared is not committed: whoever prepared it gets back what it lent (a logical
    terminal must not wait for its lease to run out, I11)."""
    for effect in effects:
        if _has_numbers(payment, effect):
            counterparty(payment.legs[effect.leg].counterparty).release(_order(payment, effect))


def _has_numbers(payment: Payment, effect: Effect) -> bool:
    """Whether an exchange has numbers of its own: a do, and an undo by void or refund. A reversal
    is made of what the journal has."""
    if effect.kind is not EffectKind.SEND:
        return False
    own = rung_of(payment, effect) in UNDOES and not payment.legs[effect.leg].unvoiding
    return effect.verb is Verb.DO or own


def _order(payment: Payment, effect: Effect) -> Order:
    rung = rung_of(payment, effect)
    return Order(payment=payment, leg_index=effect.leg, verb=effect.verb, rung=rung)


def _unprepared(after: Payment, effect: Effect, now: Millis) -> tuple[Payment, tuple[Effect, ...]]:
    unsent = event_of(effect.verb, UNPREPARED, effect.leg, effect.attempt, now, fresh_attempt=False)
    turned, effects = machine.decide(after, unsent)
    return replace(turned, version=after.version), effects
