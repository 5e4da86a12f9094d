"""What a reversal is made of: what the journal holds of its payment, and nothing else (rule 18).

The same at every repeat (I3): only what is settled by then goes in.
"""

from collections.abc import Mapping

from channels.iso8583.dialect import Action, Dialect
from channels.iso8583.replies import UNPROVEN
from switch.model.chip import ChipError, chosen
from switch.model.operation import Operation
from switch.model.payment import Leg, LegKind, LegState, Payment
from switch.observe.logs import get_logger

_log = get_logger("iso8583")


def reversal_values(dialect: Dialect, payment: Payment, leg: Leg, pan: str) -> dict[str, str]:
    """What the dialect's reversal template may take: the sale's facts, the card number, the reason
    (F39) and what the chip's journaled data give for field 55."""
    finish = payment.leg_of(LegKind.FINISH)
    return {
        **leg.facts,
        "pan": pan,
        "mti": dialect.operations[leg.operation or Operation.SALE].mti,
        "reason": reversal_reason(dialect, leg.facts, finish),
        "chip": _chip(dialect, leg, finish),
    }


def reversal_mti(dialect: Dialect, leg: Leg) -> str:
    """The message type; from the second try on the one that marks repeats, where the bank has one.
    A try that was not sent counts: whoever asks in doubt asks as for a repeat."""
    reversal = dialect.reversal
    return reversal.repeat_mti if leg.undos > 1 and reversal.repeat_mti else reversal.template.mti


def reversal_reason(dialect: Dialect, facts: Mapping[str, str], finish: Leg | None = None) -> str:
    """F39: why the sale of these facts goes back."""
    codes = dialect.reversal.codes
    reason = facts.get("reason", "")
    if reason:
        return codes.reason_mac if reason == UNPROVEN else codes.reason_timeout
    row = dialect.codes.get(facts.get("F39", ""))
    if row is None or row.action is not Action.APPROVE:
        return codes.reason_timeout
    declined = finish is not None and finish.state is LegState.REFUSED and not finish.unknown_seen
    return codes.reason_card if declined else codes.reason_cancel


def _chip(dialect: Dialect, leg: Leg, finish: Leg | None) -> str:
    """The card's last word where there is one, else what it said before. A reversal leaves without
    field 55 rather than not at all (I3)."""
    last = finish.facts.get("chip", "") if finish is not None else ""
    try:
        data = bytes.fromhex(last or leg.facts.get("chip", ""))
        return chosen(data, dialect.reversal.chip).hex().upper()
    except (ChipError, ValueError) as error:
        _log.error("chip_facts_unreadable", why=str(error), invariant="I3")
        return ""
