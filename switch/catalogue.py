"""The businesses the switch serves, as data, and the plan of legs each one becomes.

Pure. A business that is not in this table does not exist for a terminal. Amounts are 分.
"""

from collections.abc import Callable

from msgspec import Struct

from switch.model.operation import Operation
from switch.model.outcome import Millis
from switch.model.payment import Leg, LegKind, LegPolicy, Payment

PERMILLE = 1000


class Original(Struct, frozen=True, kw_only=True):
    """What a business that names an original asks of it."""

    businesses: tuple[str, ...]
    """Of which the original must be one."""
    whole: bool
    """It takes the whole original, once (void, completion); else parts of it, which together
    never exceed it (refund)."""
    limit_permille: int = PERMILLE
    """The largest amount, in thousandths of the original's (a completion may be a little more than
    what was set aside)."""


class Business(Struct, frozen=True, kw_only=True):
    """One row of the catalogue. ``clearing`` picks merchant number and key set (门诊 / 住院)."""

    name: str
    code: str
    title: str
    clearing: str
    legs: tuple[LegKind, ...]
    media: tuple[str, ...]
    operation: Operation = Operation.SALE
    """What its money leg asks of the bank."""
    original: Original | None = None
    booking: Operation | None = None
    """What its booking asks of the hospital, where that is not to confirm a bill."""


_BILL = (LegKind.HOLD, LegKind.DEBIT, LegKind.FINISH, LegKind.BOOK)
_DEBIT = (LegKind.DEBIT,)
_CREDIT = (LegKind.CREDIT,)
_CARD = ("bank_card",)
_COMPLETION_LIMIT_PERMILLE = 1150
"""预授权完成 takes at most 115 % of what was set aside."""

BUSINESSES = {
    business.name: business
    for business in (
        Business(
            name="outpatient_bill",
            code="1403",
            title="门诊缴费",
            clearing="outpatient",
            legs=_BILL,
            media=("bank_card", "qr_code"),
        ),
        Business(
            name="inpatient_deposit",
            code="1502",
            title="住院预交金",
            clearing="inpatient",
            legs=(LegKind.DEBIT, LegKind.FINISH, LegKind.BOOK),
            media=("bank_card", "qr_code"),
            booking=Operation.DEPOSIT,
        ),
        Business(
            name="outpatient_refund",
            code="1405",
            title="门诊退费",
            clearing="outpatient",
            legs=(LegKind.UNBOOK, LegKind.CREDIT),
            media=("original",),
            operation=Operation.REFUND,
            original=Original(businesses=("outpatient_bill",), whole=True),
        ),
        # -- counter POS and doctors' stations: the hospital books for itself --------------------
        Business(
            name="pos_sale",
            code="1801",
            title="柜台消费",
            clearing="outpatient",
            legs=_DEBIT,
            media=("bank_card", "qr_code"),
        ),
        Business(
            name="pos_void",
            code="1802",
            title="柜台消费撤销",
            clearing="outpatient",
            legs=_CREDIT,
            media=("original",),
            operation=Operation.VOID,
            original=Original(businesses=("pos_sale",), whole=True),
        ),
        Business(
            name="pos_refund",
            code="1803",
            title="柜台退货",
            clearing="outpatient",
            legs=_CREDIT,
            media=("original",),
            operation=Operation.REFUND,
            original=Original(businesses=("pos_sale",), whole=False),
        ),
        Business(
            name="pos_preauth",
            code="1804",
            title="柜台预授权",
            clearing="outpatient",
            legs=_DEBIT,
            media=_CARD,
            operation=Operation.PREAUTH,
        ),
        Business(
            name="pos_preauth_void",
            code="1805",
            title="柜台预授权撤销",
            clearing="outpatient",
            legs=_CREDIT,
            media=("original",),
            operation=Operation.PREAUTH_VOID,
            original=Original(businesses=("pos_preauth",), whole=True),
        ),
        Business(
            name="pos_completion",
            code="1806",
            title="柜台预授权完成",
            clearing="outpatient",
            legs=_DEBIT,
            media=("original",),
            operation=Operation.COMPLETION,
            original=Original(
                businesses=("pos_preauth",),
                whole=True,
                limit_permille=_COMPLETION_LIMIT_PERMILLE,
            ),
        ),
        Business(
            name="pos_completion_void",
            code="1807",
            title="柜台预授权完成撤销",
            clearing="outpatient",
            legs=_CREDIT,
            media=("original",),
            operation=Operation.COMPLETION_VOID,
            original=Original(businesses=("pos_completion",), whole=True),
        ),
        # -- the bank's own kiosks and counters: the money is taken already ----------------------
        Business(
            name="bank_bill",
            code="1811",
            title="银行渠道缴费",
            clearing="outpatient",
            legs=(LegKind.BOOK,),
            media=("bank_origin",),
        ),
    )
}

CHANNEL_KINDS = frozenset({LegKind.DEBIT, LegKind.CREDIT})
"""Legs that a payment channel does; a front's terminals do FINISH, the hospital the others."""

_BY_CODE = {
    Operation.SALE: Operation.QR_SALE,
    Operation.VOID: Operation.QR_VOID,
    Operation.REFUND: Operation.QR_REFUND,
}
"""The operation that stands for another where the money was taken by a scanned code."""


def operation_of(business: Business, medium: str, original: Operation | None) -> Operation:
    """What the money leg asks of the bank: by the medium, or by how the original took the money.

    >>> str(operation_of(BUSINESSES["pos_void"], "original", Operation.QR_SALE))
    'qr_void'
    """
    by_code = medium == "qr_code" or original is Operation.QR_SALE
    return _BY_CODE.get(business.operation, business.operation) if by_code else business.operation


class Birth(Struct, frozen=True, kw_only=True):
    """What the shell knows of a new payment besides the request."""

    at: Millis
    business_date: str
    deadline_ms: int
    request_hash: str
    clearing: str
    operation: Operation
    profile_version: str = ""
    finishes: bool = False
    """Somebody can finish the card; else the plan has no such leg."""
    reserved_fen: int = 0
    money_facts: dict[str, str] = {}
    """What the money leg needs of the original."""
    hospital_facts: dict[str, str] = {}
    """What the un-booking needs of the original."""


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
        money = kind in CHANNEL_KINDS
        operation = birth.operation if money else None
        if kind is LegKind.BOOK:
            operation = business.booking
        legs.append(
            Leg(
                kind=kind,
                counterparty=counterparty,
                amount_fen=request.amount_fen,
                policy=policy,
                operation=operation,
                facts=birth.money_facts if money else _hospital_facts(kind, birth),
            )
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
        clearing=birth.clearing,
        bill=request.bill,
        patient=request.patient,
        retry_of=request.retry_of,
        original=request.original,
        reserved_fen=birth.reserved_fen,
        profile_version=birth.profile_version,
        legs=tuple(legs),
        deadline_at=birth.at + birth.deadline_ms,
        details=request.details,
    )


def _hospital_facts(kind: LegKind, birth: Birth) -> dict[str, str]:
    return birth.hospital_facts if kind is LegKind.UNBOOK else {}
