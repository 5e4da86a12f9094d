"""Mutants of the undo ladder (rule 8), to be caught by the seeded simulator."""

from typing import Any
from unittest import mock

from msgspec.structs import replace

from channels.iso8583 import channel, rungs, undoing
from switch.model.outcome import Outcome, Reply
from switch.model.payment import EventKind, LegState, RungKind
from switch.payment import batch, undos
from switch.payment import machine as machine_module
from tests.mutants.mutant import Mutant


def _not_counted() -> Any:
    """The totals of a batch leave out the messages that undo its sales."""
    return mock.patch.object(batch, "messages", return_value=())


def _lost_void_sent_anew() -> Any:
    """A void without an answer is sent again under a new number, and not reversed before."""
    return _unknown_as_unsent(RungKind.VOID)


def _lost_refund_sent_anew() -> Any:
    """A refund without an answer is sent again."""
    return _unknown_as_unsent(RungKind.REFUND)


def _unknown_as_unsent(wrong: RungKind) -> Any:
    true = rungs.undo_reply

    def hasty(dialect: Any, heard: Reply, kind: RungKind) -> Reply:
        reply = true(dialect, heard, kind)
        lost = kind is wrong and reply.outcome is Outcome.UNKNOWN
        return replace(reply, outcome=Outcome.NOT_SENT, not_found=False) if lost else reply

    return mock.patch.object(channel.rungs, "undo_reply", hasty)


def _refund_of_the_uncertain() -> Any:
    """A refund may be sent for what does not certainly stand."""
    return mock.patch.object(undos, "_may_refund", return_value=True)


def _unvoided_by_the_sales_numbers() -> Any:
    """The reversal of a void names the sale."""
    return mock.patch.object(undoing, "as_order", lambda order: order)


def _void_of_the_dead_forgotten() -> Any:
    """What undoes by a message of its own and was out when its process died counts as unsent."""
    forgotten = {LegState.UNDOING: EventKind.UNDO_NOT_SENT}
    return mock.patch.dict(machine_module._RECOVERED, forgotten)


_LADDER = {"undo": RungKind.REFUND, "undo_after_approval": RungKind.VOID, "take_back": 0.8}
_LAX = _LADDER | {"bank_lax": True, "his_refuses": 0.4}
_LOST = _LAX | {
    "bank_shut": 0.6,
    "bank_silent_after": 0.3,
    "undo_after_approval": RungKind.REVERSAL,
}

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "undo_not_counted",
        _not_counted,
        "I1",
        weather=_LADDER | {"dialect": "cup-pos", "settles": True, "his_refuses": 0.3},
    ),
    Mutant("lost_void_sent_anew", _lost_void_sent_anew, "I1", weather=_LAX),
    Mutant(
        "lost_refund_sent_anew",
        _lost_refund_sent_anew,
        "I1",
        weather=_LAX | {"bank_declines": 0.4, "bank_silent_after": 0.3},
    ),
    Mutant("refund_of_the_uncertain", _refund_of_the_uncertain, "I1", weather=_LOST),
    Mutant("unvoided_by_the_sales_numbers", _unvoided_by_the_sales_numbers, "I1", weather=_LAX),
    Mutant(
        "void_of_the_dead_forgotten",
        _void_of_the_dead_forgotten,
        "I1",
        weather=_LAX | {"crash": 0.03},
    ),
)
