"""The origin takes its payment back: a POS's own 0400, or a bank's (rules 3, 11 and 12).

A key that was never seen is buried: the late original is refused. One that is known must be what
the 0400 says it is; a 0400 for other content under the same numbers takes nothing back (I8).
"""

from channels.inbound.answering import Said
from channels.inbound.card import pan_of
from channels.inbound.numbering import batch_of, days_beside, names_another, reversed_key
from channels.inbound.reception import Arrived
from channels.iso8583.hosting import Inbound
from switch.model.answer import Answer, AnswerState
from switch.model.operation import Operation
from switch.model.secret import masked_pan
from switch.observe.logs import get_logger
from switch.ports import Front, JournalDown

_log = get_logger("inbound")

_FOR_GOOD = frozenset({Operation.REFUND, Operation.QR_REFUND})
_GIVEN = frozenset({AnswerState.APPROVED, AnswerState.PENDING})
_MOVED = frozenset({AnswerState.APPROVED, AnswerState.PENDING, AnswerState.EXCEPTION})


async def take_back(
    front: Front, inbound: Inbound, arrived: Arrived, *, settled: bool, date: str | None = None
) -> Said | None:
    """The answer to a 0400. ``settled``: 00 is said when it is undone for certain, and nothing
    until then; else as soon as the wish is committed (we owe the undo from here on, I3), and while
    its batch is open. ``date``: as of numbering.payment_key.

    While the journal is away nothing is promised, and nothing is said."""
    key = reversed_key(inbound, arrived, date)
    if not key:
        return Said(inbound.codes.format_error)
    try:
        against = await _unclear(front, inbound, arrived, key, date)
        if against:
            return Said(against)
        return await _taken_back(front, inbound, arrived, key, settled=settled)
    except JournalDown as error:
        _log.warning("reversal_not_taken", key=key, why=str(error), invariant="I3")
        return None


async def _unclear(
    front: Front, inbound: Inbound, arrived: Arrived, key: str, date: str | None
) -> str:
    """The code why nobody can say what is meant; empty: it is clear. Nothing is buried then: told
    00, the terminal would forget a payment that stands under a number beside it."""
    names_two = names_another(inbound, arrived)
    if not (names_two or date) or await _found(front, arrived, key) is not None:
        return ""
    if names_two:
        _log.error("reversal_names_two", key=key, invariant="I8")
        return inbound.codes.format_error
    for day in days_beside(date or ""):
        other = await _found(front, arrived, f"{key.removesuffix(date or '')}{day}")
        if other is not None and other.state in _MOVED and not _against(inbound, arrived, other):
            _log.error("reversal_of_other_date", key=key, found=other.key, invariant="I8")
            return inbound.codes.original
    return ""


async def _found(front: Front, arrived: Arrived, key: str) -> Answer | None:
    station = arrived.station
    found = await front.payments(station.config.hospital, station.label, key, 1)
    return found[0].answer if found and found[0].answer.key == key else None


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
    if known.receipt.get("operation") in _FOR_GOOD and known.state in _GIVEN:
        # Nobody undoes a refund, and one that is out may be paid: nothing is promised (rule 8).
        _log.warning("refund_not_reversed", key=key)
        return Said(codes.irreversible)
    stands = not settled and known.state is AnswerState.APPROVED
    if stands and not await station.in_batch(batch_of(station.label, key)):
        # Its batch was settled with it: nobody changes what was agreed (rule 19).
        _log.error("reversal_after_batch", key=key, invariant="I15")
        return Said(codes.irreversible)
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
    """Why this is not the payment that the 0400 means; empty: it is. Where a card paid, the 0400
    must show it."""
    if known.state is AnswerState.REFUSED:
        return inbound.codes.original
    if known.amount_fen != int(arrived.fields.get("4", "0")):
        return inbound.codes.amount
    masked = known.receipt.get("masked_pan", "")
    if masked and masked_pan(pan_of(arrived.fields)) != masked:
        return inbound.codes.original
    return ""
