"""Answers of a door: which code says what we mean, and what an answer repeats. Pure."""

from collections.abc import Mapping

from msgspec import Struct

from channels.iso8583.dialect import Action, Dialect
from channels.iso8583.hosting import InboundCodes
from channels.iso8583.message import Message
from switch.model.answer import Answer, AnswerState

_UNSENT = frozenset({"", "unprepared", "overdue", "unsupported", "unsent", "busy", "no_route"})
"""Codes of what was never sent: the way was closed."""
_NOT_ASKED = frozenset({"journal", "fence"})
"""Refusals of the engine that know nothing of the key: the payment may live, or be done, and its
repeat would be told that it is not (I7)."""
_OURS = frozenset({Action.SIGN_ON, Action.AGAIN, Action.UNKNOWN})
"""The bank wants our sign-on, or says nothing that is certain: no word for a terminal, that would
sign on for nothing, or reverse what was never done."""
_PASSED_ON = frozenset({Action.DECLINE, Action.ALARM, Action.CAPTURE, Action.BUSY})


class Said(Struct, frozen=True):
    """What is answered: field 39, and the fields besides the echoed ones."""

    code: str
    fields: Mapping[str, str] = {}


def inbound_codes(dialect: Dialect) -> InboundCodes:
    """The codes of a dialect that was checked to have them."""
    assert dialect.inbound is not None
    return dialect.inbound.codes


def said_of(dialect: Dialect, answer: Answer, *, by_a_bank: bool) -> Said | None:
    """What a terminal is told of its payment; None: nothing, it will reverse.

    ``by_a_bank``: whoever declined it is a bank. Its code is passed on as it came where this
    dialect has it and does not read it as an approval; a hospital's means something else here.
    "Approved" is said of what is DONE and of nothing else (I7)."""
    codes = inbound_codes(dialect)
    match answer.state:
        case AnswerState.APPROVED:
            return Said(codes.approved, _numbers(answer.receipt))
        case AnswerState.PENDING:
            return None
        case AnswerState.DECLINED:
            return Said(_declined(dialect, answer.code, by_a_bank=by_a_bank))
        case AnswerState.RETURNED:
            return Said(codes.returned)
        case AnswerState.EXCEPTION:
            return Said(codes.exception)
        case AnswerState.UNKNOWN_KEY:
            return Said(codes.buried)
        case AnswerState.REFUSED if answer.code in _NOT_ASKED:
            return None
        case AnswerState.REFUSED:
            return Said(_refusal(codes, answer.code))


def echoed(dialect: Dialect, request: Message) -> dict[str, str]:
    """The fields that the answer repeats."""
    return {n: request.fields[n] for n in dialect.answers.echo if n in request.fields}


def _numbers(receipt: Mapping[str, str]) -> dict[str, str]:
    """The bank's settlement date, reference and authorisation."""
    return {n: receipt[f"F{n}"] for n in ("15", "37", "38") if receipt.get(f"F{n}")}


def _declined(dialect: Dialect, code: str, *, by_a_bank: bool) -> str:
    codes = inbound_codes(dialect)
    if code in _UNSENT:
        return codes.unavailable
    if not by_a_bank:
        return codes.declined
    row = dialect.codes.get(code)
    if row is not None and row.action in _OURS:
        return codes.unavailable
    return code if row is not None and row.action in _PASSED_ON else codes.declined


def _refusal(codes: InboundCodes, reason: str) -> str:
    """Why the engine did not take it at all, by its reasons."""
    return {
        "key_reused": codes.duplicate,
        "foreign_key": codes.duplicate,
        "original": codes.original,
        "reserve": codes.amount,
        "amount": codes.amount,
        "bill": codes.declined,
        "no_route": codes.not_allowed,
        "unknown_business": codes.unsupported,
    }.get(reason, codes.unavailable)
