"""Mutants of originals and what refers to them, of origins that take theirs back, of batches, days
and logical terminals: layer ``sim``."""

from typing import Any
from unittest import mock

from msgspec.structs import replace

from channels.iso8583.channel import BankChannel
from channels.iso8583.settling import Settling
from his_bridge.policy import Level
from switch.engine import driver as driver_module
from switch.engine.driver import Driver
from switch.engine.engine import Engine
from switch.engine.late import LateAnswers
from switch.model.answer import Answer
from switch.model.operation import Operation
from switch.model.payment import (
    Event,
    EventKind,
    LegKind,
    LegPolicy,
    OnUnknown,
    Payment,
    Rest,
    Stage,
)
from switch.payment import answer_of, moves, steps
from switch.payment.batch import Member
from switch.payment.table import RULES
from switch.store.memory_terminals import MemoryTerminals
from tests.mutants.mutant import Mutant

_BY_HAND = frozenset({Operation.REFUND, Operation.QR_REFUND})
_VOIDS = frozenset({Operation.VOID, Operation.QR_VOID, Operation.PREAUTH_VOID})


def _reserve_not_taken() -> Any:
    """What is left of an original is looked at by nobody."""
    true = Driver._commit

    async def commit(self: Driver, event: Any, after: Payment, effects: Any, reserve: Any) -> Any:
        return await true(self, event, after, effects, None)

    return mock.patch.object(Driver, "_commit", commit)


def _reserve_freed_unproven() -> Any:
    """A void that was only ever answered 25 gives back what it had reserved."""
    ended = property(
        lambda payment: (
            payment.reserved_fen > 0 and payment.rest not in (Rest.DECLINED, Rest.UNDONE)
        )
    )
    return mock.patch.object(Payment, "keeps_reserve", ended)


def _reserve_never_freed() -> Any:
    """A refund that was declined keeps its part of the original for ever."""
    return mock.patch.object(driver_module, "released", return_value=None)


def _taken_back_before_commit() -> Any:
    """A reversal is acknowledged as soon as it is heard."""

    async def at_once(self: Engine, driver: Driver) -> None:
        driver.feed(Event(kind=EventKind.ORIGIN_REVERSES, at=self.timeline.now_ms()))

    return mock.patch.object(Engine, "_take_back", at_once)


def _wish_not_recorded() -> Any:
    """What another node drives is not taken back: nobody tells that node."""

    async def forget(self: LateAnswers, key: str, *what: Any) -> None:
        return None

    return mock.patch.object(LateAnswers, "happened", forget)


def _tombstone_of_a_reversal_forgotten() -> Any:
    """A reversal before its sale is answered, and the sale behind it is taken."""
    true = Engine.reverse

    async def reverse(
        self: Engine, hospital: str, terminal: str, key: str, *, settled: bool
    ) -> Answer:
        if key in self._live or await self.journal.load(key) is not None:
            return await true(self, hospital, terminal, key, settled=settled)
        nothing = Payment(
            key=key,
            hospital=hospital,
            business="",
            terminal=terminal,
            amount_fen=0,
            request_hash="",
            born_at=0,
            business_date="",
            rest=Rest.DECLINED,
            version=1,
        )
        return answer_of(nothing)

    return mock.patch.object(Engine, "reverse", reverse)


def _refund_taken_back_from() -> Any:
    """A sale that was refunded in part is reversed whole."""
    return mock.patch.object(driver_module, "reserve_to_reverse", return_value=None)


def _stuck_goes_forward() -> Any:
    """The wish to take back what a person has is dropped."""
    where = ("exception", "stuck", str(EventKind.ORIGIN_REVERSES))
    return mock.patch.dict(RULES, {where: RULES[where]._replace(move=None)})


def _settled_while_open() -> Any:
    """A batch settles with whatever the journal says at that moment."""
    closed = property(lambda _member: False)
    return mock.patch.multiple(Member, open=closed, unsettled=closed)


def _reversed_after_settlement() -> Any:
    """A reversal does not ask whether its batch is settled."""

    async def free(self: Settling, order: Any) -> None:
        return None

    return mock.patch.object(Settling, "barred", free)


def _taken_from_the_living() -> Any:
    """A node takes a logical terminal that another living one holds."""
    return mock.patch.object(MemoryTerminals, "_free", return_value=True)


def _date_of_today() -> Any:
    """The business date is the calendar's."""
    return mock.patch.object(
        BankChannel, "business_date", lambda self: self._context.timeline.wall_clock()[0]
    )


def _refund_repeated() -> Any:
    """A plain refund without an answer is sent again."""
    return _policy(_BY_HAND, on_unknown=OnUnknown.RESEND)


def _void_forgotten() -> Any:
    """A void without an answer is taken for one that was refused."""
    true = moves.unknown

    def failed(payment: Payment, i: int, event: Event) -> steps.Step:
        leg = payment.legs[i]
        if leg.operation in _VOIDS and payment.stage is Stage.FORWARD:
            return moves.refused(payment, i, replace(event, kind=EventKind.DO_REFUSED))
        return true(payment, i, event)

    rows = {where: row._replace(move=failed) for where, row in RULES.items() if row.move is true}
    return mock.patch.dict(RULES, rows)


def _policy(operations: frozenset[Operation], **changes: Any) -> Any:
    true = BankChannel.policy

    def policy(self: Any, kind: LegKind, clearing: str, operation: Any = None) -> LegPolicy:
        found = true(self, kind, clearing, operation)
        return replace(found, **changes) if operation in operations else found

    return mock.patch.object(BankChannel, "policy", policy)


_CLOSING = {"dialect": "cup-pos", "settles": True}

MUTANTS: tuple[Mutant, ...] = (
    Mutant("reserve_not_taken", _reserve_not_taken, "I1"),
    Mutant(
        "reserve_freed_unproven",
        _reserve_freed_unproven,
        "I1",
        weather={"bank_forgets": True, "bank_processing": 0.4, "bank_repeats": True},
    ),
    Mutant("reserve_never_freed", _reserve_never_freed, "I1"),
    Mutant(
        "taken_back_before_commit", _taken_back_before_commit, "I3", "I7", weather={"crash": 0.04}
    ),
    Mutant(
        "wish_not_recorded",
        _wish_not_recorded,
        "I3",
        weather={"take_back": 1.0, "stories": 14, "bank_late": 0.5},
    ),
    Mutant("tombstone_of_a_reversal_forgotten", _tombstone_of_a_reversal_forgotten, "I7", "I3"),
    Mutant("refund_taken_back_from", _refund_taken_back_from, "I1"),
    Mutant(
        "stuck_goes_forward",
        _stuck_goes_forward,
        "I3",
        weather={"his_level": Level.L1, "his_silent_after": 0.5, "take_back": 1.0},
    ),
    Mutant("settled_while_open", _settled_while_open, "I1", "I13", weather=_CLOSING),
    Mutant(
        "reversed_after_settlement",
        _reversed_after_settlement,
        "I13",
        weather=_CLOSING | {"bank_reversal_lost": 0.6, "bank_silent_after": 0.5},
    ),
    Mutant("taken_from_the_living", _taken_from_the_living, "I13"),
    Mutant("date_of_today", _date_of_today, "I14", weather={"day_turns": True}),
    Mutant("refund_repeated", _refund_repeated, "I1"),
    Mutant("void_forgotten", _void_forgotten, "I1"),
)
