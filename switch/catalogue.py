"""The businesses the switch serves, as data, and the plan of legs each one becomes.

Pure. A business that is not in this table does not exist for a terminal. Amounts are 分.
"""

from collections.abc import Callable

from msgspec import Struct

from switch.model.outcome import Millis
from switch.model.payment import Leg, LegKind, LegPolicy, Payment


class Business(Struct, frozen=True, kw_only=True):
    """One row of the catalogue. ``clearing`` picks merchant number and key set (门诊 / 住院)."""

    name: str
    code: str
    title: str
    clearing: str
    legs: tuple[LegKind, ...]
    media: tuple[str, ...]


BUSINESSES = {
    business.name: business
    for business in (
        Business(
            name="outpatient_bill",
            code="1403",
            title="门诊缴费",
            clearing="outpatient",
            legs=(LegKind.HOLD, LegKind.DEBIT, LegKind.FINISH, LegKind.BOOK),
            media=("bank_card",),
        ),
    )
}

CHANNEL_KINDS = frozenset({LegKind.DEBIT, LegKind.CREDIT})
"""Legs that a payment channel does; a front's terminals do FINISH, the hospital the others."""


class Birth(Struct, frozen=True, kw_only=True):
    """What the shell knows of a new payment besides the request."""

    at: Millis
    business_date: str
    deadline_ms: int
    request_hash: str
    profile_version: str = ""
    finishes: bool = False
    """Somebody can finish the card; else the plan has no such leg."""


def new_payment(
    business: Business,
    request: Payment,
    birth: Birth,
    assign: Callable[[LegKind], tuple[str, LegPolicy]],
) -> Payment:
    """``request`` (key, hospital, bill …) with its plan of legs; ``assign`` names who does a kind
    of leg and by which policy. Version 0: not begun."""
    legs = []
    for kind in business.legs:
        if kind is LegKind.FINISH and not birth.finishes:
            continue
        counterparty, policy = assign(kind)
        legs.append(
            Leg(kind=kind, counterparty=counterparty, amount_fen=request.amount_fen, policy=policy)
        )
    return Payment(
        key=request.key,
        hospital=request.hospital,
        business=business.name,
        terminal=request.terminal,
        amount_fen=request.amount_fen,
        request_hash=birth.request_hash,
        born_at=birth.at,
        business_date=birth.business_date,
        clearing=business.clearing,
        bill=request.bill,
        patient=request.patient,
        retry_of=request.retry_of,
        profile_version=birth.profile_version,
        legs=tuple(legs),
        deadline_at=birth.at + birth.deadline_ms,
        details=request.details,
    )
