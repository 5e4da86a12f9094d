"""The answer to the origin: a pure function of the payment (I7)."""

from switch.model.answer import Answer, AnswerState
from switch.model.operation import Operation
from switch.model.payment import LegKind, LegState, Payment, Rest, Stage

_STATES = {
    Rest.DONE: AnswerState.APPROVED,
    Rest.DECLINED: AnswerState.DECLINED,
    Rest.UNDONE: AnswerState.RETURNED,
    Rest.EXCEPTION: AnswerState.EXCEPTION,
}

_TEXTS = {
    AnswerState.APPROVED: "缴费成功",
    AnswerState.DECLINED: "缴费未成功,未扣款",
    AnswerState.RETURNED: "缴费未成功,款项已退回",
    AnswerState.EXCEPTION: "结果待核实,请持凭条到人工窗口处理",
    AnswerState.PENDING: "处理中,请稍候",
    AnswerState.UNKNOWN_KEY: "未找到该笔缴费,未扣款",
}
_CREDIT_TEXTS = {
    AnswerState.APPROVED: "退款成功",
    AnswerState.DECLINED: "退款未成功",
    AnswerState.RETURNED: "退款未成功,原交易仍有效",
    AnswerState.EXCEPTION: "退款结果待核实,请到人工窗口处理",
    AnswerState.PENDING: "退款处理中,请稍候",
}
"""What is said of a payment that gives money back (void, refund)."""
GOING_BACK = "缴费未成功,正在退回款项"
UNPROVEN = "缴费未成功,如已扣款将于对账后退回"

RECEIPT_FACTS = frozenset(
    {
        *("F11", "F12", "F13", "F15", "F22", "F37", "F38", "F41", "F42", "batch", "masked_pan"),
        *("his_receipt", "operator", "merchant_name", "scheme", "issuer", "acquirer"),
    }
)
"""What slips print of a leg's facts; F2 is not among them (I12)."""


def answer_of(payment: Payment) -> Answer:
    """What the origin is told now. "Approved" is said at rest DONE and nowhere else."""
    state = _STATES[payment.rest] if payment.rest else AnswerState.PENDING
    if not payment.legs:
        state = AnswerState.UNKNOWN_KEY
    return Answer(
        key=payment.key,
        state=state,
        version=payment.version,
        amount_fen=payment.amount_fen,
        unproven=_unproven(payment),
        code=payment.code,
        text=_text(payment, state),
        receipt=_receipt(payment),
    )


def _unproven(payment: Payment) -> bool:
    """Nobody has said what is true: a reversal only ever answered 25, or a leg that stuck without
    having been undone after an Unknown."""
    if payment.rest is Rest.UNDONE:
        return payment.unproven
    return payment.rest is Rest.EXCEPTION and any(
        leg.state is LegState.STUCK and leg.unknown_seen and not leg.undos for leg in payment.legs
    )


def _text(payment: Payment, state: AnswerState) -> str:
    if state is AnswerState.DECLINED and payment.text:
        return payment.text
    if any(leg.kind is LegKind.CREDIT for leg in payment.legs):
        return _CREDIT_TEXTS[state]
    if state is AnswerState.PENDING and payment.stage is Stage.BACKWARD:
        return GOING_BACK
    if state is AnswerState.RETURNED and payment.unproven:
        return UNPROVEN
    return _TEXTS[state]


def _receipt(payment: Payment) -> dict[str, str]:
    facts: dict[str, str] = {}
    for leg in payment.legs:
        if leg.kind in (LegKind.DEBIT, LegKind.BOOK, LegKind.CREDIT):
            facts.update({k: v for k, v in leg.facts.items() if k in RECEIPT_FACTS})
        if leg.kind in (LegKind.DEBIT, LegKind.CREDIT) and leg.facts:
            facts["operation"] = leg.operation or Operation.SALE
    return {**payment.details, **facts}
