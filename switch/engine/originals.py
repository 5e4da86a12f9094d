"""What a payment that refunds, voids or completes another one takes from that original.

The remaining amount is reserved in the commit of the birth, by compare-and-set, before anything is
sent: all that refers to an original never takes more of it than there is (I1).
"""

from msgspec import Struct

from switch.catalogue import CHANNEL_KINDS, PERMILLE, Business, Original
from switch.engine.refusal import Refusal
from switch.model.operation import Operation
from switch.model.payment import Event, EventKind, Leg, LegKind, Payment, Rest
from switch.model.secret import masked_pan
from switch.ports import CardSecrets, PaymentRequest, Reserve

_KEPT = frozenset({"batch", "sent_date", "sent_time", "masked_pan"})
"""What a message about the original may need besides its fields (``F…``, F2 as vaulted)."""


class Referred(Struct, frozen=True, kw_only=True):
    """An original, as its successor needs it."""

    channel: str
    clearing: str
    operation: Operation
    reserve: Reserve
    money_facts: dict[str, str]
    hospital_facts: dict[str, str]


def refer(
    business: Business,
    request: PaymentRequest,
    original: Payment | None,
    card: CardSecrets | None,
) -> Referred:
    """Check that ``original`` may be what ``request`` says; Refusal otherwise. ``card``: what is
    there now."""
    rule = business.original
    assert rule is not None
    if original is None or original.hospital != request.hospital:
        raise Refusal("original", "未找到原交易")
    if original.business not in rule.businesses:
        raise Refusal("original", "原交易类型不符")
    if original.rest is not Rest.DONE:
        raise Refusal("original", "原交易未成功,不能办理")
    if not _fits(rule, request.amount_fen, original.amount_fen):
        raise Refusal("amount", "金额与原交易不符")
    leg = next(leg for leg in original.legs if leg.kind in CHANNEL_KINDS)
    pan = card.pan.reveal() if card is not None else ""
    if pan and leg.facts.get("masked_pan") != masked_pan(pan):  # money goes back to its source
        raise Refusal("card", "与原交易不是同一张卡")
    operation = leg.operation or Operation.SALE
    facts = {
        f"original_{name}": value
        for name, value in leg.facts.items()
        if name in _KEPT or (name[0] == "F" and name[1:].isdecimal())
    }
    return Referred(
        channel=leg.counterparty,
        clearing=original.clearing,
        operation=operation,
        reserve=Reserve(
            original=original.key,
            amount_fen=original.amount_fen if rule.whole else request.amount_fen,
            limit_fen=original.amount_fen,
        ),
        money_facts=facts | {"original_operation": operation},
        hospital_facts=_hospital_facts(original.legs),
    )


def reserve_to_reverse(payment: Payment, event: Event) -> Reserve | None:
    """An origin that takes a finished payment back takes the whole of it: nothing of it may have
    been refunded, and nothing may be afterwards."""
    if event.kind is not EventKind.ORIGIN_REVERSES or payment.rest is not Rest.DONE:
        return None
    return Reserve(
        original=payment.key, amount_fen=payment.amount_fen, limit_fen=payment.amount_fen
    )


def released(before: Payment, after: Payment) -> Reserve | None:
    """What ``after`` gives back of its original, having come to rest without effect."""
    if not before.keeps_reserve or after.keeps_reserve:
        return None
    return Reserve(original=after.original, amount_fen=after.reserved_fen, limit_fen=0)


def _fits(rule: Original, amount_fen: int, original_fen: int) -> bool:
    if rule.whole and rule.limit_permille == PERMILLE:
        return amount_fen == original_fen
    return amount_fen * PERMILLE <= original_fen * rule.limit_permille


def _hospital_facts(legs: tuple[Leg, ...]) -> dict[str, str]:
    """What the hospital answered for the original: it may want its own numbers back."""
    facts: dict[str, str] = {}
    for leg in legs:
        if leg.kind in (LegKind.HOLD, LegKind.BOOK):
            facts |= leg.facts
    return facts
