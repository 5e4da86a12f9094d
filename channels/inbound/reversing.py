"""The origin takes its payment back: a POS's own 0400, or a bank's (rules 3, 11 and 12).

A key that was never seen is buried: the late original is refused. One that is known must be what
the 0400 says it is; a 0400 for other content under the same numbers takes nothing back (I8).
"""

from channels.inbound.answering import Said
from channels.inbound.capture import exact_part
from channels.inbound.reception import Arrived
from channels.iso8583.hosting import Inbound
from switch.model.answer import Answer, AnswerState
from switch.model.secret import masked_pan
from switch.observe.logs import get_logger
from switch.ports import Front, JournalDown

_log = get_logger("inbound")


def original_key(inbound: Inbound, arrived: Arrived) -> str:
    """The key of the terminal's earlier payment that a request names; "" when it names none."""
    batch = exact_part(arrived.fields, inbound.original_batch)
    stan = exact_part(arrived.fields, inbound.original_stan)
    return f"{arrived.station.label}/{batch}/{stan}" if batch and stan else ""


def payment_key(inbound: Inbound, arrived: Arrived) -> str:
    """The key of a payment that a request begins: by it, a repeat is the same payment (I7), and
    field 61 of what refers to it later is enough."""
    batch = exact_part(arrived.fields, inbound.batch)
    return f"{arrived.station.label}/{batch}/{arrived.fields['11']}" if batch else ""


async def take_back(
    front: Front, inbound: Inbound, arrived: Arrived, *, settled: bool
) -> Said | None:
    """The answer to a 0400. ``settled``: 00 is said when it is undone for certain, and nothing
    until then; else as soon as the wish is committed (we owe the undo from here on, I3).

    While the journal is away nothing is promised, and nothing is said."""
    key = original_key(inbound, arrived) or payment_key(inbound, arrived)
    if not key:
        return Said(inbound.codes.format_error)
    try:
        return await _taken_back(front, inbound, arrived, key, settled=settled)
    except JournalDown as error:
        _log.warning("reversal_not_taken", key=key, why=str(error), invariant="I3")
        return None


async def _taken_back(
    front: Front, inbound: Inbound, arrived: Arrived, key: str, *, settled: bool
) -> Said | None:
    codes, station = inbound.codes, arrived.station
    known = await front.query(station.config.hospital, station.label, key)
    if known.state is AnswerState.UNKNOWN_KEY:
        _log.info("reversed_before_its_sale", key=key)
        return Said(codes.approved)
    against = _against(inbound, arrived, known)
    if against:
        _log.error("reversal_of_other_content", key=key, invariant="I8")
        return Said(against)
    answer = await front.reverse(station.config.hospital, station.label, key, settled=settled)
    return _said(inbound, answer, settled=settled)


def _said(inbound: Inbound, answer: Answer, *, settled: bool) -> Said | None:
    codes = inbound.codes
    if settled and answer.unproven:
        _log.error("reversal_not_proven", key=answer.key, invariant="I15")
        return None
    match answer.state:
        case AnswerState.APPROVED:
            return Said(codes.irreversible)  # void or refund came first
        case AnswerState.EXCEPTION:
            _log.error("reversal_not_possible", key=answer.key, invariant="I15")
            return Said(codes.irreversible if settled else codes.exception)
        case AnswerState.PENDING if settled:
            return None
        case AnswerState.REFUSED:
            return Said(codes.original)
        case _:
            return Said(codes.approved)


def _against(inbound: Inbound, arrived: Arrived, known: Answer) -> str:
    """Why this is not the payment that the 0400 means; empty: it is."""
    if known.state is AnswerState.REFUSED:
        return inbound.codes.original
    if known.amount_fen != int(arrived.fields.get("4", "0")):
        return inbound.codes.amount
    pan, masked = arrived.fields.get("2", ""), known.receipt.get("masked_pan", "")
    if pan and masked and masked_pan(pan) != masked:
        return inbound.codes.original
    return ""
