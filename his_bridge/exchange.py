"""From a leg's order to the hospital's function, and from its verdict to the leg's outcome."""

import re

from msgspec import Struct

from his_bridge.policy import FUNCTION_OF
from his_bridge.profile import CancelKind, FunctionName
from his_bridge.reply import Mapped, Verdict
from switch.model.hospital import Cancel, Confirm, Hold, OrderQuery
from switch.model.outcome import Outcome, Reply, Verb
from switch.model.payment import LegKind, Payment
from switch.ports import Order

_FIELD = re.compile(r"F[0-9]+")
_NEVER_TO_HIS = frozenset({"F2", "original_F2"})
"""The vaulted card number: no hospital needs it."""

_HELD = (Verdict.PENDING, Verdict.BOOKED)
_NOT_YET = (Verdict.PENDING, Verdict.ABSENT)


def request_of(order: Order) -> tuple[FunctionName, Struct]:
    """The function and its typed request."""
    payment, leg = order.payment, order.leg
    idem = (payment.original or payment.key) if leg.kind is LegKind.UNBOOK else payment.key
    if order.verb is Verb.ASK:
        return FunctionName.ORDER_QUERY, OrderQuery(idem=idem, bill_id=payment.bill)
    if order.verb is Verb.UNDO or leg.kind is LegKind.UNBOOK:
        return FunctionName.CANCEL, Cancel(
            idem=idem,
            patient_id=payment.patient,
            bill_id=payment.bill,
            amount_fen=leg.amount_fen,
            facts=_his_facts(payment),
        )
    if leg.kind is LegKind.HOLD:
        return FunctionName.HOLD, Hold(
            idem=idem,
            patient_id=payment.patient,
            bill_id=payment.bill,
            amount_fen=leg.amount_fen,
        )
    return FUNCTION_OF[leg.kind, leg.operation], Confirm(
        idem=idem,
        patient_id=payment.patient,
        bill_id=payment.bill,
        amount_fen=leg.amount_fen,
        bank=_bank_facts(payment),
        facts=_his_facts(payment),
    )


def expected_of(order: Order, request: Struct) -> dict[str, str | int]:
    """What the answer's echo must show to be believed."""
    return {
        "idem": getattr(request, "idem", order.payment.key),
        "amount_fen": order.leg.amount_fen,
        "bill_id": order.payment.bill,
        "patient_id": order.payment.patient,
    }


def reply_of(order: Order, mapped: Mapped, cancel: CancelKind) -> Reply:
    """The leg's outcome; ``cancel`` is what the profile says a cancel of this leg does."""
    outcome, not_found = _OUTCOMES[order.verb](order.leg.kind, mapped.verdict, cancel)
    return Reply(
        outcome=outcome,
        code=mapped.code,
        text=mapped.text,
        facts=mapped.facts,
        not_found=not_found,
    )


def _do(kind: LegKind, verdict: Verdict, _cancel: CancelKind) -> tuple[Outcome, bool]:
    if verdict is Verdict.SUCCESS:
        return Outcome.DONE, False
    if verdict is Verdict.REFUSED:
        return Outcome.REFUSED, False
    return Outcome.UNKNOWN, kind is LegKind.UNBOOK and verdict is Verdict.ABSENT


def _ask(kind: LegKind, verdict: Verdict, _cancel: CancelKind) -> tuple[Outcome, bool]:
    if kind is LegKind.UNBOOK:
        if verdict is Verdict.CANCELLED:
            return Outcome.DONE, False
        return Outcome.UNKNOWN, verdict is Verdict.BOOKED
    if verdict is Verdict.BOOKED or (kind is LegKind.HOLD and verdict in _HELD):
        return Outcome.DONE, False
    if verdict is Verdict.CANCELLED:
        return Outcome.REFUSED, False
    return Outcome.UNKNOWN, verdict in _NOT_YET


def _undo(_kind: LegKind, verdict: Verdict, cancel: CancelKind) -> tuple[Outcome, bool]:
    if verdict is Verdict.SUCCESS:
        return Outcome.DONE, False
    if verdict is Verdict.REFUSED:
        return Outcome.REFUSED, False
    if verdict is Verdict.ABSENT and cancel is CancelKind.TOMBSTONE:
        return Outcome.DONE, False  # nothing is there, and the tombstone keeps it so
    return Outcome.UNKNOWN, verdict is Verdict.ABSENT


_OUTCOMES = {Verb.DO: _do, Verb.ASK: _ask, Verb.UNDO: _undo}


def _bank_facts(payment: Payment) -> dict[str, str]:
    """Field 11, 37, 15 … of the debit, for the hospital's own records; where a bank has taken the
    money itself, what it said of it."""
    for leg in payment.legs:
        if leg.kind is LegKind.DEBIT:
            return {key: value for key, value in leg.facts.items() if key not in _NEVER_TO_HIS}
    return {key: value for key, value in payment.details.items() if _FIELD.fullmatch(key)}


def _his_facts(payment: Payment) -> dict[str, str]:
    facts: dict[str, str] = {}
    for leg in payment.legs:
        if leg.kind in (LegKind.HOLD, LegKind.BOOK, LegKind.UNBOOK):
            facts.update(leg.facts)
    return facts
