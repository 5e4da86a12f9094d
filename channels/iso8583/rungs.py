"""The ladder below reversal at a bank: void and refund as messages of their own (rule 8).

See ``switch.model.undo`` for how they stand in the journal.
"""

from msgspec.structs import replace

from channels.iso8583.config import UndoName
from channels.iso8583.dialect import Action, Dialect
from switch.model.operation import Operation
from switch.model.outcome import Outcome, Reply
from switch.model.payment import Rung, RungKind
from switch.model.undo import UNDOES, as_leg, named, undone_by
from switch.ports import Order, Prepared

_LATER = frozenset({Action.SIGN_ON, Action.AGAIN})
"""Refused for want of a sign-on: the same undo goes again after it, under new numbers."""


def rungs(dialect: Dialect, operation: Operation, names: tuple[UndoName, ...]) -> tuple[Rung, ...]:
    """The ladder of an operation that can be reversed: of ``names`` what the dialect has for it."""
    found = []
    for kind in map(RungKind, names):
        if kind is RungKind.REVERSAL:
            found.append(Rung(kind))
            continue
        template = dialect.operations.get(UNDOES[kind].get(operation, ""))
        if template is not None:
            found.append(Rung(kind, repeats=False, reversible=template.reversible))
    return tuple(found)


def as_order(order: Order) -> Order:
    """The order to undo a leg, as one for the message that undoes it."""
    assert order.rung is not None
    leg = as_leg(order.leg, order.rung)
    return replace(order, payment=replace(order.payment, legs=(leg,)), leg_index=0)


def by_message(order: Order) -> RungKind | None:
    """Which message of its own the undo goes by; None for a do, and for what is reversed."""
    return order.rung if order.rung in UNDOES and not order.unvoiding else None


def prepared(made: Prepared, kind: RungKind, *, undos: int, now_ms: int) -> Prepared:
    """What is journaled of it. What an earlier void was answered is not this one's."""
    facts = dict.fromkeys(("F15", "F37", "F38", "F39", "reason", "link"), "") | made.facts
    facts.pop("F2", None)
    own = {"sent_at": str(now_ms), "undos": str(undos)}
    return replace(made, facts=named(facts | own, kind))


def undo_reply(dialect: Dialect, heard: Reply, kind: RungKind) -> Reply:
    """The end of the exchange, as the end of an undo. Only a proven refusal for good steps down the
    ladder: with stale keys (rule 17) it is tried again; a busy bank may have done it, a refusal
    without proof may be anybody's, and *no original* (25) proves nothing: Unknown."""
    reply = replace(heard, facts=named(heard.facts, kind), again=False, issuer=None)
    if heard.outcome is Outcome.DONE:
        return replace(reply, facts=reply.facts | undone_by(kind))
    if heard.outcome is not Outcome.REFUSED:
        return reply
    row = dialect.codes.get(heard.code)
    if row is not None and row.action in _LATER:
        return replace(reply, outcome=Outcome.NOT_SENT)
    if heard.doubtful or (row is not None and row.action is Action.BUSY):
        return replace(reply, outcome=Outcome.UNKNOWN)
    if heard.code in dialect.reversal.codes.not_found:
        return replace(reply, outcome=Outcome.UNKNOWN, not_found=True)
    return reply
