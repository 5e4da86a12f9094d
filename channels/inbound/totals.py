"""What a batch came to, and whether a terminal counts the same (batch settlement, 0500).

Derived from the journal, never from a counter of ours: so it is the same on every node and after
every restart. Pure.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from channels.inbound.capture import SIZES, captured
from channels.iso8583.dialogue import Choice, Part, Settlement
from channels.iso8583.template import names_in
from switch.model.answer import Answered, AnswerState


class Totals(Struct, frozen=True, kw_only=True):
    """Approved payments of a batch. Amounts in 分."""

    debit_count: int = 0
    debit_amount: int = 0
    credit_count: int = 0
    credit_amount: int = 0


class Batch(Struct, frozen=True, kw_only=True):
    """``open``: payments without an end; while there are any, nothing is settled (rule 19)."""

    totals: Totals
    open: int


def summed(payments: Iterable[Answered], debits: frozenset[str], credits_: frozenset[str]) -> Batch:
    """Of a batch's payments, by names of businesses; the others do not count (they set money
    aside). What the terminal was told is approved counts, and nothing else."""
    counts = dict.fromkeys(SIZES, 0)
    waiting = 0
    for one in payments:
        waiting += one.answer.state is AnswerState.PENDING
        side = "debit" if one.business in debits else "credit" if one.business in credits_ else ""
        if side and one.answer.state is AnswerState.APPROVED:
            counts[f"{side}_count"] += 1
            counts[f"{side}_amount"] += one.answer.amount_fen
    return Batch(totals=Totals(**counts), open=waiting)


def claimed(settlement: Settlement, fields: Mapping[str, str]) -> Totals | None:
    """What a request says it counts; None when it says it in no form that we know."""
    for number, text in settlement.request.fields.items():
        if isinstance(text, Choice) or not names_in(text) & SIZES.keys():
            continue
        values = captured(text, fields.get(number, ""))
        if values is None or not all(values[name].isdecimal() for name in SIZES if name in values):
            return None
        return Totals(**{name: int(values.get(name, "0")) for name in SIZES})
    return None


def with_result(fields: Mapping[str, str], part: Part, result: str) -> dict[str, str]:
    """The field of a settlement's answer that says how the totals compare."""
    text = fields.get(part.field, "")
    return {part.field: text[: part.at] + result + text[part.at + part.size :]}
