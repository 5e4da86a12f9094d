"""How legs at a hospital behave, from what its profile guarantees per function (rule 5 of
docs/payment-law.md; levels L1-L3)."""

from enum import StrEnum

import msgspec

from his_bridge.profile import CancelKind, Certainty, Function, FunctionName, Profile
from switch.model.operation import Operation
from switch.model.payment import GiveUp, LegKind, LegPolicy, OnUnknown, Rung, RungKind

ASK_TIMES = 3
ABSENT_TIMES = 2

FUNCTION_OF: dict[tuple[LegKind, Operation | None], FunctionName] = {
    (LegKind.HOLD, None): FunctionName.HOLD,
    (LegKind.BOOK, None): FunctionName.CONFIRM,
    (LegKind.BOOK, Operation.DEPOSIT): FunctionName.DEPOSIT,
    (LegKind.UNBOOK, None): FunctionName.CANCEL,
}
"""What does a leg: by its kind, and by what it asks of the hospital."""


class Level(StrEnum):
    """How much of the profile's guarantees to use. A hospital starts at L1 and is raised when the
    acceptance test has measured more; a level never adds what the profile does not guarantee."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"


def capped(certainty: Certainty, level: Level) -> Certainty:
    """``certainty`` without what ``level`` leaves unused."""
    if level is Level.L3:
        return certainty
    query = certainty.query and level is Level.L2
    return msgspec.structs.replace(certainty, idempotent=False, cancel=CancelKind.NONE, query=query)


def leg_policy(
    profile: Profile, kind: LegKind, level: Level, operation: Operation | None = None
) -> LegPolicy:
    """The policy of a hold, book or unbook leg. Raises KeyError if the profile lacks it."""
    function = profile.functions[FUNCTION_OF[kind, operation]]
    assert function.certainty is not None  # profile_file checks it
    certainty = capped(function.certainty, level)
    if kind is LegKind.HOLD:
        return _hold(function, certainty)
    if kind is LegKind.UNBOOK:
        return _unbook(function, certainty)
    return _book(function, certainty)


def _hold(function: Function, certainty: Certainty) -> LegPolicy:
    """A hold moves no money: undone by key, or it runs out by itself."""
    cancels = certainty.cancel is not CancelKind.NONE
    return LegPolicy(
        timeout_ms=function.timeout_ms,
        on_unknown=OnUnknown.UNDO,
        give_up=GiveUp.UNDO,
        ladder=(Rung(RungKind.UNLOCK),) if cancels else (),
        lapses=not cancels,
    )


def _book(function: Function, certainty: Certainty) -> LegPolicy:
    cancels = certainty.cancel is not CancelKind.NONE
    resends = certainty.idempotent
    return LegPolicy(
        timeout_ms=function.timeout_ms,
        on_unknown=_on_unknown(resends, certainty.query),
        give_up=GiveUp.UNDO if resends and cancels else GiveUp.STOP,
        ladder=(Rung(RungKind.CANCEL),) if cancels else (),
        ask_times=ASK_TIMES if certainty.query else 0,
        # "Not found" alone proves nothing: our confirm may still be on its way inside the HIS.
        absent_times=ABSENT_TIMES,
        absent_wait_ms=certainty.longest_processing_ms,
        resend_absent=certainty.query and not resends,
    )


def _unbook(function: Function, certainty: Certainty) -> LegPolicy:
    """The pivot of a refund: after it only forward (rule 10)."""
    return LegPolicy(
        timeout_ms=function.timeout_ms,
        on_unknown=_on_unknown(certainty.idempotent, certainty.query),
        give_up=GiveUp.STOP,
        pivot=True,
        ask_times=ASK_TIMES if certainty.query else 0,
        absent_times=ABSENT_TIMES,
        absent_wait_ms=certainty.longest_processing_ms,
        resend_absent=certainty.query and not certainty.idempotent,
    )


def _on_unknown(resends: bool, query: bool) -> OnUnknown:
    if resends:
        return OnUnknown.RESEND
    return OnUnknown.ASK if query else OnUnknown.STOP
