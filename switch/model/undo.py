"""Undoing by a message of its own: void (撤销) and refund (退货), rule 8's rungs below reversal.

Such an undo is an operation like any other, with numbers of its own that are journaled before it is
sent (I4). They stand beside those of the leg that it undoes, under the rung's name (``void_F11``);
:func:`as_leg` shows them as a leg, for everything that sends, reverses or counts operations.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from switch.model.operation import Operation
from switch.model.payment import Leg, LegState, RungKind

UNDOES: Mapping[RungKind, Mapping[Operation, Operation]] = {
    RungKind.VOID: {
        Operation.SALE: Operation.VOID,
        Operation.QR_SALE: Operation.QR_VOID,
        Operation.PREAUTH: Operation.PREAUTH_VOID,
        Operation.COMPLETION: Operation.COMPLETION_VOID,
    },
    RungKind.REFUND: {
        Operation.SALE: Operation.REFUND,
        Operation.QR_SALE: Operation.QR_REFUND,
    },
}
"""What is sent to undo an operation; what is not named cannot be undone so."""

_UNDONE_BY = "undone_by"


def named(facts: Mapping[str, str], kind: RungKind) -> dict[str, str]:
    """Facts of the undo, as they stand among those of the leg it undoes."""
    return {f"{kind}_{name}": value for name, value in facts.items()}


def as_leg(leg: Leg, kind: RungKind) -> Leg:
    """The undo as a leg: its own facts, its own reversals counted, and the facts of what it undoes
    as its original's."""
    own = f"{kind}_"
    facts = {name.removeprefix(own): v for name, v in leg.facts.items() if name.startswith(own)}
    facts |= {f"original_{name}": v for name, v in leg.facts.items() if not name.startswith(own)}
    facts["original_operation"] = leg.operation or Operation.SALE
    if "F2" in leg.facts:  # one cryptogram of the vault, for both
        facts["F2"] = leg.facts["F2"]
    return replace(
        leg,
        operation=UNDOES[kind][leg.operation or Operation.SALE],
        facts=facts,
        sent_at=int(facts.get("sent_at", "0")),
        undos=leg.undos - int(facts.get("undos", "0")),
    )


def undone_by(kind: RungKind) -> dict[str, str]:
    """The fact that says which message undid a leg."""
    return {_UNDONE_BY: kind}


def messages(leg: Leg) -> tuple[RungKind, ...]:
    """Which undos were begun by messages of their own."""
    return tuple(kind for kind in UNDOES if f"{kind}_F11" in leg.facts)


def undoing_message(leg: Leg) -> RungKind | None:
    """Which message undid it; None: it is not undone, or it was reversed."""
    kind = leg.facts.get(_UNDONE_BY)
    return RungKind(kind) if kind and leg.state is LegState.UNDONE else None
